"""Server-sent events, decoded: bytes as they come from the wire in, complete `data` out.

https://html.spec.whatwg.org/multipage/server-sent-events.html, of which a model's stream uses
`data` only: comments and the fields `event`, `id` and `retry` are passed over. Lines end with LF
or CRLF.
"""

from shared.errors import ModelUnavailable

MAX_EVENT_BYTES = 1 << 20


class SseDecoder:
    """One stream's decoder. Splits bytes, not text: U+2028 inside JSON is no line break."""

    __slots__ = ("_data", "_held", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        """The beginning of a line whose end has not come."""
        self._data: list[bytes] = []
        """The `data` lines of an event whose blank line has not come."""
        self._held = 0
        """How many bytes they have: to be summed once, however many there are."""

    def feed(self, read: bytes) -> list[bytes]:
        """The `data` of every event that `read` completes.

        Raises `ModelUnavailable` for an event of more than `MAX_EVENT_BYTES`.
        """
        rest, data = self._rest, self._data
        if (
            read.startswith(b"data: ")
            and read.endswith(b"\n\n")
            and read.count(b"\n") == 2
            and not (rest or data)
        ):
            return [read[6:-2].removesuffix(b"\r")]  # What mostly comes: one event, whole.
        if rest:
            rest += read
            if b"\n" not in read:
                self._check_size()
                return []
            read = bytes(rest)
            rest.clear()
        lines = read.split(b"\n")
        rest += lines.pop()
        events: list[bytes] = []
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]  # the line without its ending
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b" ", 5) else line[5:]
                data.append(value)
                self._held += len(value) + 1
            elif not line and data:
                events.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
                self._held = 0
        if rest or data:
            self._check_size()
        return events

    def end(self) -> list[bytes]:
        """The event that the stream's end completes, for services that forget the blank line."""
        return self.feed(b"\n\n")

    def _check_size(self) -> None:
        if len(self._rest) + self._held > MAX_EVENT_BYTES:
            raise ModelUnavailable("The model's stream could not be read: an event is too long.")
