"""What no turn waits for, through azure-data-tables: the table itself, lists and removals."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from shared.history.account import Account
from shared.history.credential import Credential
from shared.history.failures import TIME_LIMITS, TimeLimits, failed, loggable, unknown
from shared.history.rows import Row, Scan, check_key, check_scan

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient


class TableSdk:
    """One table. Raises `NoTable` and `StoreUnavailable`."""

    def __init__(
        self,
        account: Account,
        table: str,
        credential: Credential | None = None,
        limits: TimeLimits = TIME_LIMITS,
    ) -> None:
        self._account = account
        self._table = table
        self._credential = credential
        self._limits = limits
        self._client: TableClient | None = None

    async def create(self) -> None:
        """Create the table; one that is there already is no trouble."""
        from azure.core.exceptions import ResourceExistsError

        async with self._translated() as client:
            try:
                await client.create_table()
            except ResourceExistsError:
                return

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        """Rows from `first` up to `last`, in order, over as many pages as the service makes."""
        rows: list[Row] = []
        async with self._translated() as client:
            pages = client.query_entities(
                "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
                parameters={"partition": partition, "first": first, "last": last},
                select=["RowKey"] if keys_only else None,
                results_per_page=min(limit, 1000),
            ).by_page()
            async for page in pages:
                rows += [_row(entity) async for entity in page]
                if len(rows) >= limit:
                    break
        return rows[:limit]

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        """One page, as the service makes it: it may be empty, and not the last."""
        check_scan(before)
        async with self._translated() as client:
            token: Any = json.loads(after) if after is not None else None
            pages = client.query_entities(
                f"{name} lt @before",
                parameters={"before": before},
                select=["PartitionKey", "RowKey", name, *also],
                results_per_page=min(limit, 1000),
            ).by_page(token)
            page = await anext(pages)
            rows = tuple([(entity["PartitionKey"], _row(entity)) async for entity in page])
            token = getattr(pages, "continuation_token", None)
        return Scan(rows, json.dumps(token) if token else None)

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        """Delete at most 100 rows in one transaction, or singly where some are gone already."""
        from azure.core.exceptions import HttpResponseError

        for key in (partition, *keys):
            check_key(key)
        if not keys:
            return
        async with self._translated() as client:
            try:
                await client.submit_transaction(
                    [("delete", {"PartitionKey": partition, "RowKey": key}) for key in keys]
                )
                return
            except HttpResponseError as exc:
                if exc.status_code != 404:
                    raise
        for key in keys:
            async with self._translated() as client:
                # Silent where there is no such row, and where there is no table.
                await client.delete_entity(partition, key)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator["TableClient"]:
        """The client; what it raises becomes this app's errors, and time is bounded."""
        from azure.core.exceptions import AzureError, HttpResponseError

        try:
            async with asyncio.timeout(self._limits.total):
                yield self._opened()
        except HttpResponseError as exc:
            if exc.status_code is None:
                raise unknown(self._account) from loggable(self._account, exc)
            code = getattr(exc, "error_code", None)
            code = str(getattr(code, "value", code) or "")
            raise failed(self._account, exc.status_code, code, write=False) from loggable(
                self._account, exc
            )
        except (AzureError, TimeoutError, OSError, ValueError, LookupError, TypeError) as exc:
            # The last three: an answer that is none of the service's.
            raise unknown(self._account) from loggable(self._account, exc)

    def _opened(self) -> "TableClient":
        """The client, made at first use: the package takes long to import."""
        if self._client is None:
            from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
            from azure.core.pipeline.transport import AioHttpTransport
            from azure.data.tables.aio import TableClient

            credential: Any = self._credential
            if self._account.key is not None:
                credential = AzureNamedKeyCredential(self._account.name, self._account.key)
            elif self._account.sas is not None:
                credential = AzureSasCredential(self._account.sas)
            self._client = TableClient(
                self._account.url,
                self._table,
                credential=credential,
                api_version="2020-12-06",
                # A write that is sent again can meet its own first try.
                retry_total=0,
                connection_timeout=self._limits.connect,
                read_timeout=self._limits.total,
                transport=AioHttpTransport(use_env_settings=False),
            )
        return self._client


def _row(entity: Any) -> Row:
    # 64-bit integers come as (value, type).
    values = {
        name: value[0] if isinstance(value, tuple) else value
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey")
    }
    return Row(entity["RowKey"], entity.metadata["etag"], values)
