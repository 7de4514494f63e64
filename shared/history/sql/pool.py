"""Connections of a driver that blocks, each used by one thread at a time, all of them bounded."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from shared.errors import ChatError, StoreUnavailable
from shared.history.base import Conflict
from shared.history.sql.dialect import Connection, Dialect, Verdict

logger = logging.getLogger(__name__)

SIZE = 16
"""Connections of one instance: each turn uses one for a few milliseconds now and then."""
TOTAL_SECONDS = 8.0
"""For one request of the store, waiting for a connection included."""
IDLE_SECONDS = 120.0
PAUSE_SECONDS = 0.01
TRIES = 4
"""Of a transaction that lost to others in a deadlock, or met a connection that was closed."""

type Secret = Callable[[], Awaitable[str]]
"""The identity's token, for new connections."""


class Uncertain(Exception):
    """The commit was sent, and its answer lost: `error` says how."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(type(error)))
        self.error = error


class Moved(Exception):
    """A row was changed between its being read and written; nothing was written."""


class SqlPool:
    """Runs work that blocks; made for one event loop."""

    def __init__(
        self, dialect: Dialect, setting: str, token: Secret | None = None, size: int = SIZE
    ) -> None:
        self._dialect = dialect
        self._setting = setting
        self._token = token
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="sql")
        self._idle: deque[tuple[float, Connection]] = deque()
        self._closed = False

    async def run[T](self, work: Callable[[Connection], T]) -> T:
        """Its result. What certainly was not committed is tried again, for as long as there is
        time.

        Raises `StoreUnavailable` where the answer is unknown, `Misconfigured`, and what `work`
        raises of its own.
        """
        if self._closed:
            raise StoreUnavailable("The history is closed: the app is shutting down.")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                token = await self._token() if self._token is not None else None
                return await loop.run_in_executor(
                    self._threads, self._work, work, token, loop.time() + TOTAL_SECONDS
                )
        except TimeoutError as exc:
            raise StoreUnavailable(
                f"The database that {self._setting} names gives no answer in time."
            ) from exc

    async def aclose(self) -> None:
        """Close what is idle; what is at work is closed when it is done."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._idle:
            _close(self._idle.pop()[1])

    def _work[T](self, work: Callable[[Connection], T], token: str | None, until: float) -> T:
        failed = 0
        while True:
            connection: Connection | None = None
            try:
                # An old connection may have been closed meanwhile: then try a new one.
                connection = self._taken() if failed < 2 else None
                connection = connection or self._dialect.connect(token)
                result = work(connection)
            except Moved as exc:
                self._keep(connection)
                if time.monotonic() > until:  # nobody waits for it any more
                    raise StoreUnavailable(f"{self._setting}: others write to the same.") from exc
                continue
            except Conflict:
                self._keep(connection)
                raise
            except ChatError:  # it may have left a transaction open, and its locks
                _close(connection)
                raise
            except Uncertain as exc:
                _close(connection)
                raise self._dialect.told(exc.error) from exc
            except Exception as exc:
                verdict = self._dialect.judge(exc)
                _close(connection)
                if verdict is None:
                    raise
                failed += 1
                again = verdict in (Verdict.AGAIN, Verdict.LOST) and connection is not None
                if not again or failed == TRIES or time.monotonic() > until:
                    raise self._dialect.told(exc) from exc
                time.sleep(PAUSE_SECONDS * failed)
                continue
            self._keep(connection)
            return result

    def _taken(self) -> Connection | None:
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < IDLE_SECONDS:
                return connection
            _close(connection)

    def _keep(self, connection: Connection | None) -> None:
        if connection is None:
            return
        if self._closed:
            _close(connection)
        else:
            self._idle.append((time.monotonic(), connection))


def _close(connection: Connection | None) -> None:
    if connection is not None:
        with suppress(Exception):
            connection.close()
