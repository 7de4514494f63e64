"""Connections: how to reach the model services, by the names that the settings give them."""

import re
from functools import cached_property
from typing import Literal, get_args
from urllib.parse import urlsplit

from msgspec import Struct

from shared.errors import Misconfigured
from shared.messages import ModelService
from shared.settings.values import ADDRESS, IdentitySettings, Values

COGNITIVE_SERVICES_SCOPE = "https://cognitiveservices.azure.com/.default"
DEFAULT_CONNECTION = "AZURE_OPENAI"

type Kind = Literal["azure_openai", "openai", "mistral"]


class Connection(Struct, frozen=True, kw_only=True):
    """How to reach a model service."""

    name: str
    kind: Kind
    endpoint: str
    model: str | None = None
    """The model, or the deployment, to ask where nobody says otherwise."""
    api_version: str | None = None
    """A dated version of Azure's API; None: the v1 endpoint."""
    api_key: str | None = None
    """None: the identity."""
    scope: str = COGNITIVE_SERVICES_SCOPE
    identity: IdentitySettings = IdentitySettings()
    embeddings_model: str | None = None
    """The model, or the deployment, that turns text into vectors."""
    fallback: str | None = None
    """The connection that is asked where this one fails."""

    @property
    def signs_in(self) -> bool:
        """Whether it is reached with the identity's token."""
        return self.api_key is None and self.kind in _SIGN_IN

    @property
    def service(self) -> ModelService:
        """Who is asked, as operators are told it."""
        address = urlsplit(self.endpoint)
        port = address.port or (443 if address.scheme == "https" else 80)
        return ModelService(_PROVIDERS[self.kind], address.hostname or "", port)

    def setting(self, part: str) -> str:
        """The name of the setting that holds this part, such as `endpoint`; for messages."""
        return _setting(self.name, part)


def _parses(address: str) -> bool:
    try:
        return urlsplit(address).port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        return False


class Connections:
    """All of them; each is read when it is asked for. Methods raise `Misconfigured`."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def get(self, name: str = DEFAULT_CONNECTION) -> Connection:
        """The connection of that name. Only `CHAT_CONNECTIONS` and the default are reached."""
        if name != DEFAULT_CONNECTION and name not in self.names:
            raise Misconfigured(
                f"CHAT_CONNECTIONS does not name the connection {name}: it lists "
                f"{', '.join(self.names)}."
            )
        kind = self._values.choice(f"{name}__kind", get_args(Kind.__value__), "azure_openai")
        api_key = self._value(name, "apiKey")
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise Misconfigured(
                f"{_setting(name, 'apiKey')} must be a key: ASCII characters, without spaces and "
                "line breaks."
            )
        endpoint = self._value(name, "endpoint")
        if endpoint is None:
            raise Misconfigured(
                f"{_setting(name, 'endpoint')} is missing: the address of the model service, "
                f"such as {_EXAMPLES[kind]}."
            )
        if not ADDRESS.fullmatch(endpoint) or not _parses(endpoint):
            raise Misconfigured(
                f"{_setting(name, 'endpoint')} must be an address that begins with https://, "
                "without spaces."
            )
        return Connection(
            name=name,
            kind=kind,  # type: ignore[arg-type]  # choice gave one of the kinds
            endpoint=endpoint.rstrip("/"),
            model=self._value(name, "model"),
            api_version=self._value(name, "apiVersion"),
            api_key=api_key,
            scope=self._value(name, "scope") or COGNITIVE_SERVICES_SCOPE,
            identity=self._values.identity(name),
            embeddings_model=self._value(name, "embeddingsModel"),
            fallback=self._value(name, "fallback"),
        )

    def chain(self, connection: Connection) -> tuple[Connection, ...]:
        """The connection, and those that are asked after it, in their order: `<NAME>__fallback`."""
        chain = [connection]
        while (name := chain[-1].fallback) is not None:
            setting = chain[-1].setting("fallback")
            if name not in self.names:
                raise Misconfigured(
                    f"{setting} must name another connection, one of "
                    f"{', '.join(self.names)}, not {name!r}."
                )
            if name in [link.name for link in chain]:
                raise Misconfigured(
                    f"{setting} leads back to {name}: {' to '.join(c.name for c in chain)} to "
                    f"{name} is a circle. Take it away, or name another connection."
                )
            fallback = self.get(name)
            if fallback.model is None:
                raise Misconfigured(
                    f"{fallback.setting('model')} is missing: the deployment or model to ask where "
                    f"{setting} leads to it."
                )
            chain.append(fallback)
        return tuple(chain)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The default connection, and those that `CHAT_CONNECTIONS` lists."""
        named = self._values.words("CHAT_CONNECTIONS")
        for name in named:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise Misconfigured(
                    f"CHAT_CONNECTIONS: {name!r} is no name of a connection; use letters, digits "
                    "and underscores."
                )
        return (DEFAULT_CONNECTION, *(n for n in named if n != DEFAULT_CONNECTION))

    def _value(self, name: str, part: str) -> str | None:
        value = self._values.text(f"{name}__{part}")
        if name != DEFAULT_CONNECTION or part not in _FLAT_NAMES:
            return value
        flat = self._values.text(_FLAT_NAMES[part])
        if value and flat and value != flat:
            raise Misconfigured(f"{_FLAT_NAMES[part]} and {name}__{part} differ: keep one.")
        return flat or value


_SIGN_IN = ("azure_openai", "mistral")
"""Kinds that are reached with an identity where there is no key."""
_PROVIDERS = {"azure_openai": "azure.ai.openai", "openai": "openai", "mistral": "mistral_ai"}
_EXAMPLES = {
    "azure_openai": "https://RESOURCE.openai.azure.com",
    "openai": "https://api.openai.com/v1",
    "mistral": "https://api.mistral.ai/v1",
}
_FLAT_NAMES = {
    "endpoint": "AZURE_OPENAI_ENDPOINT",
    "model": "AZURE_OPENAI_CHAT_DEPLOYMENT",
    "embeddingsModel": "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT",
    "apiVersion": "AZURE_OPENAI_API_VERSION",
    "apiKey": "AZURE_OPENAI_API_KEY",
}
"""The default connection's settings also have these names."""


def _setting(name: str, part: str) -> str:
    flat = _FLAT_NAMES.get(part) if name == DEFAULT_CONNECTION else None
    return flat or f"{name}__{part}"
