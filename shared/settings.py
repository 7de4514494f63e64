"""The app's settings: read from an injected mapping, each part when it is first needed.

A setting that is wrong or missing raises `Misconfigured` with the setting's name and what it must
be; building `Settings` itself never fails, so that a bad setting is never an import failure.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, get_args

from msgspec import Struct

from shared.errors import Misconfigured

COGNITIVE_SERVICES_SCOPE = "https://cognitiveservices.azure.com/.default"
DEFAULT_CONNECTION = "AZURE_OPENAI"
DEFAULT_SYSTEM_PROMPT = "You are a helpful AI assistant."
LOCKABLE_FIELDS = (
    "connection",
    "model",
    "systemPrompt",
    "promptTemplate",
    "options",
)
"""Fields that callers may set only where the action says so."""

type Kind = Literal["azure_openai", "openai", "mistral"]
type AuthMode = Literal["anonymous", "easyauth", "staticwebapps"]


class IdentitySettings(Struct, frozen=True):
    """Which identity a connection signs in with, by the naming of Functions' own connections."""

    managed: bool = False
    """False: the developer's own (DefaultAzureCredential)."""
    client_id: str | None = None
    resource_id: str | None = None


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
    fallback: str | None = None
    """The connection that is asked where this one fails."""

    @property
    def signs_in(self) -> bool:
        """Whether it is reached with the identity's token."""
        return self.api_key is None and self.kind in _SIGN_IN

    def setting(self, part: str) -> str:
        """The name of the setting that holds this part, such as `endpoint`; for messages."""
        return _setting(self.name, part)


class Storage(Struct, frozen=True, kw_only=True):
    """Where the history is: a connection string, or an endpoint with an identity."""

    setting: str
    """The setting that says so, for messages."""
    table: str
    connection_string: str | None = None
    endpoint: str | None = None
    identity: IdentitySettings = IdentitySettings()


class Auth(Struct, frozen=True):
    """Who may call. `trusted`: the platform, and nobody else, sets the principal's header."""

    mode: AuthMode
    trusted: bool


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one request, one turn and one instance."""

    body_bytes: int
    prompt_chars: int
    input_chars: int
    completion_tokens: int
    history_messages: int
    history_tokens: int
    concurrent_turns: int
    model_timeout: float
    """Seconds: the longest silence of a model."""
    disconnect_grace: float
    """Seconds that a turn goes on with nobody watching."""


class Allowance(Struct, frozen=True, kw_only=True):
    """What may be used before callers are refused; None: as much as they like."""

    daily_tokens: int | None
    """By the whole app."""
    daily_tokens_per_owner: int | None
    requests_per_minute: int | None
    """Of each owner."""


_ADDRESS = re.compile(r"https?://[^/\s]+\S*")


class Settings:
    """The only reader of the environment. Properties raise `Misconfigured`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """A snapshot of the environment; values are checked when they are first asked for."""
        return cls(dict(environ))

    def connection(self, name: str = DEFAULT_CONNECTION) -> Connection:
        """The connection of that name. Only `CHAT_CONNECTIONS` and the default are reached."""
        if name != DEFAULT_CONNECTION and name not in self.connection_names:
            raise Misconfigured(
                f"CHAT_CONNECTIONS does not name the connection {name}: it lists "
                f"{', '.join(self.connection_names)}."
            )
        kind = self._choice(f"{name}__kind", get_args(Kind.__value__), "azure_openai")
        api_key = self._connection_value(name, "apiKey")
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise Misconfigured(
                f"{_setting(name, 'apiKey')} must be a key: ASCII characters, without spaces and "
                "line breaks."
            )
        endpoint = self._connection_value(name, "endpoint")
        if endpoint is None:
            raise Misconfigured(
                f"{_setting(name, 'endpoint')} is missing: the address of the model service, "
                f"such as {_EXAMPLES[kind]}."
            )
        if not _ADDRESS.fullmatch(endpoint):
            raise Misconfigured(
                f"{_setting(name, 'endpoint')} must be an address that begins with https://, "
                "without spaces."
            )
        return Connection(
            name=name,
            kind=kind,  # type: ignore[arg-type]  # _choice gave one of the kinds
            endpoint=endpoint.rstrip("/"),
            model=self._connection_value(name, "model"),
            api_version=self._connection_value(name, "apiVersion"),
            api_key=api_key,
            scope=self._connection_value(name, "scope") or COGNITIVE_SERVICES_SCOPE,
            identity=self._identity(name),
            fallback=self._connection_value(name, "fallback"),
        )

    def chain(self, connection: Connection) -> tuple[Connection, ...]:
        """The connection, and those that are asked after it, in their order: `<NAME>__fallback`."""
        chain = [connection]
        while (name := chain[-1].fallback) is not None:
            setting = chain[-1].setting("fallback")
            if name not in self.connection_names:
                raise Misconfigured(
                    f"{setting} must name another connection, one of "
                    f"{', '.join(self.connection_names)}, not {name!r}."
                )
            if name in [link.name for link in chain]:
                raise Misconfigured(
                    f"{setting} leads back to {name}: {' to '.join(c.name for c in chain)} to "
                    f"{name} is a circle. Take it away, or name another connection."
                )
            fallback = self.connection(name)
            if fallback.model is None:
                raise Misconfigured(
                    f"{fallback.setting('model')} is missing: the deployment or model to ask where "
                    f"{setting} leads to it."
                )
            chain.append(fallback)
        return tuple(chain)

    @cached_property
    def connection_names(self) -> tuple[str, ...]:
        """The default connection, and those that `CHAT_CONNECTIONS` lists."""
        named = self._words("CHAT_CONNECTIONS")
        for name in named:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise Misconfigured(
                    f"CHAT_CONNECTIONS: {name!r} is no name of a connection; use letters, digits "
                    "and underscores."
                )
        return (DEFAULT_CONNECTION, *(n for n in named if n != DEFAULT_CONNECTION))

    @cached_property
    def system_prompt(self) -> str:
        """The default action's."""
        return self._text("AZURE_OPENAI_SYSTEM_PROMPT") or DEFAULT_SYSTEM_PROMPT

    @cached_property
    def caller_fields(self) -> frozenset[str]:
        """The fields that a caller of the default action may set."""
        named = self._words("CHAT_CALLER_FIELDS")
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
    def storage(self) -> Storage:
        """Where the history is: `CHAT_STORAGE`, else `AzureWebJobsStorage`, in either form."""
        table = self._text("CHAT_STORAGE_TABLE") or "conversations"
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,62}", table):
            raise Misconfigured(
                "CHAT_STORAGE_TABLE must be 3 to 63 letters and digits, and begin with a letter."
            )
        for name in ("CHAT_STORAGE", "AzureWebJobsStorage"):
            connection_string = self._text(name)
            uri = self._text(f"{name}__tableServiceUri")
            account = self._text(f"{name}__accountName")
            given = {
                name: connection_string,
                f"{name}__tableServiceUri": uri,
                f"{name}__accountName": account,
            }
            named = [key for key, value in given.items() if value]
            if not named:
                continue
            if len(named) > 1:
                raise Misconfigured(f"{' and '.join(named)} are both set: keep one.")
            setting = named[0]
            if connection_string:
                return Storage(setting=setting, table=table, connection_string=connection_string)
            if uri and not _ADDRESS.fullmatch(uri):
                raise Misconfigured(
                    f"{name}__tableServiceUri must be an address such as "
                    "https://ACCOUNT.table.core.windows.net."
                )
            if account and not re.fullmatch(r"[a-z0-9]{3,24}", account):
                raise Misconfigured(
                    f"{name}__accountName must be the storage account's name: 3 to 24 lower-case "
                    "letters and digits."
                )
            return Storage(
                setting=setting,
                table=table,
                endpoint=(uri or f"https://{account}.table.core.windows.net").rstrip("/"),
                identity=self._identity(name),
            )
        raise Misconfigured(
            "CHAT_STORAGE is missing: set CHAT_STORAGE__tableServiceUri to the table service that "
            "keeps the history, or CHAT_STORAGE to a connection string."
        )

    @cached_property
    def auth(self) -> Auth:
        """`CHAT_AUTH`. In Azure there is no default: fail closed."""
        mode = self._text("CHAT_AUTH")
        if mode is None:
            if self._text("WEBSITE_SITE_NAME"):
                raise Misconfigured(
                    "CHAT_AUTH is missing: set it to staticwebapps, easyauth or anonymous."
                )
            mode = "anonymous"
        if mode not in get_args(AuthMode.__value__):
            raise Misconfigured(
                f"CHAT_AUTH must be staticwebapps, easyauth or anonymous, not {mode!r}."
            )
        return Auth(
            mode=mode,  # type: ignore[arg-type]  # just checked
            trusted=(self._text("WEBSITE_AUTH_ENABLED") or "").lower() == "true",
        )

    @cached_property
    def allowed_origins(self) -> frozenset[str]:
        """Origins for CORS."""
        named = self._words("CHAT_ALLOWED_ORIGINS")
        for origin in named:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise Misconfigured(
                    f"CHAT_ALLOWED_ORIGINS: {origin!r} is no origin; write each one out, such as "
                    "https://www.example.com, without a path and without *."
                )
        return frozenset(named)

    @cached_property
    def limits(self) -> Limits:
        return Limits(
            body_bytes=self._integer("CHAT_MAX_BODY_BYTES", 1 << 20, 1024, 100 << 20),
            prompt_chars=self._integer("CHAT_MAX_PROMPT_CHARS", 32_000, 1, 100_000_000),
            input_chars=self._integer("CHAT_MAX_INPUT_CHARS", 400_000, 1, 100_000_000),
            completion_tokens=self._integer("CHAT_MAX_COMPLETION_TOKENS", 16_384, 1, 10_000_000),
            history_messages=self._integer("CHAT_HISTORY_MAX_MESSAGES", 40, 2, 998),
            history_tokens=self._integer("CHAT_HISTORY_MAX_TOKENS", 32_000, 1, 100_000_000),
            concurrent_turns=self._integer("CHAT_MAX_CONCURRENT_TURNS", 500, 1, 100_000),
            model_timeout=self._integer("CHAT_MODEL_TIMEOUT_SECONDS", 180, 1, 3600),
            disconnect_grace=self._integer("CHAT_DISCONNECT_GRACE_SECONDS", 30, 0, 3600),
        )

    @cached_property
    def allowance(self) -> Allowance | None:
        """The limits that protect the bill; None: there are none, and nothing is counted."""
        tokens, owners_tokens, requests = (
            self._integer(name, 0, 1, 999_999_999_999) or None
            for name in ("CHAT_DAILY_TOKENS", *_PER_OWNER)
        )
        named = [name for name in _PER_OWNER if self._text(name)]
        if named and self.auth.mode == "anonymous":
            raise Misconfigured(
                f"{named[0]} counts for each signed-in owner, and with CHAT_AUTH=anonymous there "
                "is none: take it away, and limit the whole app with CHAT_DAILY_TOKENS."
            )
        if tokens is None and not named:
            return None
        return Allowance(
            daily_tokens=tokens,
            daily_tokens_per_owner=owners_tokens,
            requests_per_minute=requests,
        )

    @cached_property
    def retention_days(self) -> int | None:
        """Conversations whose last turn began longer ago are deleted; None: all are kept."""
        days = self._integer("CHAT_RETENTION_DAYS", 0, 1, 10_000) or None
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
        return any(self._text(f"AzureWebJobsStorage{part}") for part in parts)

    def _text(self, name: str) -> str | None:
        value = self._values.get(name, "").strip()
        return None if not value or value.startswith("<insert") else value

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(re.split(r"[,\s]+", text)) if (text := self._text(name)) else ()

    def _integer(self, name: str, default: int, least: int, most: int) -> int:
        text = self._text(name)
        if text is None:
            return default
        value = int(text) if re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) else -1
        if not least <= value <= most:
            raise Misconfigured(
                f"{name} must be a whole number from {least} to {most}, not {text!r}."
            )
        return value

    def _choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self._text(name) or default
        if value not in choices:
            raise Misconfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
        return value

    def _connection_value(self, name: str, part: str) -> str | None:
        value = self._text(f"{name}__{part}")
        if name != DEFAULT_CONNECTION or part not in _FLAT_NAMES:
            return value
        flat = self._text(_FLAT_NAMES[part])
        if value and flat and value != flat:
            raise Misconfigured(f"{_FLAT_NAMES[part]} and {name}__{part} differ: keep one.")
        return flat or value

    def _identity(self, name: str) -> IdentitySettings:
        kind = self._text(f"{name}__credential")
        if kind not in (None, "managedidentity"):
            raise Misconfigured(
                f"{name}__credential must be managedidentity, or absent for the developer's own "
                f"sign-in, not {kind!r}."
            )
        client_id = self._text(f"{name}__clientId")
        resource_id = self._text(f"{name}__managedIdentityResourceId")
        if client_id and resource_id:
            raise Misconfigured(
                f"{name}__clientId and {name}__managedIdentityResourceId are both set: keep one."
            )
        if (client_id or resource_id) and not kind:
            raise Misconfigured(
                f"{name}__clientId and {name}__managedIdentityResourceId need "
                f"{name}__credential=managedidentity."
            )
        return IdentitySettings(kind is not None, client_id, resource_id)


_SIGN_IN = ("azure_openai", "mistral")
"""Kinds that are reached with an identity where there is no key."""
_EXAMPLES = {
    "azure_openai": "https://RESOURCE.openai.azure.com",
    "openai": "https://api.openai.com/v1",
    "mistral": "https://api.mistral.ai/v1",
}
_PER_OWNER = ("CHAT_DAILY_TOKENS_PER_OWNER", "CHAT_REQUESTS_PER_MINUTE")
_FLAT_NAMES = {
    "endpoint": "AZURE_OPENAI_ENDPOINT",
    "model": "AZURE_OPENAI_CHAT_DEPLOYMENT",
    "apiVersion": "AZURE_OPENAI_API_VERSION",
    "apiKey": "AZURE_OPENAI_API_KEY",
}
"""The default connection's settings also have these names."""


def _setting(name: str, part: str) -> str:
    flat = _FLAT_NAMES.get(part) if name == DEFAULT_CONNECTION else None
    return flat or f"{name}__{part}"
