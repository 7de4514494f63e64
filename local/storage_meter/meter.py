"""Notes the requests of the Table service: what each was, how it ended, how long it took."""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httptools

from local.storage import ACCOUNT, Storage
from local.storage_meter.relay import running_relay
from local.storage_meter.words import Said, said_of

_KEPT = 1000
# A transaction's own limit is 4 MiB.
_KEPT_BODY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """One request: `at` in seconds since 1970; `status` 0 where no answer came; `path` decoded.

    `what` says in words what it was; `conversation` is whose rows it named, where it named any.
    """

    number: int
    at: float
    method: str
    path: str
    what: str
    conversation: str | None
    status: int
    ms: float

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.method == "GET"


class Meter:
    """A running meter, and the last 1000 requests. Made by `running_meter`."""

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        """What a client connects with to be metered."""
        self.newest = 0
        """The number of the newest request."""
        self._noted: deque[StoreRequest] = deque(maxlen=_KEPT)

    def requests(self, *, after: int = 0, since: float = 0.0) -> list[StoreRequest]:
        """Those with a higher number that were sent at `since` or later, in order of their end."""
        return [noted for noted in self._noted if noted.number > after and noted.at >= since]

    def note(self, asked: "_Asked", status: int) -> None:
        """A request has ended, one way or another."""
        self.newest += 1
        ms = 1000 * (time.monotonic() - asked.begun)
        said = asked.said()
        self._noted.append(
            StoreRequest(
                number=self.newest,
                at=asked.at,
                method=asked.method,
                path=said.path,
                what=said.what,
                conversation=said.conversation,
                status=status,
                ms=round(ms, 1),
            )
        )


@asynccontextmanager
async def running_meter(storage: Storage) -> AsyncIterator[Meter]:
    """Meters the Table service while the block runs. It must not be served over TLS."""
    if storage.certificate:
        raise ValueError("what is said over TLS cannot be read along")
    meter: Meter | None = None

    def reader() -> _Connection:
        assert meter is not None
        return _Connection(meter.note)

    async with running_relay(storage.port, reader) as port:
        meter = Meter(replace(storage, port=port).connection_string)
        yield meter


class _Asked:
    """A request as far as it was read."""

    def __init__(self) -> None:
        self.at = time.time()
        self.begun = time.monotonic()
        self.method = ""
        self.target = b""
        self.body = bytearray()

    def said(self) -> Said:
        return said_of(self.method, self.target.decode("latin-1"), ACCOUNT, bytes(self.body))


class _Connection:
    """Reads a connection's HTTP along. What cannot be read is relayed all the same."""

    def __init__(self, note: Callable[[_Asked, int], None]) -> None:
        self._note = note
        self._waiting: deque[_Asked] = deque()
        self._requests = httptools.HttpRequestParser(_Requests(self))
        self._responses = httptools.HttpResponseParser(_Responses(self))
        self._readable = True

    @property
    def method(self) -> str:
        return str(self._requests.get_method().decode("ascii"))

    @property
    def status(self) -> int:
        return int(self._responses.get_status_code())

    def asked(self, data: bytes) -> None:
        self._feed(self._requests, data)

    def answered(self, data: bytes) -> None:
        self._feed(self._responses, data)

    def begin(self) -> _Asked:
        asked = _Asked()
        self._waiting.append(asked)
        return asked

    def end(self, status: int) -> None:
        # Below 200 it is not the answer yet (RFC 9110, 15.2).
        if status >= 200 and self._waiting:
            self._note(self._waiting.popleft(), status)

    def closed(self) -> None:
        while self._waiting:
            self._note(self._waiting.popleft(), 0)

    def _feed(
        self, parser: httptools.HttpRequestParser | httptools.HttpResponseParser, data: bytes
    ) -> None:
        if not self._readable:
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._readable = False


class _Requests:
    """httptools' callbacks for what the caller says."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._asked = _Asked()

    def on_message_begin(self) -> None:
        # Kept here: the answer may come before the whole body.
        self._asked = self._connection.begin()

    def on_url(self, url: bytes) -> None:
        # A long one may come in parts.
        self._asked.target += url

    def on_headers_complete(self) -> None:
        self._asked.method = self._connection.method

    def on_body(self, body: bytes) -> None:
        kept = self._asked.body
        if len(kept) < _KEPT_BODY_BYTES:
            kept += body


class _Responses:
    """httptools' callbacks for what the store says."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def on_message_complete(self) -> None:
        self._connection.end(self._connection.status)
