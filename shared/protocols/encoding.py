"""What the encoders of all protocols share."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from shared.events import Citations, End, Event, Position
from shared.messages import Document

HEARTBEAT_SECONDS = 15.0

_SEPARATORS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""Line separators that are legal in JSON, and that many clients' line readers split at."""


class Encoder(Protocol):
    """One form of the stream. Encoders with the same `key` share frames; None: its own alone."""

    heartbeat: bytes

    @property
    def key(self) -> str | None: ...

    def encode(self, event: Event, position: Position) -> bytes: ...


def escape_separators(data: bytes) -> bytes:
    """Keep a line of JSON one line for readers that split at Unicode's line separators."""
    if not data.isascii():
        for raw, escaped in _SEPARATORS:
            if raw in data:
                data = data.replace(raw, escaped)
    return data


def cut_by_filter(end: End) -> bool:
    """Whether the content filter stopped an answer that had begun.

    For protocols with a finish reason of their own for it, that is an end and no error.
    """
    return end.finish_reason == "content_filter" and end.text != ""


def shown_retrieval(event: Citations) -> dict[str, Any]:
    """What is said of the documents besides those that are cited; nothing, where all is well.

    `query`: what was looked for instead of the question, `leftOut`: documents that had no room,
    `error`: why there are none.
    """
    told: dict[str, Any] = {}
    if event.query is not None:
        told["query"] = event.query
    if event.left_out:
        told["leftOut"] = shown_documents(event.left_out)
    if event.failure is not None:
        told["error"] = {"code": event.failure.code, "message": event.failure.message}
    return told


def shown_documents(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """What callers are shown of documents: not their content, which may be long and not theirs."""
    return [
        {name: value for name, value in msgspec.to_builtins(d).items() if name != "content"}
        for d in documents
    ]
