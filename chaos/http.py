"""HTTP/1.1 read along for the relays: whole requests, and responses as they come."""

from dataclasses import dataclass, field

import httptools


@dataclass(slots=True)
class Request:
    """A whole request: its bytes as they came, and what they say."""

    raw: bytearray = field(default_factory=bytearray)
    method: str = ""
    target: bytes = b""
    body: bytearray = field(default_factory=bytearray)


class RequestReader:
    """Reads requests; there is never more than one under way on a connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._done = False

    def feed(self, data: bytes) -> Request | None:
        """The request that these bytes complete. Raises `httptools.HttpParserError`."""
        self._request.raw += data
        self._parser.feed_data(data)
        if not self._done:
            return None
        request, self._request, self._done = self._request, Request(), False
        return request

    def on_url(self, url: bytes) -> None:
        self._request.target += url

    def on_body(self, body: bytes) -> None:
        self._request.body += body

    def on_message_complete(self) -> None:
        self._request.method = self._parser.get_method().decode("ascii")
        self._done = True


class ResponseReader:
    """Reads one response: `status` once its head is there, `fresh` is the body since `take`."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.done = False
        self._fresh = bytearray()

    def feed(self, data: bytes) -> None:
        """Raises `httptools.HttpParserError`."""
        self._parser.feed_data(data)

    def take(self) -> bytes:
        """What of the body came since the last time."""
        fresh, self._fresh = bytes(self._fresh), bytearray()
        return fresh

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._fresh += body

    def on_message_complete(self) -> None:
        # Below 200 it is not the answer yet (RFC 9110, 15.2).
        self.done = self.status >= 200


def refusal(status: int, body: bytes, headers: str = "") -> bytes:
    """A whole response with an error."""
    head = (
        f"HTTP/1.1 {status} Made Up\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body
