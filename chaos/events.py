"""A turn's events as a caller reads them: server-sent events, or one JSON object a line."""

import json
from collections.abc import Callable
from typing import Any

from chaos.history import End, Sighting

SSE = "text/event-stream"


class EventReader:
    """Reads one response into its sighting; `position` is the last event's, with what it means."""

    def __init__(self, sighting: Sighting, content_type: str, clock: Callable[[], float]) -> None:
        self._sighting = sighting
        self._separator = b"\n\n" if content_type == SSE else b"\n"
        self._clock = clock
        self._rest = b""
        self._pieces: list[str] = []
        self._length = 0
        self.position = ""
        self.told = sighting.before
        """What the position stands for."""

    def feed(self, data: bytes) -> None:
        """Take bytes as they come; what is no event stream is noted as strange."""
        *frames, self._rest = (self._rest + data).split(self._separator)
        fresh = len(self._pieces)
        for frame in frames:
            if not frame or frame.startswith(b":"):
                continue
            try:
                self._take(self._event(frame))
            except (ValueError, KeyError, TypeError) as exc:
                self._sighting.strange = f"{exc!r}: {frame[:200]!r}"
        if len(self._pieces) > fresh:
            sighting = self._sighting
            sighting.text = "".join(self._pieces)
            sighting.marks.append((self._clock(), self._length))
            self.told = sighting.whole

    @property
    def torn(self) -> bool:
        """Whether the response stopped inside of an event."""
        return bool(self._rest)

    def _event(self, frame: bytes) -> dict[str, Any]:
        if self._separator == b"\n":
            event = json.loads(frame)
        else:
            identifier, data = frame.split(b"\n")
            event = json.loads(data.removeprefix(b"data: "))
            if identifier != b"id: " + event["position"].encode():
                raise ValueError("id is not the position")
        if not isinstance(event, dict):
            raise TypeError("no object")
        return event

    def _take(self, event: dict[str, Any]) -> None:
        sighting = self._sighting
        if sighting.end is not None:
            raise ValueError("an event after the end")
        if event["type"] == "start" and (sighting.begun or sighting.before):
            raise ValueError("a start in the middle")
        if event["type"] != "start" and not sighting.begun and sighting.way != "attach":
            raise ValueError("no start")
        sighting.begun = True
        self.position = event["position"]
        if event["type"] == "delta":
            self._pieces.append(event["text"])
            self._length += len(event["text"])
        elif event["type"] == "error":
            sighting.error = event["code"]
        elif event["type"] == "end":
            sighting.end = End(event["finishReason"], event["result"]["response"], event["usage"])
