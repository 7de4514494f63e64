"""What a request of the Table service was, in words, by the history's own keys (docs/history.md).

https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

_ENTITY = re.compile(r"\(PartitionKey='([^']*)',RowKey='([^']*)'\)")
_FROM = re.compile(r"RowKey ge '([^']*)'")
_CONVERSATION = re.compile(r"[vt],([A-Za-z0-9_-]{1,64}),")
_INDEX_CONVERSATION = re.compile(r"i,[0-9]{13},([A-Za-z0-9_-]{1,64})")
_PART = re.compile(rb"^(POST|PATCH|MERGE|PUT|DELETE) (\S+) HTTP/1\.1\r?$", re.MULTILINE)
_ROW_KEY = re.compile(rb'"RowKey" ?: ?"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Said:
    """`path` without the account, decoded; `conversation` None where no row key names one."""

    path: str
    what: str
    conversation: str | None


def said_of(method: str, target: str, account: str, body: bytes) -> Said:
    """What a request said: its method, its target as sent, and its body."""
    raw, _, query = target.partition("?")
    path = unquote(raw).removeprefix(f"/{account}").removeprefix("/")
    if path.lower().startswith("tables"):
        what = "look at the tables" if method == "GET" else "create the table"
        return Said(path, what, None)
    if path == "$batch":
        rows = _rows(body)
        return Said(path, _transaction(rows), _conversation(key for _, key in rows))
    entity = _ENTITY.search(path)
    if entity is None and method == "GET":
        found = _FROM.search(unquote(query.replace("+", " ")))
        first = found[1] if found else ""
        return Said(path, f"read {_range(first)}", _conversation([first]))
    if entity is None:
        return Said(path, f"insert {_row(_first(_ROW_KEY, body))}", None)
    key = entity[2]
    return Said(path, _single(method, key, body), _conversation([key]))


def _single(method: str, key: str, body: bytes) -> str:
    if method == "GET":
        return f"read {_row(key)}"
    if method == "DELETE":
        return f"delete {_row(key)}"
    if ",m" in key:
        # Only the write that ends an answer says why it ended.
        return "end: merge of the answer" if b'"reason"' in body else "checkpoint: merge"
    return f"merge of {_row(key)}"


def _rows(body: bytes) -> list[tuple[str, str]]:
    """Method and row key of each operation of a transaction."""
    parts = list(_PART.finditer(body))
    edges = [part.start() for part in parts] + [len(body)]
    rows = []
    for part, end in zip(parts, edges[1:], strict=True):
        entity = _ENTITY.search(unquote(part[2].decode("latin-1")))
        key = entity[2] if entity else _first(_ROW_KEY, body[part.end() : end])
        rows.append((part[1].decode("ascii"), key))
    return rows


def _transaction(rows: list[tuple[str, str]]) -> str:
    kinds = {(method, _row(key)) for method, key in rows}
    methods = {method for method, _ in rows}
    if ("POST", "the turn's number") in kinds:
        name = "begin"
    elif ("DELETE", "the turn's number") in kinds and ("PATCH", "the head") in kinds:
        name = "undo"
    elif ("PUT", "the head") in kinds:
        name = "delete the conversation"
    elif methods == {"DELETE"}:
        name = "remove rows"
    elif ("PATCH", "the head") in kinds and methods == {"PATCH"}:
        name = "rename"
    else:
        name = "write"
    return f"{name}: a transaction of {len(rows)} row{'' if len(rows) == 1 else 's'}"


def _row(key: str) -> str:
    if key.startswith("v,"):
        return "the head" if key.endswith(",!") else "a message"
    if key.startswith("t,"):
        return "the turn's number"
    if key.startswith("i,"):
        return "a line of the list"
    if key.startswith("c,"):
        return "a count of the limits"
    return "another row"


def _range(first: str) -> str:
    if first.startswith("v,"):
        return "head and newest messages" if first.endswith(",!") else "messages"
    if first.startswith("i,"):
        return "the list of conversations"
    if first.startswith("t,"):
        return "the turns of a conversation"
    return "rows"


def _conversation(keys: Iterable[str]) -> str | None:
    for key in keys:
        found = _CONVERSATION.match(key) or _INDEX_CONVERSATION.match(key)
        if found:
            return found[1]
    return None


def _first(pattern: re.Pattern[bytes], body: bytes) -> str:
    found = pattern.search(body)
    return found[1].decode("latin-1") if found else ""
