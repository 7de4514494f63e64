"""The app's settings: read from an injected mapping, each part when it is first needed.

A setting that is wrong or missing raises `Misconfigured` with the setting's name and what it must
be; building `Settings` itself never fails, so that a bad setting is never an import failure.
"""

from collections.abc import Mapping
from functools import cached_property

from shared.errors import Misconfigured
from shared.settings.access import Auth, AuthMode, read_auth, read_origins
from shared.settings.connections import (
    COGNITIVE_SERVICES_SCOPE,
    DEFAULT_CONNECTION,
    Connection,
    Connections,
    Kind,
)
from shared.settings.limits import Allowance, Limits, read_allowance, read_limits
from shared.settings.retrievers import PostgresSettings, Retrievers, SearchSettings
from shared.settings.sql import Sql, read_sql
from shared.settings.storage import Storage, read_storage
from shared.settings.telemetry import TelemetrySettings, read_telemetry
from shared.settings.values import IdentitySettings, Values

__all__ = (
    "COGNITIVE_SERVICES_SCOPE",
    "DEFAULT_CONNECTION",
    "LOCKABLE_FIELDS",
    "Allowance",
    "Auth",
    "AuthMode",
    "Connection",
    "IdentitySettings",
    "Kind",
    "Limits",
    "PostgresSettings",
    "SearchSettings",
    "Settings",
    "Sql",
    "Storage",
    "TelemetrySettings",
)

DEFAULT_SYSTEM_PROMPT = "You are a helpful AI assistant."
LOCKABLE_FIELDS = (
    "connection",
    "model",
    "systemPrompt",
    "promptTemplate",
    "options",
)
"""Fields that callers may set only where the action says so."""


class Settings:
    """The only reader of the environment. Properties raise `Misconfigured`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = Values(values)
        self._connections = Connections(self._values)
        self._retrievers = Retrievers(self._values)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """A snapshot of the environment; values are checked when they are first asked for."""
        return cls(dict(environ))

    def connection(self, name: str = DEFAULT_CONNECTION) -> Connection:
        """The connection of that name. Only `CHAT_CONNECTIONS` and the default are reached."""
        return self._connections.get(name)

    def chain(self, connection: Connection) -> tuple[Connection, ...]:
        """The connection, and those that are asked after it, in their order: `<NAME>__fallback`."""
        return self._connections.chain(connection)

    @property
    def connection_names(self) -> tuple[str, ...]:
        """The default connection, and those that `CHAT_CONNECTIONS` lists."""
        return self._connections.names

    def retriever(self, name: str) -> PostgresSettings | SearchSettings:
        """The retriever of that name. Only those that `CHAT_RETRIEVERS` lists are reached."""
        return self._retrievers.get(name)

    @property
    def retriever_names(self) -> tuple[str, ...]:
        """What `CHAT_RETRIEVERS` lists."""
        return self._retrievers.names

    @cached_property
    def actions_file(self) -> str:
        """Where the actions are, below the app's folder unless it is an absolute path."""
        return self._values.text("CHAT_ACTIONS_FILE") or "actions.json"

    @cached_property
    def system_prompt(self) -> str:
        """The default action's."""
        return self._values.text("AZURE_OPENAI_SYSTEM_PROMPT") or DEFAULT_SYSTEM_PROMPT

    @cached_property
    def caller_fields(self) -> frozenset[str]:
        """The fields that a caller of the default action may set."""
        named = self._values.words("CHAT_CALLER_FIELDS")
        if named == ("*",):
            return frozenset(LOCKABLE_FIELDS)
        for name in named:
            if name not in LOCKABLE_FIELDS:
                raise Misconfigured(
                    f"CHAT_CALLER_FIELDS: {name!r} is not one of {', '.join(LOCKABLE_FIELDS)}; "
                    "or * for all."
                )
        return frozenset(named)

    @cached_property
    def sql(self) -> Sql | None:
        """The SQL database that keeps the history; None: it is in Table Storage."""
        return read_sql(self._values)

    @cached_property
    def storage(self) -> Storage:
        """Where the history is: `CHAT_STORAGE`, else `AzureWebJobsStorage`, in either form."""
        return read_storage(self._values)

    @cached_property
    def auth(self) -> Auth:
        """`CHAT_AUTH`. In Azure there is no default: fail closed."""
        return read_auth(self._values)

    @cached_property
    def allowed_origins(self) -> frozenset[str]:
        """Origins for CORS."""
        return read_origins(self._values)

    @cached_property
    def limits(self) -> Limits:
        return read_limits(self._values)

    @cached_property
    def allowance(self) -> Allowance | None:
        """The limits that protect the bill; None: there are none, and nothing is counted."""
        return read_allowance(self._values, lambda: self.auth.mode)

    @cached_property
    def telemetry(self) -> TelemetrySettings | None:
        """Where traces, metrics and logs go; None: nowhere."""
        return read_telemetry(self._values)

    @cached_property
    def retention_days(self) -> int | None:
        """Conversations whose last turn began longer ago are deleted; None: all are kept."""
        days = self._values.integer("CHAT_RETENTION_DAYS", 0, 1, 10_000) or None
        if days and not self.has_timers:
            raise Misconfigured(
                "CHAT_RETENTION_DAYS removes nothing without a timer, which the Functions host "
                "runs only where AzureWebJobsStorage names a storage account: set both, or neither."
            )
        return days

    @cached_property
    def has_timers(self) -> bool:
        """Whether the host can run timers: they want its own storage, in any form that has blobs.

        https://learn.microsoft.com/azure/azure-functions/functions-reference#connecting-to-host-storage-with-an-identity
        """
        parts = ("", "__accountName", "__blobServiceUri", "__serviceUri")
        return any(self._values.text(f"AzureWebJobsStorage{part}") for part in parts)
