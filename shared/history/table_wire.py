"""The requests that turns wait for, spoken to the Table service directly.

One query, one point read, one merge, one transaction: as little work for each as can be, because
every turn pays for them. Nothing is ever sent twice from here (aiohttp repeats GET on a dropped
connection, never POST and PATCH). https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api
"""

import hmac
import io
import re
from base64 import b64decode, b64encode
from binascii import a2b_base64
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from shared.history.account import SCOPE, Account
from shared.history.failures import TIME_LIMITS, TimeLimits, failed, loggable, unknown
from shared.history.rows import (
    Delete,
    Insert,
    Merge,
    Operation,
    Replace,
    Row,
    Values,
    check_key,
    check_write,
)

type TokenSource = Callable[[str], Awaitable[str]]
"""Gives a bearer token for a scope; it caches, and raises `ChatError` only."""

_KEEP_ALIVE_SECONDS = 120
_CONNECTIONS = 200
_PAGE = 1000
"""The service's own limit of one answer."""
_LARGE = 1 << 20
_INT32 = 1 << 31
_TYPE = "@odata.type"
_METADATA = ("odata.metadata", "odata.etag", "PartitionKey", "RowKey", "Timestamp")

_ACCEPT = "application/json;odata=minimalmetadata"
_HEADERS = {
    "Accept": _ACCEPT,
    "x-ms-version": "2020-12-06",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
}
_WRITE = {**_HEADERS, "Content-Type": "application/json", "Prefer": "return-no-content"}
# Values are JSON, where line breaks are escaped: no content can look like a boundary.
_BATCH = {**_HEADERS, "Content-Type": "multipart/mixed; boundary=batch_1"}
_BATCH_BEGIN = b"--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n"
_BATCH_PART = (
    "--changeset_1\r\n"
    "Content-Type: application/http\r\n"
    "Content-Transfer-Encoding: binary\r\n"
    "\r\n"
    "{method} {url} HTTP/1.1\r\n"
    "Content-Type: application/json\r\n"
    f"Accept: {_ACCEPT}\r\n"
    "Prefer: return-no-content\r\n"
    "DataServiceVersion: 3.0\r\n"
    "{condition}"
    "\r\n"
)
_BATCH_END = b"--changeset_1--\r\n--batch_1--\r\n"
_METHODS = {Insert: "POST", Merge: "PATCH", Replace: "PUT", Delete: "DELETE"}

_PART = re.compile(rb"HTTP/1\.1 ([0-9]{3})(.*?)(?:\r?\n\r?\n|\Z)", re.DOTALL)
_ETAG = re.compile(rb"^etag: *([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_CODE = re.compile(rb'"code" *: *"([A-Za-z]{1,100})"')


class _Entities(Struct):
    value: list[dict[str, Any]]


_entities = msgspec.json.Decoder(_Entities)
_entity = msgspec.json.Decoder(dict[str, Any])


class TableWire:
    """One table. Raises `NoTable`, `Conflict` and `StoreUnavailable`."""

    def __init__(
        self,
        account: Account,
        table: str,
        token: TokenSource | None = None,
        limits: TimeLimits = TIME_LIMITS,
    ) -> None:
        self._account = account
        self._token = token
        self._limits = limits
        self._key = b64decode(account.key) if account.key is not None else None
        self._url = f"{account.url}/{table}"
        self._path = URL(self._url).raw_path
        self._batch_url = f"{account.url}/$batch"
        self._batch_path = f"{URL(account.url).raw_path.rstrip('/')}/$batch"
        self._session: aiohttp.ClientSession | None = None

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        """Rows from `first` up to `last`, in order: one request, but for a page that ends early."""
        for key in (partition, first, last):
            check_key(key)
        where = (
            f"$filter=PartitionKey%20eq%20'{partition}'%20and%20RowKey%20ge%20'{first}'"
            f"%20and%20RowKey%20lt%20'{last}'"
        )
        rows: list[Row] = []
        after = ""
        while len(rows) < limit:
            query = f"{where}&$top={min(limit - len(rows), _PAGE)}{after}"
            status, body, headers = await self._send("GET", "()", query, _HEADERS)
            if status != 200:
                raise self._failed(status, body, write=False)
            rows += self._decoded(body, _rows)
            after = _continuation(headers)
            if not after:
                break
        return rows

    async def get(self, partition: str, key: str) -> Row | None:
        """A point read."""
        status, body, _ = await self._send("GET", _address(partition, key), "", _HEADERS)
        if status == 200:
            return self._decoded(body, _row)
        if status == 404 and b'"ResourceNotFound"' in body:
            return None
        raise self._failed(status, body, write=False)

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        """One insert or merge as a request of its own, anything else as a transaction."""
        check_write(partition, operations)
        only = operations[0]
        if len(operations) > 1 or isinstance(only, Replace | Delete):
            return await self._transaction(partition, operations)
        if isinstance(only, Insert):
            method, path, headers = "POST", "", _WRITE
        else:
            method, path = "PATCH", _address(partition, only.key)
            headers = {**_WRITE, "If-Match": only.if_match}
        body = _encode(partition, only.key, only.values)
        status, answer, back = await self._send(method, path, "", headers, body)
        if status != 204 or "ETag" not in back:
            raise self._failed(status, answer, write=True)
        return [back["ETag"]]

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _transaction(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        """An entity group transaction: all or nothing."""
        pieces = [_BATCH_BEGIN]
        for operation in operations:
            url, condition, body = self._url, "", b""
            if not isinstance(operation, Insert):
                url += _address(partition, operation.key)
                condition = f"If-Match: {operation.if_match}\r\n"
            if not isinstance(operation, Delete):
                body = _encode(partition, operation.key, operation.values)
            part = _BATCH_PART.format(
                method=_METHODS[type(operation)], url=url, condition=condition
            )
            pieces += [part.encode(), body, b"\r\n"]
        pieces.append(_BATCH_END)
        status, answer, _ = await self._send("POST", None, "", _BATCH, b"".join(pieces))
        if status != 202:
            raise self._failed(status, answer, write=True)
        parts = _PART.findall(answer)
        for code, _ in parts:
            if not code.startswith(b"2"):
                raise self._failed(int(code), answer, write=True)
        if len(parts) != len(operations):
            raise unknown(self._account)
        etags = [found[1].decode() if (found := _ETAG.search(head)) else "" for _, head in parts]
        return ["" if isinstance(o, Delete) else e for o, e in zip(operations, etags, strict=True)]

    async def _send(
        self, method: str, path: str | None, query: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, bytes, Any]:
        """One request, once; `path` is behind the table's, None: the transactions'."""
        url, signed = (
            (self._batch_url, self._batch_path)
            if path is None
            else (self._url + path, self._path + path)
        )
        if self._account.sas is not None:
            query = f"{query}&{self._account.sas}" if query else self._account.sas
        authorized = await self._authorized(signed, headers)
        # aiohttp warns of large bytes, which it would write in one piece.
        data = io.BytesIO(body) if len(body) > _LARGE else body or None
        try:
            async with self._opened().request(
                method,
                URL(f"{url}?{query}" if query else url, encoded=True),
                data=data,
                headers=authorized,
                allow_redirects=False,
            ) as response:
                return response.status, await response.read(), response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise unknown(self._account) from loggable(self._account, exc)

    async def _authorized(self, path: str, headers: dict[str, str]) -> dict[str, str]:
        """The headers with a signature (Shared Key Lite) or a token, whichever there is.

        https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
        """
        if self._key is not None:
            date = formatdate(usegmt=True)
            text = f"{date}\n/{self._account.name}{path}".encode()
            signature = b64encode(hmac.digest(self._key, text, "sha256")).decode()
            key = f"SharedKeyLite {self._account.name}:{signature}"
            return {**headers, "x-ms-date": date, "Authorization": key}
        if self._token is None:
            return headers
        return {**headers, "Authorization": f"Bearer {await self._token(SCOPE)}"}

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made at first use: it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS
                ),
                timeout=aiohttp.ClientTimeout(
                    total=self._limits.total, sock_connect=self._limits.connect
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _failed(self, status: int, body: bytes, *, write: bool) -> Exception:
        code = found[1].decode() if (found := _CODE.search(body)) else ""
        return failed(self._account, status, code, write=write)

    def _decoded[T](self, body: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(body)
        except (msgspec.MsgspecError, LookupError, ValueError, TypeError) as exc:
            raise unknown(self._account) from exc


def _address(partition: str, key: str) -> str:
    check_key(partition)
    check_key(key)
    return f"(PartitionKey='{partition}',RowKey='{key}')"


def _continuation(headers: Any) -> str:
    """What the next page is asked with; "": this was the last."""
    partition = headers.get("x-ms-continuation-NextPartitionKey")
    if partition is None:
        return ""
    row = headers.get("x-ms-continuation-NextRowKey", "")
    query = URL.build(query={"NextPartitionKey": partition, "NextRowKey": row}).raw_query_string
    return f"&{query}"


def _encode(partition: str, key: str, values: Values) -> bytes:
    """An entity as the service reads it: base64 and 64-bit integers say their type."""
    said: dict[str, Any] = {"PartitionKey": partition, "RowKey": key}
    for name, value in values.items():
        if isinstance(value, bytes):
            said[name + _TYPE] = "Edm.Binary"
        elif isinstance(value, float):
            said[name + _TYPE] = "Edm.Double"
        elif isinstance(value, int) and not -_INT32 <= value < _INT32:
            said[name + _TYPE] = "Edm.Int64"
            value = str(value)
        said[name] = value
    text = msgspec.json.encode(said)
    # The emulator, which reads a transaction by lines, takes these two for ends of lines.
    return text.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")


def _rows(body: bytes) -> list[Row]:
    return [_of_entity(entity) for entity in _entities.decode(body).value]


def _row(body: bytes) -> Row:
    return _of_entity(_entity.decode(body))


def _of_entity(entity: dict[str, Any]) -> Row:
    """An entity as a row; properties of types that this app never writes stay as they came."""
    for name in [n for n in entity if "@" in n]:
        kind, name = entity.pop(name), name.removesuffix(_TYPE)
        if kind == "Edm.Binary":
            entity[name] = a2b_base64(entity[name])
        elif kind == "Edm.Int64":
            entity[name] = int(entity[name])
    key, etag = entity["RowKey"], entity["odata.etag"]
    for name in _METADATA:
        entity.pop(name, None)
    return Row(key, etag, entity)
