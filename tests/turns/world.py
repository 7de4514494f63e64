"""Two instances over one store, their callers, and whether what callers rely on holds."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from hypothesis import note

from shared.errors import (
    ChatError,
    ConversationBusy,
    ModelRefused,
    NotFound,
    Overloaded,
    StoreUnavailable,
    TurnMismatch,
)
from shared.events import BEGINNING, Delta, End, Error, Position, Start
from shared.history.base import Place
from shared.turns.turns import Response, TurnState
from tests.turns.bench import ME, ask, prompt_of
from tests.turns.chronicle import Chronicle, Life
from tests.turns.clock_loop import ClockLoop, settle
from tests.turns.players import (
    Ask,
    Node,
    SpokenModel,
    Watcher,
    is_beginning,
    joined,
    node_of,
    rest,
    tasks_of,
)

FREE_SECONDS = 30.0
"""A dead turn holds its conversation for so long at most."""
TRIP_SECONDS = 6.0
"""From what a request read until its caller is told, at most."""


class MicrosecondLoop(ClockLoop):
    """Timers that are set for less than a float can tell would fire in the same instant, for ever:
    this clock goes on by a microsecond, as any real one does."""

    def call_later[*Ts](
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        later = max(delay, 1e-6) if delay > 0 else delay
        return super().call_later(later, callback, *args, context=context)


class World:
    """`say` and `wrong` are what a failure's report is made of."""

    def __init__(self) -> None:
        self.loop = MicrosecondLoop()
        self.loop.set_exception_handler(self._unhandled)
        self.wrong: list[str] = []
        self.broken = False
        self.chronicle = Chronicle(self.say, self.wrong)
        self.nodes: list[Node] = []
        self.gone: list[Node] = []
        """Those that died, or are going away."""
        self.asks: list[Ask] = []
        self.watchers: list[Watcher] = []
        self.others: list[asyncio.Task[None]] = []
        """Those who attach, stop, look, delete and rename."""
        self.ended: dict[tuple[Place, str], list[tuple[int, Watcher]]] = {}
        self.places = [Place("me", "c1")]
        self.turns = 0
        self.paused = float("-inf")

    def open_models(self) -> list[SpokenModel]:
        """Those that may still say something."""
        return [a.model for a in self.asks if a.model.open and not a.model.over]

    def waiting(self) -> list[Ask]:
        return [a for a in self.asks if not a.task.done()]

    def come_to_an_end(self) -> None:
        """Once nothing fails any more, everything comes to its end."""
        self.say("everything recovers")
        for one in (*self.nodes, *self.gone):
            if one.alive:
                one.net.recover()
                one.net.there = one.net.back = 0.0
        self.wait(60.0)
        self.check()
        self.wait(60.0)  # a mark may have been young, and the grace begins after it
        now = self.loop.time()
        for life in self._running():
            owner = self._owner(life)
            if owner is None:
                self.let(self.nodes[0], self.look(self.nodes[0], life.place, life.turn_id))
            elif not any(
                w.attached or (w.node.alive and w.ended is None and now - w.began < 80)
                for w in self.watchers
                if (w.place, w.turn_id) == (life.place, life.turn_id)
            ):
                self.wrong.append(f"{life} runs on, and nobody has watched it for long")
        self.settle()
        self.check()
        for model in self.open_models():
            model.finish()
        self.wait(20.0)
        self.check()
        self.wrong += [f"{life} runs on" for life in self._running()]
        self.wrong += [f"{w} never ended" for w in self.watchers if w.attached]
        self.wrong += [f"{a} never came to an end" for a in self.waiting()]
        self.wrong += [f"{a.model} was not let go" for a in self.asks if a.model.open]
        self.check()
        for place in dict.fromkeys(self.places):
            if place not in self.chronicle.deleted:
                self.ask(self.nodes[1], place, self.new_turn(), "answers")
                self.wait(1.0)
                self.check()
                last = self.asks[-1].life
                if last is None or last.answer.finish_reason != "stop":
                    self.wrong.append(f"{place.conversation} takes no new turn")
        for one in self.nodes:
            one.closing = one.run(self.loop, one.turns.aclose())
        self.wait(1.0)
        self.check()
        self.wrong += [f"{task} is left over" for task in tasks_of(self.loop)]
        self.check()

    def close(self) -> None:
        """Nothing of it is left."""
        for one in (*self.nodes, *self.gone):
            one.kill(self.loop)
        while left := tasks_of(self.loop):
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    # What must hold

    def check(self) -> None:
        """Raises `AssertionError`, and is not asked again then."""
        try:
            for place in dict.fromkeys(self.places):
                self.chronicle.check(place)
            for watcher in self.watchers:
                self._check_watcher(watcher)
            for task in (*self.others, *(a.task for a in self.asks)):
                if task.done() and not task.cancelled() and (error := task.exception()):
                    raise AssertionError("A caller met what is no answer") from error
            self._check_patience()
            assert not self.wrong, "; ".join(self.wrong)
        except BaseException:
            self.broken = True
            raise
        self.others = [task for task in self.others if not task.done()]
        for one in self.gone:
            if one.alive and one.closing is not None and one.closing.done():
                self.say(f"{one} is gone")
                one.kill(self.loop)

    def _check_watcher(self, watcher: Watcher) -> None:
        """Whether it was told nothing but what comes after its position, each thing once."""
        if watcher.checked == len(watcher.events):
            return
        watcher.checked = len(watcher.events)
        events, positions = watcher.events, watcher.positions
        ends = [event for event in events if isinstance(event, End)]
        assert len(ends) <= 1, f"{watcher} was told several ends"
        assert not ends or events[-1] is ends[0], f"{watcher} was told something after the end"
        assert not any(isinstance(e, Error) and e.code == "internal_error" for e in events), watcher
        starts = [n for n, event in enumerate(events) if isinstance(event, Start)]
        assert starts == ([0] if watcher.after == BEGINNING else []), f"{watcher}: {events}"
        shown = joined([e for e in events if not isinstance(e, Error)])
        said = [
            ask.model.runs
            for ask in self.asks
            if ask.life and (ask.place, ask.life.turn_id) == (watcher.place, watcher.turn_id)
        ]
        assert not shown or any(is_beginning(shown, rest(runs, watcher.after)) for runs in said), (
            f"{watcher} was told {shown}, and the model said {said}"
        )
        if not ends:
            pairs = zip((watcher.after, *positions), positions, strict=False)
            assert all(a < b for a, b in pairs), f"{watcher}: {positions}"

    def _check_patience(self) -> None:
        """A response begins 5 s after it was asked for, where nothing fails."""
        for one in self.asks:
            if one.task.done() or not one.node.alive:
                continue
            troubled = max(n.net.failed for n in (*self.nodes, *self.gone))
            slow = one.node.net.there + one.node.net.back > 0.1
            if not slow and self.loop.time() - max(one.at, troubled, self.paused) > 20:
                self.wrong.append(f"{one} still waits")

    def _running(self) -> list[Life]:
        return [life for life in self.chronicle.lives if life.running]

    def _owner(self, life: Life) -> Ask | None:
        """Who asked for it, if it may run on: its instance lives, and its model is silent."""
        return next(
            (a for a in self.asks if a.life is life and a.node.alive and a.model.open), None
        )

    # What callers do

    def new_turn(self) -> str:
        self.turns += 1
        return f"t{self.turns}"

    def ask(
        self, node: Node, place: Place, turn_id: str | None, behaviour: str, **fields: Any
    ) -> None:
        fields.setdefault("prompt", "Hello")
        one = Ask(len(self.asks) + 1, node, place, turn_id, fields)
        refusal = ModelRefused("no") if behaviour.startswith("refuses") else None
        delay = 3.0 if behaviour == "refuses late" else 0.0
        one.model = SpokenModel(one.number, lambda: self._asked(one), refusal, delay)
        if behaviour in ("speaks", "answers"):
            one.model.speak(Delta)
        if behaviour == "answers":
            one.model.finish()
        one.at, one.moment = self.loop.time(), self.chronicle.moment()
        if turn_id is not None:
            there = self.chronicle.of(place, turn_id)
            one.before = there[-1] if there and there[-1].removed is None else None
        one.gone = place in self.chronicle.deleted
        request = ask(conversation_id=place.conversation, turn_id=turn_id, **fields)
        one.digest = request.digest()

        async def start() -> None:
            try:
                response = await node.turns.start(ME, request, prompt_of(request), one.model)
            except ChatError as refusal:
                self.say(f"{one}: {type(refusal).__name__} {refusal.message}")
                self._refused(one, refusal)
            else:
                watcher = self._watch(node, place, BEGINNING, response)
                self.say(f"{one}: it is told {watcher.turn_id}")
                self._told(one, watcher)

        self.asks.append(one)
        one.task = node.run(self.loop, start())
        self.settle()

    def _asked(self, one: Ask) -> None:
        """A model is asked: a turn that it belongs to was begun, and no other model was asked."""
        found = [
            life
            for life in self.chronicle.of(one.place, one.turn_id)
            if life.answer.digest == one.digest and life.began > one.moment
        ]
        if one.model.requests:
            self.wrong.append(f"{one.model} was asked twice")
        if not found:
            self.wrong.append(f"{one.model} was asked, and the question is not in the store")
            return
        one.life = found[-1]
        for other in self.asks:
            if other is one or other.life is None or other.place != one.place:
                continue
            if other.life is one.life:
                self.wrong.append(f"{other.model} and {one.model} were asked for {one.life}")
            elif other.life.turn_id == one.life.turn_id and other.life.removed is None:
                self.wrong.append(f"{one.model} was asked for {one.life}, which {other} began")

    def _refused(self, one: Ask, refusal: ChatError) -> None:
        told = f"{one} was told {type(refusal).__name__} {refusal.message}"
        deleted = self.chronicle.deleted.get(one.place)
        model_says = refusal is one.model.failure or any(
            refusal is other.model.failure for other in self.asks
        )
        if model_says:
            if one.gone and not self._cannot_know(one.node, one.at):
                self.wrong.append(f"{told}, and the conversation was deleted")
            return
        if one.model.requests:
            self.wrong.append(f"{told}, and its model was asked")
        before = one.before if one.before and one.before.removed is None else None
        if isinstance(refusal, NotFound):
            if deleted is None:
                self.wrong.append(f"{told}, and the conversation is there")
        elif isinstance(refusal, StoreUnavailable):
            slow = one.node.net.there + one.node.net.back > 1
            if one.node.net.failed < one.at and not slow:
                self.wrong.append(f"{told}, and the store is well")
        elif isinstance(refusal, Overloaded):
            if one.node.closing is None:
                self.wrong.append(told)
        elif one.gone:
            if not self._cannot_know(one.node, one.at):
                self.wrong.append(f"{told}, and the conversation was deleted")
        elif isinstance(refusal, TurnMismatch):
            if before is not None and before.answer.digest == one.digest:
                self.wrong.append(f"{told}, and it is the same")
            others = self.chronicle.of(one.place, one.turn_id) if one.turn_id else []
            if "replaces" not in one.fields and all(
                life.answer.digest == one.digest for life in others
            ):
                self.wrong.append(f"{told}, and nothing else was asked")
        elif isinstance(refusal, ConversationBusy):
            if before is not None:
                self.wrong.append(f"{told}, and it had begun before")
            self._check_busy(one, refusal, told)
        else:
            self.wrong.append(told)

    def _cannot_know(self, node: Node, since: float) -> bool:
        """Whether an instance may tell what runs there of a deleted conversation: without a store
        it knows no better."""
        return node.net.failed >= since

    def _check_busy(self, one: Ask, refusal: ConversationBusy, told: str) -> None:
        ran = [
            life
            for life in self.chronicle.of(one.place, refusal.turn_id)
            if life.ran_since(one.moment)
        ]
        if not ran:
            self.wrong.append(f"{told}, which had ended")
        seen = self.ended.get((one.place, refusal.turn_id), [])
        for moment, watcher in seen:
            if moment < one.moment and not watcher.gave_up:
                self.wrong.append(f"{told}, whose end {watcher} has seen")
        released = [w.ended for _, w in seen if w.gave_up and w.ended is not None]
        released += [a.node.died for a in self.asks if a.life in ran and a.node.died is not None]
        late = self.loop.time() - FREE_SECONDS - TRIP_SECONDS
        if any(at < late for at in released):
            self.wrong.append(f"{told}, which died more than {FREE_SECONDS} s ago")

    def _told(self, one: Ask, watcher: Watcher) -> None:
        if one.gone and not self._cannot_know(one.node, one.at):
            self.wrong.append(f"{one} was told a turn of a conversation that was deleted")
        if one.turn_id is None:
            one.turn_id = watcher.turn_id
        before = one.before
        if before and before.removed is None and before.answer.digest != one.digest:
            self.wrong.append(f"{one} was told a turn that was asked with another body")

    def _watch(self, node: Node, place: Place, after: Position, response: Response) -> Watcher:
        assert response.turn_id is not None
        watcher = Watcher(node, place, response.turn_id, after, response, self._saw_end)
        self.watchers.append(watcher)
        return watcher

    def _saw_end(self, watcher: Watcher) -> None:
        """The store says the same, and said it before."""
        end = watcher.end
        assert end is not None
        key = (watcher.place, watcher.turn_id)
        self.ended.setdefault(key, []).append((self.chronicle.moment(), watcher))
        told = f"{watcher} was told the end {end.finish_reason}"
        self.say(told)
        lives = self.chronicle.of(*key)
        if watcher.gave_up:
            troubled = max(self.paused, watcher.node.net.failed)
            if end.finish_reason != "error" or troubled < self.loop.time() - 30:
                self.wrong.append(f"{told}, and the store is well")
            return
        same = [
            life
            for life in lives
            if life.ended is not None
            and (life.answer.finish_reason, life.answer.text) == (end.finish_reason, end.text)
            and life.answer.usage in (end.usage, None)
        ]
        if same:
            self._check_whole(watcher, same[-1], told)
        elif watcher.place not in self.chronicle.deleted or end.finish_reason != "cancelled":
            self.wrong.append(f"{told} with {end.text!r}, and the store says {lives}")

    def _check_whole(self, watcher: Watcher, life: Life, told: str) -> None:
        """Who saw the end saw all that is stored; more only where its instance was given up."""
        shown, stored = joined(watcher.events), rest(life.runs, watcher.after)
        if shown != stored and not (life.reaped and is_beginning(stored, shown)):
            self.wrong.append(f"{told} after {shown}, and the store has {stored}")
        if life.answer.finish_reason != "disconnected":
            return
        now = self.loop.time()
        troubled = max(self.paused, *(n.net.failed for n in (*self.nodes, *self.gone)))
        if watcher.began < now - TRIP_SECONDS and troubled < now - 60:
            self.wrong.append(f"{told}, and watched it since {watcher.began}")

    async def attach(
        self, node: Node, place: Place, turn_id: str, after: Position, whole: bool
    ) -> None:
        at, moment = self.loop.time(), self.chronicle.moment()
        who = f"who attaches to {turn_id} on {node} after {after}"
        seen = self.ended.get((place, turn_id), [])
        at_end = [w for _, w in seen if w.positions[-1] == after and not w.gave_up]
        gone = place in self.chronicle.deleted
        try:
            found = await node.turns.attach(place, turn_id, after, whole=whole)
        except ChatError as refusal:
            self.say(f"{who}: {type(refusal).__name__}")
            self._missed(node, place, turn_id, moment, who, refusal)
            return
        if gone and not self._cannot_know(node, at):
            self.wrong.append(f"{who} found it, and the conversation was deleted")
        if found is None:
            self.say(f"{who}: nothing comes after it")
            if not [w for _, w in seen if w.positions[-1] == after]:
                self.wrong.append(f"{who} was told that nothing comes after it")
            return
        watcher = self._watch(node, place, BEGINNING if whole else after, found)
        self.say(f"{who}: it is told")
        if at_end:
            self.wrong.append(f"{watcher} begins after the end that {at_end[0]} saw")

    def _missed(
        self,
        node: Node,
        place: Place,
        turn_id: str,
        moment: int,
        who: str,
        refusal: ChatError,
    ) -> None:
        told = f"{who} was told {type(refusal).__name__} {refusal.message}"
        if isinstance(refusal, StoreUnavailable):
            if node.net.failed == float("-inf"):
                self.wrong.append(f"{told}, and the store is well")
            return
        there = [life for life in self.chronicle.of(place, turn_id) if life.there_since(moment)]
        if not isinstance(refusal, NotFound) or (there and place not in self.chronicle.deleted):
            # One that its model refused is undone before others are told, unless nothing was.
            self.wrong.append(f"{told}, and it is {there}")

    async def stop(self, node: Node, place: Place, turn_id: str) -> None:
        await self._state(node, place, turn_id, f"who stops {turn_id} on {node}", node.turns.stop)

    async def look(self, node: Node, place: Place, turn_id: str) -> None:
        who = f"who looks at {turn_id} on {node}"
        await self._state(node, place, turn_id, who, node.turns.state)

    async def _state(
        self,
        node: Node,
        place: Place,
        turn_id: str,
        who: str,
        asking: Callable[[Place, str], Coroutine[Any, Any, TurnState]],
    ) -> None:
        at, moment = self.loop.time(), self.chronicle.moment()
        gone = place in self.chronicle.deleted
        try:
            state = await asking(place, turn_id)
        except ChatError as refusal:
            self.say(f"{who}: {type(refusal).__name__}")
            self._missed(node, place, turn_id, moment, who, refusal)
            return
        self.say(f"{who}: {state.finish_reason or 'running'}")
        lives = self.chronicle.of(place, turn_id)
        if gone:
            if not self._cannot_know(node, at):
                self.wrong.append(f"{who} found it, and the conversation was deleted")
            return
        if state.running:
            fits = any(life.ran_since(moment) for life in lives)
        else:
            fits = any(
                (life.answer.finish_reason, life.answer.usage) == (state.finish_reason, state.usage)
                for life in lives
                if life.ended is not None
            )
        if not fits:
            self.wrong.append(f"{who} was told {state}, and the store says {lives}")

    async def delete(self, node: Node, place: Place) -> None:
        gone = place in self.chronicle.deleted
        try:
            await node.store.delete(place)
        except ChatError as refusal:
            self.say(f"who deletes {place.conversation}: {type(refusal).__name__}")
            return
        if gone:
            self.wrong.append(f"{place.conversation} was deleted twice")
        if place not in self.chronicle.deleted:
            self.wrong.append(f"{place.conversation} was not deleted")
        node.turns.deleted(place)
        try:
            await node.store.purge(place)
        except StoreUnavailable:
            self.say("what is left of it stays for now")

    async def rename(self, node: Node, place: Place, title: str) -> None:
        gone = place in self.chronicle.deleted
        try:
            head = await node.store.rename(place, title)
        except ChatError as refusal:
            self.say(f"who renames {place.conversation}: {type(refusal).__name__}")
            return
        if gone or head.title != title:
            self.wrong.append(f"{place.conversation} was renamed {head.title}")

    # How it is driven

    def say(self, what: str) -> None:
        """In the report of a failure."""
        note(f"  {self.loop.time():7.2f}  {what}")

    def let(self, node: Node, work: Coroutine[Any, Any, None]) -> None:
        self.others.append(node.run(self.loop, work))
        self.settle()

    def give_way(self, node: Node) -> None:
        """Another instance takes its place."""
        where = self.nodes.index(node)
        name = f"{node.name[0]}{int(node.name[1:]) + 1}"
        self.gone.append(node)
        self.nodes[where] = Node(name, self.chronicle, 0)

    def settle(self) -> None:
        self.loop.run_until_complete(settle())

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.settle()

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        node = node_of(context.get("future") or context.get("task"))
        if node is not None and not node.alive:
            return  # the dead have no log
        self.wrong.append(f"The loop met {context.get('message')} {context.get('exception')!r}")
