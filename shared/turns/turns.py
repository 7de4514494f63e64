"""The use case: run, join, replay, watch and stop turns."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from shared.errors import (
    ChatError,
    NotFound,
    StoreUnavailable,
    TurnMismatch,
)
from shared.events import BEGINNING, Position, Start
from shared.history.base import Answer, Conflict, HistoryStore, Place
from shared.history.codec import encode_runs
from shared.messages import Caller, ChatRequest, FinishReason, Usage
from shared.models.base import ChatModel
from shared.prompts.prompt import Prompt
from shared.prompts.window import choose_window
from shared.retrieval.base import Retriever
from shared.telemetry.facts import NoTelemetry, Telemetry
from shared.turns.begin import Opened, begin_turn
from shared.turns.budget import Budget
from shared.turns.buffer import TurnBuffer, Watch
from shared.turns.follow import Follower, lasting, replay, settled, start_event, usage_of
from shared.turns.grounding import Grounding, brought_citations
from shared.turns.orders import CITED, Order
from shared.turns.past import load_past
from shared.turns.places import place_of
from shared.turns.report import Report, reported
from shared.turns.running import RunningTurns
from shared.turns.turn import Bounds, Turn
from shared.turns.writer import StillWatched, TurnWriter

PIECES = 20
"""How many times as large as an answer one that is told by pieces may be: about 12 MB of memory."""
STOP_SECONDS = 10.0
STOP_POLL_SECONDS = 0.5
HEAD_SECONDS = 1.0
"""For which a store is asked whether a running turn's conversation is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """Bounds of all turns of this instance; times in seconds."""

    concurrent: int
    history_messages: int
    history_tokens: int
    respond_within: float
    turn: Bounds


@dataclass(frozen=True, slots=True)
class Response:
    """A turn to be told: a watch on its events, and what the headers say."""

    watch: Watch
    conversation_id: str | None
    turn_id: str | None
    result_name: str


@dataclass(frozen=True, slots=True)
class TurnState:
    """What `GET …/turns/{turnId}` says."""

    turn_id: str
    running: bool
    finish_reason: FinishReason | None
    usage: Usage | None


class Turns:
    """The turns of one instance. `clock`: milliseconds since 1970.

    `store` is asked when a turn first needs it: one with `store: false` never does. `budget` None:
    nothing is limited. `telemetry` is told of every turn; None: nobody is.
    """

    def __init__(
        self,
        store: Callable[[], HistoryStore],
        limits: TurnLimits,
        clock: Callable[[], int],
        budget: Budget | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._open_store = store
        self._limits = limits
        self._clock = clock
        self._budget = budget
        self._telemetry = telemetry or NoTelemetry()
        self._running = RunningTurns(limits.concurrent)
        self._opening: WeakValueDictionary[tuple[Place, str], asyncio.Lock] = WeakValueDictionary()

    @property
    def running(self) -> int:
        """How many run on this instance."""
        return len(self._running)

    @property
    def _store(self) -> HistoryStore:
        return self._open_store()

    async def start(
        self,
        caller: Caller,
        request: ChatRequest,
        prompt: Prompt,
        model: ChatModel,
        retriever: Retriever | None = None,
    ) -> Response:
        """Run a turn, join it or replay it; returns when its response may begin.

        `retriever`: what the prompt's `retrieval` asks, where it wants any.
        Raises what `begin_turn`, the budget and the model raise, `InvalidRequest` and `Overloaded`.
        """
        respond_by = asyncio.get_running_loop().time() + self._limits.respond_within
        if not request.store:
            turn = await self._stateless(caller, request, prompt, model, retriever, respond_by)
            return Response(await turn.join(), None, None, prompt.result_name)
        place = place_of(caller, request)
        brought = request.turn_id is not None
        turn_id = request.turn_id or str(uuid.uuid4())
        order = Order(place, turn_id, brought, request, prompt, model, retriever, respond_by)
        watch = await self._watch(order)
        return Response(watch, place.conversation, turn_id, prompt.result_name)

    async def attach(
        self, place: Place, turn_id: str, position: Position, *, whole: bool = False
    ) -> Response | None:
        """Watch a turn from a position on; None: there is nothing after it. Raises `NotFound`.

        `whole`: from the beginning, where there is anything after the position.
        """
        if turn := await self._running_here(place, turn_id):
            try:
                watch = await turn.join(position)
            except ChatError as exc:  # refused before its response began: there is no such turn
                raise NotFound("There is no such turn.") from exc
            result_name = turn.result_name
        else:
            answer = await self._lasting(place, await self._row(place, turn_id))
            watch = await self._tell(place, answer, position)
            result_name = answer.result_name
        if watch.ended:
            watch.close()
            return None
        if whole:
            watch.rewind()
        return Response(watch, place.conversation, turn_id, result_name)

    async def stop(self, place: Place, turn_id: str) -> TurnState:
        """Stop it and wait for its end, 10 s at most. Raises `NotFound`."""
        if turn := self._running.get(place, turn_id):
            turn.stop()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await turn.over.wait()
            except TimeoutError:
                if await self._is_deleted(place):
                    raise NotFound("There is no such turn.") from None
                return TurnState(turn_id, running=True, finish_reason=None, usage=None)
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._stop_elsewhere(place, turn_id)
        return await self.state(place, turn_id)

    async def state(self, place: Place, turn_id: str) -> TurnState:
        """Raises `NotFound`."""
        answer = await self._row(place, turn_id)
        usage = None if answer.running else answer.usage or usage_of(answer)
        return TurnState(turn_id, answer.running, answer.finish_reason, usage)

    async def fresh(self, place: Place, answer: Answer) -> Answer:
        """The answer, reaped first where its instance died: nobody is told of a dead turn."""
        if not answer.over(self._clock()):
            return answer
        return await settled(self._store, place, answer.number, answer.turn_id, self._clock)

    def deleted(self, place: Place) -> None:
        """The conversation is gone: let the models of its turns go."""
        self._running.stop_all(place)

    async def aclose(self) -> None:
        """Begin nothing any more, end what runs as `incomplete`, and wait for it."""
        await self._running.aclose()
        if self._budget is not None:
            await self._budget.aclose()

    async def _watch(self, order: Order) -> Watch:
        """Watch the turn from its beginning, once a response may begin."""
        while True:
            opening = self._running.spawn(self._open(order))
            # Begin and pump outlive the caller: a question that was taken is answered.
            try:
                found = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_leave)
                raise
            if isinstance(found, Turn):
                return await found.join()
            try:
                answer = await self._lasting(order.place, found)
                return await self._tell(order.place, answer, BEGINNING)
            except NotFound:
                continue  # it was refused elsewhere, and undone: this one may begin it

    async def _lasting(self, place: Place, answer: Answer) -> Answer:
        return await lasting(self._store, place, answer, self._clock, self._limits.respond_within)

    async def _stop_elsewhere(self, place: Place, turn_id: str) -> None:
        """Ask its owner through its row, and wait for the end; a dead owner's is ended here."""
        while True:
            answer = await self._row(place, turn_id, stopped=True)
            if not answer.running:
                return
            if not answer.stop:
                try:
                    await self._store.ask_to_stop(place, answer)
                except Conflict:
                    continue  # somebody wrote meanwhile: the row says what
            await asyncio.sleep(STOP_POLL_SECONDS)

    async def _open(self, order: Order) -> Turn | Answer:
        lock = self._opening.setdefault((order.place, order.turn_id), asyncio.Lock())
        with reported(order.prompt, order.place.conversation, self._telemetry) as report:
            async with lock:  # who asks for the same turn meanwhile joins what this one begins
                return await self._join_or_begin(order, report)

    async def _join_or_begin(self, order: Order, report: Report) -> Turn | Answer:
        digest = order.request.digest()
        if turn := await self._running_here(order.place, order.turn_id):
            if turn.digest != digest:
                raise TurnMismatch(
                    f"Turn {order.turn_id} was asked with another body: use a new turnId."
                )
            report.told_again()
            return turn
        with self._running.beginning():
            asked = order.asked(digest, self._limits.turn.max_bytes)
            admit = partial(self._budget.admit, order.place.owner) if self._budget else None
            opened = await begin_turn(
                self._store, asked, self._limits.history_messages, self._clock, admit
            )
            if isinstance(opened, Answer):
                report.told_again()
                return opened
            return await self._launch(order, opened, report)

    async def _running_here(self, place: Place, turn_id: str) -> Turn | None:
        """The turn, where it runs on this instance, and nobody deleted its conversation."""
        turn = self._running.get(place, turn_id)
        # Its own next write would tell, but up to 2 s later.
        if turn is not None and await self._is_deleted(place):
            self.deleted(place)
            return None
        return turn

    async def _is_deleted(self, place: Place) -> bool:
        """Whether a running turn's conversation is gone; a store that is silent hides no turn."""
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(HEAD_SECONDS):
                head = await self._store.head(place)
            return head is None or head.deleted
        return False

    async def _launch(self, order: Order, opened: Opened, report: Report) -> Turn:
        place, request = order.place, order.request
        answer = opened.begun.answer
        buffer = TurnBuffer()
        buffer.extend((start_event(place, answer), *brought_citations(order.prompt)))
        writer = TurnWriter(
            self._store,
            opened.begun,
            opened.sent,
            self._clock,
            lambda: encode_runs(buffer.stored),
        )
        try:
            window = await self._window(place, opened, request)
            self._running.check_open()
            asked = order.prompt.render(window)
        except Exception:  # the turn has begun, and nobody would run it
            with contextlib.suppress(StillWatched):  # it is reaped once its lease is over
                await writer.undo()
            raise
        turn = Turn(
            turn_id=answer.turn_id,
            digest=answer.digest,
            result_name=answer.result_name,
            model=order.model,
            request=asked,
            buffer=buffer,
            bounds=self._limits.turn,
            writer=writer,
            cancel_on_leave=request.on_disconnect == "cancel",
            respond_by=order.respond_by,
            load=self._running.__len__,
            spend=self._spending(place.owner),
            grounding=self._grounding(order.prompt, order.model, order.retriever, window),
            report=report,
        )
        self._running.launch(place, turn)
        return turn

    async def _window(
        self, place: Place, opened: Opened, request: ChatRequest
    ) -> tuple[dict[str, Any], ...]:
        if request.history is not None:
            return ()
        limits, hides = self._limits, opened.begun.answer.hides
        past = await load_past(self._store, place, opened.view, hides, limits.history_messages)
        return choose_window(
            past, limits.history_messages, limits.history_tokens, request.tool_results
        )

    async def _stateless(
        self,
        caller: Caller,
        request: ChatRequest,
        prompt: Prompt,
        model: ChatModel,
        retriever: Retriever | None,
        respond_by: float,
    ) -> Turn:
        buffer = TurnBuffer()
        start = Start(None, None, prompt.action.name, prompt.model, new=True)
        buffer.extend((start, *brought_citations(prompt)))
        telling = reported(prompt, None, self._telemetry)
        with telling as report, self._running.beginning():
            if self._budget is not None:
                await self._budget.admit(caller.owner)
                self._running.check_open()
            turn = Turn(
                turn_id=str(uuid.uuid4()),
                digest="",
                result_name=prompt.result_name,
                model=model,
                request=prompt.render(()),
                buffer=buffer,
                bounds=_bounds(self._limits.turn, request),
                writer=None,
                cancel_on_leave=True,
                respond_by=respond_by,
                load=self._running.__len__,
                spend=self._spending(caller.owner),
                grounding=self._grounding(prompt, model, retriever, ()),
                report=report,
            )
            self._running.launch(None, turn)
        return turn

    def _grounding(
        self,
        prompt: Prompt,
        model: ChatModel,
        retriever: Retriever | None,
        window: tuple[dict[str, Any], ...],
    ) -> Grounding | None:
        retrieval = prompt.retrieval
        if retrieval is None or retriever is None:
            return None
        most = self._limits.turn.max_bytes // CITED
        return Grounding(prompt, retrieval, retriever, model, window, most)

    def _spending(self, owner: str | None) -> Callable[[int], None] | None:
        return partial(self._budget.spend, owner) if self._budget else None

    async def _row(self, place: Place, turn_id: str, *, stopped: bool = False) -> Answer:
        head = await self._store.head(place)
        number = None
        if head is not None and not head.deleted:
            number = await self._store.find(place, turn_id)
        if number is None:
            raise NotFound("There is no such turn.")
        return await settled(self._store, place, number, turn_id, self._clock, stopped=stopped)

    async def _tell(self, place: Place, answer: Answer, position: Position) -> Watch:
        """Raises `NotFound`, and `StoreUnavailable` for one that might still be undone."""
        heartbeat = self._limits.turn.heartbeat
        if answer.running:
            follower = Follower(self._store, place, answer, self._clock)
            await follower.announce()
            return follower.watch(position, heartbeat)
        return Watch(replay(place, answer), position, heartbeat)


def _leave(opening: "asyncio.Task[Turn | Answer]") -> None:
    """The caller left before the turn had begun: it counts as watched once, and left."""
    if not opening.cancelled() and opening.exception() is None:
        turn = opening.result()
        if isinstance(turn, Turn):
            turn.watch(BEGINNING).close()


def _bounds(bounds: Bounds, request: ChatRequest) -> Bounds:
    """Pieces are as large as what is around their text, and nothing of them is stored."""
    return replace(bounds, max_bytes=PIECES * bounds.max_bytes) if request.pieces else bounds
