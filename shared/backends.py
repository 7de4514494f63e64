"""Connections to models, databases and identities: opened when first needed, closed together.

Their number is bounded by what the settings list. Nothing heavy is imported with this module.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from shared.errors import (
    Misconfigured,
    ModelRefused,
    RetrievalUnavailable,
    StoreUnavailable,
)
from shared.identity.tokens import IdentityUnavailable, SharedTokens
from shared.models.base import ChatModel
from shared.models.completions import RETRY_SECONDS
from shared.models.connect import open_embeddings, open_model
from shared.retrieval.base import Retriever
from shared.settings import Connection, IdentitySettings, PostgresSettings, Settings, Sql
from shared.settings.retrievers import POSTGRESQL_SCOPE

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

    from shared.history.sql.rows import SqlRows
    from shared.models.completions import ChatCompletions
    from shared.models.embeddings import EmbeddingsModel
    from shared.models.failover import FailOver


class Backends:
    """One process's. Methods raise `Misconfigured`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clients: dict[str, ChatCompletions] = {}
        self._chains: dict[str, FailOver] = {}
        self._embeddings: dict[tuple[str, int | None, float], EmbeddingsModel] = {}
        self._retrievers: dict[str, Retriever] = {}
        self._credentials: dict[IdentitySettings, SharedTokens] = {}

    def model(self, connection: Connection) -> ChatModel:
        """What answers for a connection: itself, or the chain that its fallback begins."""
        if connection.fallback is None:
            return self.client(connection)
        chain = self._chains.get(connection.name)
        if chain is None:
            from shared.models.failover import FailOver

            clients = [self.client(link) for link in self._settings.chain(connection)]
            chain = FailOver(clients, silence=self._settings.limits.model_timeout)
            self._chains[connection.name] = chain
        return chain

    def client(self, connection: Connection) -> "ChatCompletions":
        """One client for each connection; `CHAT_CONNECTIONS` bounds their number."""
        client = self._clients.get(connection.name)
        if client is None:
            token = None
            if connection.signs_in:
                token = partial(self.token, connection)
            client = self._clients[connection.name] = open_model(connection, token)
        return client

    def _open_retriever(self, name: str) -> Retriever:
        settings = self._settings.retriever(name)
        if settings.connection not in self._settings.connection_names:
            raise Misconfigured(
                f"{settings.setting('connection')} must name a connection, one of "
                f"{', '.join(self._settings.connection_names)}, not {settings.connection!r}."
            )
        embeddings = self.embeddings(
            self._settings.connection(settings.connection), settings.dimensions
        )
        if isinstance(settings, PostgresSettings):
            from shared.retrieval.postgres import PostgresRetriever

            token = None if settings.password else partial(self.database_token, settings)
            return PostgresRetriever(settings, embeddings, token)
        from shared.retrieval.azure_search import SearchRetriever

        credential = _Guarded(self.credential(settings.identity), settings.setting("credential"))
        return SearchRetriever(settings, embeddings, credential)

    def embeddings(
        self,
        connection: Connection,
        dimensions: int | None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> "EmbeddingsModel":
        """A connection's embeddings model."""
        key = connection.name, dimensions, retry_seconds
        embeddings = self._embeddings.get(key)
        if embeddings is None:
            token = partial(self.token, connection) if connection.signs_in else None
            embeddings = self._embeddings[key] = open_embeddings(
                connection, token, dimensions, retry_seconds=retry_seconds
            )
        return embeddings

    async def database_token(self, settings: PostgresSettings) -> str:
        """What the identity signs in with, instead of a password."""
        try:
            return await self.credential(settings.identity).token(POSTGRESQL_SCOPE)
        except IdentityUnavailable as exc:
            raise RetrievalUnavailable(
                f"{exc.message} Look at {settings.setting('credential')}."
            ) from exc

    async def token(self, connection: Connection) -> str:
        try:
            return await self.credential(connection.identity).token(connection.scope)
        except IdentityUnavailable as exc:
            raise ModelRefused(
                f"{exc.message} Look at {connection.setting('credential')}."
            ) from exc

    def credential(self, identity: IdentitySettings) -> "SharedTokens":
        from shared.identity.credentials import credential as open_credential

        credential = self._credentials.get(identity)
        if credential is None:
            credential = self._credentials[identity] = open_credential(identity)
        return credential

    def retriever(self, name: str) -> Retriever:
        """The retriever of that name; `CHAT_RETRIEVERS` bounds their number. Raises
        `Misconfigured`."""
        retriever = self._retrievers.get(name)
        if retriever is None:
            retriever = self._retrievers[name] = self._open_retriever(name)
        return retriever

    def sql_rows(self, sql: Sql) -> "SqlRows":
        """The history's rows in a SQL database; who opens them closes them."""
        from shared.history.sql.mssql import SCOPE, MsSql
        from shared.history.sql.postgresql import PostgreSql
        from shared.history.sql.rows import SqlRows

        dialect = (PostgreSql if sql.is_postgresql else MsSql)(sql.connection_string, sql.setting)
        if sql.identity is None:
            return SqlRows(dialect, sql.schema, sql.setting)
        tokens = self.credential(sql.identity)

        async def token() -> str:
            try:
                return await tokens.token(SCOPE)
            except IdentityUnavailable as exc:
                raise StoreUnavailable(f"{exc.message} Look at CHAT_SQL__credential.") from exc

        return SqlRows(dialect, sql.schema, sql.setting, token)

    async def aclose(self) -> None:
        """Close every connection."""
        for retriever in self._retrievers.values():
            await retriever.aclose()
        for embeddings in self._embeddings.values():
            await embeddings.aclose()
        for client in self._clients.values():
            await client.aclose()
        for credential in self._credentials.values():
            await credential.aclose()


class _Guarded:
    """A credential for an SDK, whose failure is this app's error: the SDK passes it on as it is."""

    def __init__(self, tokens: SharedTokens, setting: str) -> None:
        self._tokens = tokens
        self._setting = setting

    async def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        try:
            return await self._tokens.get_token(*scopes, **options)
        except IdentityUnavailable as exc:
            raise RetrievalUnavailable(f"{exc.message} Look at {self._setting}.") from exc

    async def close(self) -> None:
        """It belongs to others as well, and who opened it closes it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass
