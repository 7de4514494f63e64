"""A model that says what the test has it say, when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.events import Delta, Finish, ModelEvent
from shared.messages import ModelRequest, Usage

USAGE = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


class ScriptedModel:
    """Implements `ChatModel`. What is queued before it is asked is said at once."""

    def __init__(self, *, refusal: Exception | None = None, delay: float = 0.0) -> None:
        """`refusal` is raised instead of a stream; `delay`: seconds until either comes."""
        self.requests: list[ModelRequest] = []
        self.refusal = refusal
        self.open = 0
        """Streams that are not closed."""
        self._delay = delay
        self._script: asyncio.Queue[Sequence[ModelEvent] | Exception | None] = asyncio.Queue()

    @asynccontextmanager
    async def ask(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[Sequence[ModelEvent]]]:
        self.requests.append(request)
        self.open += 1
        try:
            await asyncio.sleep(self._delay)
            if self.refusal is not None:
                raise self.refusal
            yield self._stream()
        finally:
            self.open -= 1

    def say(self, *events: ModelEvent | str) -> None:
        """What arrives together; text is a `Delta`."""
        self._script.put_nowait([Delta(e) if isinstance(e, str) else e for e in events])

    def finish(self, reason: str | None = "stop", usage: Usage | None = USAGE) -> None:
        """The last events, and the end of the stream."""
        self.say(Finish(reason, usage))  # type: ignore[arg-type]
        self.end()

    def fail(self, error: Exception) -> None:
        self._script.put_nowait(error)

    def end(self) -> None:
        """The stream ends, whatever it said."""
        self._script.put_nowait(None)

    async def _stream(self) -> AsyncIterator[Sequence[ModelEvent]]:
        while (said := await self._script.get()) is not None:
            if isinstance(said, Exception):
                raise said
            yield said
