"""The rows under the history: partitions of ordered rows, conditional writes, transactions.

This is all that a place to keep the history in must be able to do. `Store` builds the turns on it,
once for every backend. Limits are Table Storage's, and every backend checks them:
https://learn.microsoft.com/azure/storage/tables/scalability-targets
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

type Value = str | bytes | int | bool | float
type Values = Mapping[str, Value]

ANY = "*"
"""The condition that only wants the row to be there."""

MAX_OPERATIONS = 100
MAX_TRANSACTION_BYTES = 4 << 20
MAX_ROW_BYTES = 1 << 20
MAX_BINARY_BYTES = 64 << 10
MAX_STRING_UNITS = 32 << 10
"""UTF-16 code units of one text property."""

_KEY = re.compile(r"[A-Za-z0-9_,!-]{1,512}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_INT32 = 1 << 32
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Row:
    """One stored row. `etag` names its version; every write makes a new one."""

    key: str
    etag: str
    values: Values


@dataclass(frozen=True, slots=True)
class Insert:
    """Write a row that is not there yet."""

    key: str
    values: Values


@dataclass(frozen=True, slots=True)
class Merge:
    """Set the named properties and leave the others: nothing is ever cleared by it."""

    key: str
    values: Values
    if_match: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Set the named properties and drop the others."""

    key: str
    values: Values
    if_match: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a row away; one that is not there breaks the condition."""

    key: str
    if_match: str = ANY


type Operation = Insert | Merge | Replace | Delete


@dataclass(frozen=True, slots=True)
class Scan:
    """One page of a scan; there may be none in it, and more in the next."""

    rows: tuple[tuple[str, Row], ...]
    """Each with its partition; `values` are those that were asked for."""
    cursor: str | None
    """What the next page is asked with; None: this was the last."""


class Rows(Protocol):
    """Every method raises `StoreUnavailable` where the answer is unknown, in bounded time."""

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        """Rows whose keys are from `first` up to, not including, `last`, in order; hot."""
        ...

    async def get(self, partition: str, key: str) -> Row | None: ...

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        """All of them or none, each row at most once; gives the new ETags ("" for a deletion).

        Raises `Conflict` where a condition does not hold, and says nothing else about it. A write
        whose answer is lost is never sent again: it raises `StoreUnavailable`, and may have
        landed.
        """
        ...

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        """As `range`, for what no turn waits for; `keys_only` leaves the values out."""
        ...

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        """A page of the rows of all partitions whose time `name`, in ms, is earlier than `before`.

        At most `limit` rows, with `name` and the properties `also` only, in bounded time: it reads
        the whole table, page by page. `after` is the cursor of the page before; one that means
        nothing any more is `StoreUnavailable`, or some other place to go on from.
        """
        ...

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        """Delete at most 100 rows; those that are gone already are no trouble."""
        ...

    async def ready(self) -> None:
        """Reach the backend, and create what is missing."""
        ...

    async def aclose(self) -> None: ...


def check_key(key: str) -> None:
    """Keys are made of characters that need no escaping anywhere. Raises `ValueError`."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key: use letters, digits and _ - , !, at most 512.")


def check_write(partition: str, operations: Sequence[Operation]) -> None:
    """Refuse what Table Storage would: emulators do not check it all. Raises `ValueError`."""
    check_key(partition)
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise ValueError(f"A write has 1 to {MAX_OPERATIONS} operations, not {len(operations)}.")
    if len({operation.key for operation in operations}) != len(operations):
        raise ValueError("A transaction names a row twice.")
    total = 0
    for operation in operations:
        check_key(operation.key)
        size = 0 if isinstance(operation, Delete) else _size(operation.key, operation.values)
        if size > MAX_ROW_BYTES:
            raise ValueError(f"Row {operation.key} is larger than {MAX_ROW_BYTES} bytes.")
        # Base64 on the way, and about a kilobyte of headers for each operation.
        total += size * 4 // 3 + 1024
    if total > MAX_TRANSACTION_BYTES:
        raise ValueError(f"A transaction is larger than {MAX_TRANSACTION_BYTES} bytes.")


def check_scan(before: int) -> None:
    """The service's client spells smaller numbers as another type. Raises `ValueError`."""
    if not _INT32 <= before < _INT64:
        raise ValueError(f"{before} is no time to look for: use milliseconds since 1970.")


def _size(key: str, values: Values) -> int:
    size = 0
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a property.")
        if isinstance(value, bytes):
            if len(value) > MAX_BINARY_BYTES:
                raise ValueError(f"{key}.{name} is longer than {MAX_BINARY_BYTES} bytes.")
            size += len(value)
        elif isinstance(value, str):
            # Two units a code point at most: counting them exactly is rarely needed.
            if 2 * len(value) > MAX_STRING_UNITS and len(value.encode("utf-16-le")) > (
                2 * MAX_STRING_UNITS
            ):
                raise ValueError(f"{key}.{name} is longer than {MAX_STRING_UNITS} UTF-16 units.")
            size += 2 * len(value)
        elif isinstance(value, int) and not -_INT64 <= value < _INT64:
            raise ValueError(f"{key}.{name} does not fit 64 bits.")
        size += 2 * len(name) + 16
    return size
