"""Which statements a transaction's operations are: pure, and the same for every database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.history.rows import ANY, Delete, Insert, Merge, Operation, Replace, Values
from shared.history.sql.values import encode_values

KEY_CHARACTERS = 384
PARTITION_CHARACTERS = 512
"""Both together are what a clustered index of SQL Server takes: 900 bytes."""

KEY = f"CAST(? AS varchar({PARTITION_CHARACTERS}))"
"""A key as a parameter, of the type of its column."""

_COLUMNS = ("partition_key", "row_key", "version", "properties", "parts")


@dataclass(frozen=True, slots=True)
class Change:
    """A statement that writes, and how many rows it must meet."""

    sql: str
    parameters: tuple[str | bytes, ...]
    rows: int = 1
    moves: bool = False
    """The row had only to be there: one that has changed since is read anew."""


def changes(
    table: str,
    partition: str,
    operations: Sequence[Operation],
    versions: Mapping[str, str],
    found: Mapping[str, tuple[str, Values]],
) -> list[Change]:
    """In the order in which everybody takes locks: by key, and what is new comes last."""
    ordered = sorted(operations, key=lambda operation: operation.key)
    with_parts = has_parts(ordered)
    made: list[Change] = []
    gone: list[str] = []
    new: list[str | bytes] = []
    for operation in ordered:
        key, version = operation.key, versions[operation.key]
        match operation:
            case Insert():
                new += [partition, key, version, *encode_values(operation.values)]
            case Delete(if_match="*"):
                gone.append(key)
            case Delete():
                made.append(_change(f"DELETE FROM {table}", (), partition, key, operation.if_match))
            case Replace():
                set_to = version, *encode_values(operation.values)
                made.append(_update(table, set_to, partition, key, operation.if_match))
            case Merge():
                seen, values = found[key]
                properties, parts = encode_values({**values, **operation.values})
                merged = (version, properties, parts) if with_parts else (version, properties)
                update = _update(table, merged, partition, key, seen)
                made.append(replace(update, moves=operation.if_match == ANY))
    if gone:
        places = ", ".join(KEY for _ in gone)
        sql = f"DELETE FROM {table} WHERE partition_key = {KEY} AND row_key IN ({places})"
        made.append(Change(sql, (partition, *gone), len(gone)))
    if new:
        rows = len(new) // len(_COLUMNS)
        row = "(" + ", ".join("?" for _ in _COLUMNS) + ")"
        sql = f"INSERT INTO {table} ({', '.join(_COLUMNS)}) VALUES {', '.join([row] * rows)}"
        made.append(Change(sql, tuple(new), rows))
    return made


def has_parts(operations: Sequence[Operation]) -> bool:
    """Whether one of them merges bytes: else a row's body stays where it is, unread."""
    return any(
        isinstance(value, bytes)
        for operation in operations
        if isinstance(operation, Merge)
        for value in operation.values.values()
    )


def _update(
    table: str, set_to: Sequence[str | bytes], partition: str, key: str, if_match: str
) -> Change:
    names = ", ".join(f"{name} = ?" for name in _COLUMNS[2 : 2 + len(set_to)])
    return _change(f"UPDATE {table} SET {names}", set_to, partition, key, if_match)


def _change(
    begun: str, parameters: Sequence[str | bytes], partition: str, key: str, if_match: str
) -> Change:
    sql = f"{begun} WHERE partition_key = {KEY} AND row_key = {KEY}"
    if if_match == ANY:
        return Change(sql, (*parameters, partition, key))
    return Change(f"{sql} AND version = ?", (*parameters, partition, key, if_match))
