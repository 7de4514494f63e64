"""The app's settings on this machine: the user's own, completed by the local stack's parts.

What the user names is used: a real model's endpoint, a real store. What they do not name is the
simulator and the emulator, so that nothing asks for a cloud account.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.host.environment import settings_file

FILE = "local.settings.json"
SIMULATOR_DEPLOYMENT = "chat"
SIMULATOR_EMBEDDINGS = "embedding"
# Any will do: the simulator takes every key.
SIMULATOR_KEY = "local-simulator"
RETRIEVAL = ("CHAT_RETRIEVERS", "CHAT_ACTIONS_FILE")
MODEL = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI__endpoint")
# In the order in which the app looks for them.
STORES = (
    "CHAT_SQL",
    "CHAT_SQL__server",
    *(
        f"{name}{part}"
        for name in ("CHAT_STORAGE", "AzureWebJobsStorage")
        for part in ("", "__tableServiceUri", "__accountName")
    ),
)
# Says how the default connection is reached, so it must not meet the simulator's endpoint.
_CONNECTION = (
    "AZURE_OPENAI_API_VERSION",
    "AZURE_OPENAI__apiKey",
    "AZURE_OPENAI__apiVersion",
    "AZURE_OPENAI__credential",
    "AZURE_OPENAI__clientId",
    "AZURE_OPENAI__embeddingsModel",
    "AZURE_OPENAI__endpoint",
    "AZURE_OPENAI__kind",
    "AZURE_OPENAI__managedIdentityResourceId",
    "AZURE_OPENAI__model",
)
_EMULATOR = "usedevelopmentstorage=true"


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The settings that the user gave."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, app: Path, environ: Mapping[str, str] = os.environ) -> "AppSettings":
        """The app's local.settings.json, under the environment, as Core Tools read them.

        Raises `local.host.environment.SettingsError` for a file that cannot be used.
        """
        file = app / FILE
        return cls({**(settings_file(file) if file.exists() else {}), **environ})

    @property
    def model(self) -> str | None:
        """The setting that names a real model service, if one does."""
        return next((name for name in MODEL if self._given(name)), None)

    @property
    def store(self) -> str | None:
        """The setting that names a real store, if one does; the emulator's short form does not."""
        for name in STORES:
            value = self._given(name)
            if value:
                return None if value.lower().strip(";") == _EMULATOR else name
        return None

    @property
    def searches(self) -> str | None:
        """The setting by which the user has retrieval of their own, if one does."""
        return next((name for name in RETRIEVAL if self._given(name)), None)

    def completed(self, *, simulator: str | None, storage: str | None) -> dict[str, str]:
        """What to put into the host's environment, which wins over the file there.

        `simulator` and `storage` are the simulator's address and the emulator's connection
        string, None where the user's own are used. An empty value takes a setting away.
        """
        added: dict[str, str] = {}
        if simulator:
            added |= {name: "" for name in _CONNECTION if self.values.get(name)}
            added["AZURE_OPENAI_ENDPOINT"] = simulator
            added["AZURE_OPENAI_CHAT_DEPLOYMENT"] = SIMULATOR_DEPLOYMENT
            added["AZURE_OPENAI_API_KEY"] = SIMULATOR_KEY
            added["AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT"] = SIMULATOR_EMBEDDINGS
        if storage:
            added |= {name: "" for name in STORES if self.values.get(name)}
            added["CHAT_STORAGE"] = storage
        if not self._given("CHAT_AUTH"):
            added["CHAT_AUTH"] = "staticwebapps"
        if not self._given("WEBSITE_AUTH_ENABLED"):
            # True because the local developer's proxy sets the principal, and only it can.
            added["WEBSITE_AUTH_ENABLED"] = "True"
        return added

    def _given(self, name: str) -> str | None:
        value = self.values.get(name, "").strip()
        return None if not value or value.startswith("<insert") else value
