"""Facts to a thread of its own: what telemetry costs, no caller waits for.

The queue is bounded. What has no room in it is left out and counted, so that a destination that is
away costs neither memory nor time.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from shared.telemetry.facts import Facts
from shared.telemetry.handler import LogHandler

MOST_WAITING = 4096
CLOSE_SECONDS = 2.0
"""For what waits, and again for what is being sent: an instance that goes has little time."""

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where the thread brings facts; none of its methods is called by two at a time."""

    def take(self, facts: Facts) -> None: ...

    def close(self, seconds: float) -> None: ...


class Recorder:
    """A `Telemetry` whose facts wait until `start` has opened a sink, and then go there."""

    def __init__(
        self, open_sink: Callable[[], Sink], *, content: bool = False, logs: bool = False
    ) -> None:
        self._open_sink = open_sink
        self._starting = threading.Lock()
        self._content = content
        self._handler = LogHandler(self) if logs else None
        if self._handler is not None:
            logging.getLogger().addHandler(self._handler)
        self._queue: queue.Queue[Facts | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._sink: Sink | None = None
        self.dropped = 0
        """Facts that had no room."""

    @property
    def content(self) -> bool:
        return self._content

    def record(self, facts: Facts) -> None:
        try:
            self._queue.put_nowait(facts)
        except queue.Full:
            self.dropped += 1

    def start(self) -> None:
        """Open the sink, and bring it what has waited; blocks while the SDK is imported."""
        with self._starting:
            if self._thread is None:
                self._sink = self._open_sink()
                self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
                self._thread.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is here, and end; blocks for about that long at most."""
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        if not self._queue.empty():
            try:
                self.start()
            except Exception:  # an instance that goes closes everything else all the same
                _log.warning("What waited to be told is lost.", exc_info=True)
        if self._thread is None or self._sink is None:
            return
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=seconds)
            self._thread.join(seconds)
        self._sink.close(seconds)
        self._sink = None

    def _run(self) -> None:
        while (facts := self._queue.get()) is not None:
            try:
                assert self._sink is not None
                self._sink.take(facts)
            except Exception:
                # Never a fact about a log that failed: it would go round in circles.
                _log.debug("Something could not be told", exc_info=True)
