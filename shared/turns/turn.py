"""One running turn: it reads the model, apart from whoever watches, and ends truthfully.

The turn's task outlives its caller. A watcher that leaves only unsubscribes; when nobody has
watched for the grace, the turn ends as `disconnected`.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.errors import ChatError, ContentFiltered, InternalError, ModelBrokeOff, ModelTimeout
from shared.events import (
    BEGINNING,
    Answering,
    End,
    Error,
    Finish,
    Position,
    ShownEvent,
)
from shared.messages import FinishReason, ModelRequest, Usage
from shared.models.base import ChatModel
from shared.prompts.tokens import estimate_messages
from shared.turns.buffer import TurnBuffer, Watch, size_in_bytes
from shared.turns.grounding import Grounding
from shared.turns.report import Report
from shared.turns.usage import said_tokens
from shared.turns.writer import Mail, StillWatched, TurnWriter, Verdict

logger = logging.getLogger(__name__)

FRAME_SECONDS = 1 / 20
"""Between two reads of a model that is faster than that, on an instance that is busy; what comes
meanwhile leaves together. What a frame costs is what bounds the callers of an instance."""
BUSY_TURNS = 50
"""From so many turns on an instance is busy; one with fewer waits for as much less."""
FRAME_BYTES = 64
"""A read that gave so much is worth a frame of its own: a model is never slowed down."""

TAIL_SECONDS = 5.0
"""How long a model may take, after it said why it ended, to say what it used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What limits a turn; times in seconds."""

    max_bytes: int
    """Of text, reasoning included."""
    model_timeout: float
    grace: float
    heartbeat: float


@dataclass(frozen=True, slots=True)
class _Outcome:
    reason: FinishReason
    error: ChatError | None = None


class Turn:
    """A turn that runs on this instance.

    A response begins at the first event, and at the latest at `respond_by` (the loop's clock): what
    fails before that is the turn's refusal, with a true HTTP status, and leaves nothing behind.
    `load` tells how many turns the instance runs; `spend` is told what tokens it used, once it has
    ended. `grounding` finds what the answer rests on, and makes the request of it. `report` is what
    operators are told.
    """

    def __init__(
        self,
        *,
        turn_id: str,
        digest: str,
        result_name: str,
        model: ChatModel,
        request: ModelRequest,
        buffer: TurnBuffer,
        bounds: Bounds,
        writer: TurnWriter | None,
        cancel_on_leave: bool,
        respond_by: float,
        load: Callable[[], int],
        spend: Callable[[int], None] | None = None,
        grounding: Grounding | None = None,
        report: Report | None = None,
    ) -> None:
        self.turn_id = turn_id
        self.digest = digest
        self.result_name = result_name
        self.over = asyncio.Event()
        """Set once the turn has ended and nothing of it runs."""
        self.buffer = buffer
        self._model = model
        self._request = request
        self._bounds = bounds
        self._writer = writer
        self._grace = 0.0 if cancel_on_leave else bounds.grace
        self._respond_by = respond_by
        self._load = load
        self._spend = spend
        self._spent = 0
        """Tokens besides the answer's."""
        self._grounding = grounding
        self._asking = grounding is None
        """The model is asked, or about to be."""
        self._report = report or Report.nowhere()
        self._watchers = 0
        self._responding = asyncio.Event()
        self._refusal: ChatError | None = None
        self._interrupted: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        self._wanted: _Outcome | None = None
        """An interruption that came while the end for want of watchers was being written."""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._watched_until = 0.0
        """By the loop's clock: until then somebody watches on another instance."""
        self._finish = Finish()
        self._heard = 0.0
        self._silence_timer: asyncio.TimerHandle | None = None
        self._grace_timer: asyncio.TimerHandle | None = None
        if writer is not None:
            writer.listen(self._read_mail)

    async def join(self, position: Position = BEGINNING) -> Watch:
        """Watch, once a response may begin. Raises what the turn was refused with."""
        watch = self.watch(position)
        try:
            await self._responding.wait()
            if self._refusal is not None:
                raise self._refusal
        except BaseException:
            watch.close()
            raise
        return watch

    def watch(self, position: Position) -> Watch:
        self._watchers += 1
        self._report.watched(self._watchers)
        if self._grace_timer is not None:
            self._grace_timer.cancel()
            self._grace_timer = None
        return Watch(self.buffer, position, self._bounds.heartbeat, self._left)

    def stop(self) -> None:
        """End it on purpose; what was generated is kept."""
        self._interrupt(_Outcome("cancelled"))

    def abandon(self) -> None:
        """End it because the instance goes away; what was generated is kept."""
        self._interrupt(_Outcome("incomplete"))

    async def run(self) -> None:
        """Run to the end. Never raises but for cancellation of the whole instance."""
        loop = asyncio.get_running_loop()
        respond_timer = loop.call_at(self._respond_by, self._responding.set)
        keeping = asyncio.create_task(self._writer.keep()) if self._writer else None
        try:
            outcome = await self._generate(keeping)
            respond_timer.cancel()
            verdict = await self._let_go(keeping)
            await self._conclude(outcome, verdict)
        except Exception as exc:  # whoever waits is told, whatever went wrong
            self._fail(_unexpected(exc))
        finally:
            respond_timer.cancel()
            if self._grace_timer is not None:
                self._grace_timer.cancel()
            if keeping is not None and not keeping.done():
                keeping.cancel()
            self._responding.set()
            self.over.set()
            end = self.buffer.end
            if self._spend is not None and (end is not None or self._spent):
                self._spend(self._spent + (end.usage.total_tokens if end is not None else 0))
            self._report.ended(self.buffer, self._finish.reasoning_tokens)

    async def _generate(self, keeping: "asyncio.Task[Verdict | None] | None") -> _Outcome:
        """Until the model ends, somebody interrupts, or the row is lost."""
        reading = asyncio.create_task(self._read())
        self._heard = asyncio.get_running_loop().time()
        self._watch_silence()
        ending: set[asyncio.Future[Any]] = {reading} if keeping is None else {reading, keeping}
        try:
            while True:
                waited = {*ending, self._interrupted}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if any(task.done() for task in ending) or await self._ended_early():
                    break
        finally:
            if self._silence_timer is not None:
                self._silence_timer.cancel()
            if not reading.done():
                reading.cancel()
            await asyncio.wait({reading})
        error = None if reading.cancelled() else reading.exception()
        if self._finish.reason is not None:  # the model's own end stands, whatever came after
            return _Outcome(self._finish.reason, self._stopped_by_filter())
        if self._interrupted.done():
            return self._interrupted.result()
        if reading.cancelled():
            return _Outcome("incomplete")
        if error is None:
            return reading.result()
        if isinstance(error, ModelBrokeOff) and self._responding.is_set():
            return _Outcome("incomplete")
        if not isinstance(error, ChatError):
            error = _unexpected(error)
        return _Outcome("content_filter" if isinstance(error, ContentFiltered) else "error", error)

    async def _ended_early(self) -> bool:
        """Whether the interruption stands: an end for want of watchers is given up for one.

        Its end is written while the model still waits: a watcher elsewhere may have said so in the
        row, which only the write tells.
        """
        if self._writer is None or self._interrupted.result().reason != "disconnected":
            return True
        self._flowing.clear()  # what is stored as the end is all that was shown
        try:
            await self._writer.finish(
                "disconnected",
                self._usage(),
                self._finish.reasoning_tokens,
                unless=self._is_watched,
            )
        except StillWatched:
            self._interrupted = asyncio.get_running_loop().create_future()
            if self._wanted is not None:
                self._interrupted.set_result(self._wanted)
            elif not self._watchers:
                self._wait_for_watchers()
            self._heard = asyncio.get_running_loop().time()
            self._flowing.set()
            return False
        return True

    async def _read(self) -> _Outcome:
        loop = asyncio.get_running_loop()
        shown = 0.0
        if self._grounding is not None:
            with self._report.searching(self._grounding.retrieval.retriever) as found:
                grounded = await self._grounding.find(self._spent_besides)
                found.append(grounded.citations)
            self._request, self._asking = grounded.request, True
            if not await self._may_show():
                return _Outcome("incomplete")
            self.buffer.append(grounded.citations)
        left = self._respond_by - loop.time()
        request = msgspec.structs.replace(self._request, within=left if left > 0 else None)
        self._report.asked(request)
        async with self._model.ask(request) as stream:
            async for events in stream:
                if not isinstance(events[0], Answering):  # that says only whom one waits for
                    self._report.heard()
                if not await self._may_show():
                    return _Outcome("incomplete")  # or whatever the writer's verdict says
                size = self.buffer.size
                for event in events:
                    if isinstance(event, Finish):
                        self._take_finish(event)
                    elif isinstance(event, Answering):
                        self._answered_by(event)
                    elif not self._show(event):
                        return _Outcome("length")
                frame = FRAME_SECONDS * min(1.0, self._load() / BUSY_TURNS)
                small = self.buffer.size - size < FRAME_BYTES
                if small and self._heard - shown < frame and self._finish.reason is None:
                    # All turns wait for the same moments: a wake-up serves them all.
                    await asyncio.sleep(frame - loop.time() % frame)
                shown = loop.time()
        return _Outcome("incomplete")

    async def _may_show(self) -> bool:
        """Something was heard: whether it may be shown. False: the row is lost."""
        loop = asyncio.get_running_loop()
        if not self._flowing.is_set():
            await self._flowing.wait()
        self._heard = loop.time()
        if self._writer is not None and self._heard > self._writer.fence:
            if await self._writer.save() is not None:
                return False
            self._heard = loop.time()
        return True

    def _spent_besides(self, tokens: int) -> None:
        self._spent += tokens

    def _answered_by(self, answering: Answering) -> None:
        """Another model answers: what was not told yet, and what is stored, says so."""
        self._report.answered_by(answering)
        if not self._responding.is_set():
            self.buffer.answered_by(answering.model)
        if self._writer is not None:
            self._writer.model = answering.model

    def _show(self, event: ShownEvent) -> bool:
        if self.buffer.size + size_in_bytes(event) > self._bounds.max_bytes:
            return False
        self.buffer.append(event)
        if not self._responding.is_set():
            self._responding.set()
        return True

    def _take_finish(self, finish: Finish) -> None:
        self._finish = Finish(
            finish.reason or self._finish.reason,
            finish.usage or self._finish.usage,
            finish.reasoning_tokens or self._finish.reasoning_tokens,
            finish.filtered or self._finish.filtered,
        )

    def _stopped_by_filter(self) -> ChatError | None:
        """What the filter stopped the answer for, where it did; pieces say that themselves."""
        if self._finish.reason != "content_filter" or self._request.pieces:
            return None
        names = ", ".join(self._finish.filtered) or "no category named"
        return ContentFiltered(f"The model's content filter stopped the answer ({names}).")

    def _watch_silence(self) -> None:
        """The pump's own clock: a read time-out would arm a timer for every chunk."""
        loop = asyncio.get_running_loop()
        if self._silence_timer is not None and (late := loop.time() - self._silence_timer.when()):
            # While the process stood still nobody listened, which is not the model's silence.
            self._heard = min(self._heard + late, loop.time())
        if not self._asking:  # a search has limits of its own
            self._heard = loop.time()
        limit = self._bounds.model_timeout
        if self._finish.reason is not None:
            limit = min(limit, TAIL_SECONDS)
        left = self._heard + limit - loop.time()
        if left <= 0:
            self._interrupt(_Outcome("error", _silent(limit)))
        else:
            self._silence_timer = loop.call_later(min(left, TAIL_SECONDS), self._watch_silence)

    async def _let_go(self, keeping: "asyncio.Task[Verdict | None] | None") -> Verdict | None:
        """Wait for the checkpoint under way. A verdict: the row is not ours any more."""
        if keeping is None or self._writer is None:
            return None
        self._writer.close()
        return await keeping

    async def _conclude(self, outcome: _Outcome, verdict: Verdict | None) -> None:
        error = outcome.error
        if error is not None:
            self._report.failed(error)
        # What the model itself says about its end is its answer, and no refusal.
        refused = error is not None and self._finish.reason is None
        refused = refused and verdict is None and not self._responding.is_set()
        if refused and await self._undone():
            self._refusal = error
            return
        usage = self._usage()
        if verdict is None:
            if error is not None:
                self.buffer.append(_error_event(error))
            if self._writer is not None:
                verdict = await self._writer.finish(
                    outcome.reason, usage, self._finish.reasoning_tokens
                )
        if verdict is None:
            self.buffer.append(End(outcome.reason, usage, self.buffer.text))
        else:
            if verdict.error is not None:
                self._report.failed(verdict.error)
                self.buffer.append(_error_event(verdict.error))
            text = self.buffer.text if verdict.text is None else verdict.text
            self.buffer.append(End(verdict.reason, verdict.usage or usage, text))

    async def _undone(self) -> bool:
        """Take it back as if it had never been. False: somebody elsewhere was told of it."""
        try:
            if self._writer is not None:
                await self._writer.undo()
        except StillWatched:
            return False
        return True

    def _fail(self, error: ChatError) -> None:
        """End without the store: the row is reaped once its lease is over."""
        self._report.failed(error)
        if not self._responding.is_set():
            self._refusal = error
        else:
            self.buffer.append(_error_event(error))
            self.buffer.append(End("error", self._usage(), self.buffer.text))

    def _usage(self) -> Usage:
        if self._finish.usage is not None:
            return self._finish.usage
        if not self._asking:
            return Usage(0, 0, 0)
        prompt = estimate_messages(self._request.messages)
        completion = said_tokens(self.buffer.shown)
        return Usage(prompt, completion, prompt + completion, estimated=True)

    def _left(self, _watch: Watch) -> None:
        self._watchers -= 1
        if not self._watchers and not self.over.is_set():
            loop = asyncio.get_running_loop()
            self._grace_timer = loop.call_later(self._grace, self._wait_for_watchers)

    def _wait_for_watchers(self) -> None:
        """End it, once the grace is over since somebody watched here or elsewhere."""
        self._grace_timer = None
        loop = asyncio.get_running_loop()
        left = self._watched_until + self._grace - loop.time()
        if left > 0:
            self._grace_timer = loop.call_later(left, self._wait_for_watchers)
        else:
            self._interrupt(_Outcome("disconnected"))

    def _is_watched(self) -> bool:
        return self._watchers > 0 or self._watched_until > asyncio.get_running_loop().time()

    def _read_mail(self, mail: Mail) -> None:
        """What others want of it, who reach it through its row only."""
        self._watched_until = asyncio.get_running_loop().time() + mail.watched
        if mail.stop:
            self.stop()

    def _interrupt(self, outcome: _Outcome) -> None:
        if not self._interrupted.done():
            self._interrupted.set_result(outcome)
        elif self._wanted is None:
            self._wanted = outcome


def _error_event(error: ChatError) -> Error:
    return Error(error.code, error.message, error.retryable)


def _silent(limit: float) -> ModelTimeout:
    return ModelTimeout(f"The model has said nothing for {limit:g} seconds.")


def _unexpected(error: BaseException) -> ChatError:
    logger.error("A turn failed unexpectedly", exc_info=error)
    made = InternalError("The turn ended by a mistake in the backend; its log says more.")
    made.__cause__ = error
    return made
