"""Retrievers: where documents are found, by the names that the settings give them."""

import re
from functools import cached_property
from typing import Literal, get_args

from msgspec import Struct

from shared.errors import Misconfigured
from shared.settings.connections import DEFAULT_CONNECTION
from shared.settings.values import ADDRESS, IdentitySettings, Values

type RetrieverKind = Literal["postgresql", "azure_search"]

POSTGRESQL_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
NO_COLUMN = "-"
"""The value of a column's setting that says that the table has none."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}", re.ASCII)


class Columns(Struct, frozen=True, kw_only=True):
    """The names of a table's columns, or of an index's fields; None: it has none."""

    id: str = "id"
    content: str = "content"
    embedding: str = "embedding"
    title: str | None = "title"
    url: str | None = "url"
    metadata: str | None = "metadata"
    search: str | None = "search"
    """PostgreSQL's `tsvector`; None: made of the content, which is slow without an index on it."""


class PostgresSettings(Struct, frozen=True, kw_only=True):
    """A table in PostgreSQL, with pgvector."""

    name: str
    host: str
    database: str
    user: str
    port: int = 5432
    password: str | None = None
    """None: the identity's token is the password."""
    identity: IdentitySettings = IdentitySettings()
    schema: str | None = None
    table: str = "documents"
    columns: Columns = Columns()
    language: str = "english"
    """The text search configuration."""
    connection: str = DEFAULT_CONNECTION
    """Whose embeddings model is asked."""
    dimensions: int | None = None
    """Of the vectors; None: as many as the model makes."""
    max_connections: int = 4
    """Of one instance."""

    def setting(self, part: str) -> str:
        """The name of the setting that holds this part, such as `host`; for messages."""
        return f"{self.name}__{part}"


class SearchSettings(Struct, frozen=True, kw_only=True):
    """An index in Azure AI Search."""

    name: str
    endpoint: str
    index: str
    identity: IdentitySettings = IdentitySettings()
    columns: Columns = Columns(metadata=None, search=None)
    connection: str = DEFAULT_CONNECTION
    dimensions: int | None = None

    def setting(self, part: str) -> str:
        """The name of the setting that holds this part, such as `endpoint`; for messages."""
        return f"{self.name}__{part}"


class Retrievers:
    """All of them; each is read when it is asked for. Methods raise `Misconfigured`."""

    def __init__(self, values: Values) -> None:
        self._values = values

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What `CHAT_RETRIEVERS` lists; no other is reached."""
        named = self._values.words("CHAT_RETRIEVERS")
        for name in named:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise Misconfigured(
                    f"CHAT_RETRIEVERS: {name!r} is no name of a retriever; use letters, digits "
                    "and underscores."
                )
        return named

    def get(self, name: str) -> PostgresSettings | SearchSettings:
        """The retriever of that name."""
        if name not in self.names:
            listed = ", ".join(self.names) or "none"
            raise Misconfigured(
                f"CHAT_RETRIEVERS does not name the retriever {name}: it lists {listed}."
            )
        kind = self._values.choice(f"{name}__kind", get_args(RetrieverKind.__value__), "postgresql")
        return self._postgres(name) if kind == "postgresql" else self._search(name)

    def _postgres(self, name: str) -> PostgresSettings:
        password = self._values.text(f"{name}__password")
        identity = self._values.identity(name)
        if password and identity != IdentitySettings():
            raise Misconfigured(f"{name}__password and {name}__credential are both set: keep one.")
        schema, table = self._table(name)
        host = self._needed(name, "host", "the server, such as NAME.postgres.database.azure.com")
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
            raise Misconfigured(
                f"{name}__host must be the name of a server alone, such as "
                "NAME.postgres.database.azure.com; the port goes into "
                f"{name}__port."
            )
        return PostgresSettings(
            name=name,
            host=host,
            port=self._values.integer(f"{name}__port", 5432, 1, 65535),
            database=self._needed(name, "database", "the database"),
            user=self._needed(name, "user", "the role that the app signs in as"),
            password=password,
            identity=identity,
            schema=schema,
            table=table,
            columns=self._columns(name, Columns()),
            language=self._identifier(f"{name}__language", "english"),
            connection=self._values.text(f"{name}__connection") or DEFAULT_CONNECTION,
            dimensions=self._dimensions(name),
            max_connections=self._values.integer(f"{name}__maxConnections", 4, 1, 100),
        )

    def _search(self, name: str) -> SearchSettings:
        endpoint = self._needed(name, "endpoint", "such as https://NAME.search.windows.net")
        if not ADDRESS.fullmatch(endpoint):
            raise Misconfigured(
                f"{name}__endpoint must be an address such as https://NAME.search.windows.net."
            )
        index = self._needed(name, "index", "the index")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{1,127}", index):
            raise Misconfigured(
                f"{name}__index must be an index's name: small letters, digits, - and _."
            )
        return SearchSettings(
            name=name,
            endpoint=endpoint.rstrip("/"),
            index=index,
            identity=self._values.identity(name),
            columns=self._columns(name, Columns(metadata=None, search=None)),
            connection=self._values.text(f"{name}__connection") or DEFAULT_CONNECTION,
            dimensions=self._dimensions(name),
        )

    def _needed(self, name: str, part: str, what: str) -> str:
        value = self._values.text(f"{name}__{part}")
        if value is None:
            raise Misconfigured(f"{name}__{part} is missing: {what}.")
        return value

    def _dimensions(self, name: str) -> int | None:
        return self._values.integer(f"{name}__dimensions", 0, 1, 4000) or None

    def _table(self, name: str) -> tuple[str | None, str]:
        setting = f"{name}__table"
        *schemas, table = (self._values.text(setting) or "documents").split(".")
        if len(schemas) > 1 or not all(map(_IDENTIFIER.fullmatch, (*schemas, table))):
            raise Misconfigured(
                f"{setting} must be a table's name, or schema.table: letters, digits and _, as "
                "they are written in the database."
            )
        return (schemas[0] if schemas else None), table

    def _columns(self, name: str, default: Columns) -> Columns:
        def column(part: str, usual: str | None) -> str | None:
            setting = f"{name}__{part}Column"
            if usual is not None and self._values.text(setting) == NO_COLUMN:
                return None
            return self._identifier(setting, usual) if usual or self._values.text(setting) else None

        return Columns(
            id=self._identifier(f"{name}__idColumn", default.id),
            content=self._identifier(f"{name}__contentColumn", default.content),
            embedding=self._identifier(f"{name}__embeddingColumn", default.embedding),
            title=column("title", default.title),
            url=column("url", default.url),
            metadata=column("metadata", default.metadata),
            search=column("search", default.search),
        )

    def _identifier(self, setting: str, default: str | None) -> str:
        value = self._values.text(setting) or default
        if value is None or not _IDENTIFIER.fullmatch(value):
            raise Misconfigured(
                f"{setting} must be a name of letters, digits and _, not {value!r}."
            )
        return value
