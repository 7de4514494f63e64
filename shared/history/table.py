"""Rows in Azure Table Storage."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from shared.errors import StoreUnavailable
from shared.history import keys
from shared.history.account import read_account
from shared.history.credential import Credential, GuardedCredential
from shared.history.failures import TIME_LIMITS, NoTable, TimeLimits
from shared.history.rows import Operation, Row, Scan
from shared.history.table_sdk import TableSdk
from shared.history.table_wire import TableWire
from shared.settings import Storage


class TableRows:
    """Implements `Rows`: hot requests by `TableWire`, all others by `TableSdk`.

    The table is created when it is first missed. `credential` is needed, and used, only where the
    settings name an endpoint without a key; it caches its tokens. Raises `Misconfigured`.
    """

    def __init__(
        self,
        storage: Storage,
        credential: Credential | None = None,
        limits: TimeLimits = TIME_LIMITS,
    ) -> None:
        account = read_account(storage)
        self._table = storage.table
        self._setting = storage.setting
        guarded = GuardedCredential(credential, account, limits) if credential else None
        self._wire = TableWire(account, storage.table, guarded.token if guarded else None, limits)
        self._sdk = TableSdk(account, storage.table, guarded, limits)
        self._creating = asyncio.Lock()

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        return await self._with_table(lambda: self._wire.range(partition, first, last, limit))

    async def get(self, partition: str, key: str) -> Row | None:
        return await self._with_table(lambda: self._wire.get(partition, key))

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        return await self._with_table(lambda: self._wire.write(partition, operations))

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        return await self._with_table(
            lambda: self._sdk.page(partition, first, last, limit, keys_only)
        )

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        return await self._with_table(lambda: self._sdk.scan(name, before, also, limit, after))

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        await self._sdk.remove(partition, keys)

    async def ready(self) -> None:
        """One request, over the connections that turns use; creates the table if it is missing."""
        await self.get(keys.INTENTS, "ready")

    async def aclose(self) -> None:
        await self._wire.aclose()
        await self._sdk.aclose()

    async def _with_table[T](self, request: Callable[[], Awaitable[T]]) -> T:
        """The request; where there is no table, it is created and the request made once more."""
        try:
            return await request()
        except NoTable:
            pass
        try:
            async with self._creating:
                await self._sdk.create()
            return await request()
        except NoTable as exc:
            raise StoreUnavailable(
                f"The table {self._table}, where {self._setting} says, is not there."
            ) from exc
