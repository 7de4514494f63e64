"""The store beside a plain reference, whatever is written in whatever order on whatever was read.

Every run is the same run. `PROPERTY_EXAMPLES=5000` in the environment makes so many random ones
instead (a tenth of them for the tables).
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from shared.errors import NotFound
from shared.events import Delta, Reasoning, StoredEvent
from shared.history.base import (
    LEASE_MS,
    Answer,
    Begun,
    Conflict,
    Conversation,
    Head,
    Place,
    Replaced,
    View,
)
from shared.history.codec import encode_runs
from shared.history.rows import Rows
from shared.history.store import Store
from shared.messages import ToolResult
from tests.contracts.acting import NOW, USAGE, new_turn
from tests.contracts.backends import DRIVEN, Backend
from tests.contracts.reference import Refused, Talk

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))
EVERYTHING = 1000
_partitions = itertools.count(1)
"""Each example has owners of its own."""


@dataclass(frozen=True)
class Read:
    """What somebody read, maybe long ago."""

    talk: Talk
    view: View

    def __repr__(self) -> str:
        view = self.view
        newest = view.answers[0].turn_id if view.answers else None
        return f"<{_name(self.talk)}: head {view.head and view.head.etag}, newest {newest}>"


@dataclass(frozen=True)
class Mine:
    """A turn that somebody began, as they last knew it."""

    talk: Talk
    begun: Begun

    def __repr__(self) -> str:
        return f"<{_name(self.talk)}: {self.begun.answer.turn_id} {self.begun.answer.etag}>"


@dataclass(frozen=True)
class Seen:
    """A turn that somebody read, and did not begin."""

    talk: Talk
    answer: Answer

    def __repr__(self) -> str:
        return f"<{_name(self.talk)}: {self.answer.turn_id} {self.answer.etag}>"


def _name(talk: Talk) -> str:
    return f"{talk.place.owner or 'anonymous'}/{talk.place.conversation}"


class StoreMachine(RuleBasedStateMachine):
    reads = Bundle("reads")
    mine = Bundle("mine")
    seen = Bundle("seen")
    which = st.integers(0, 3)
    number = st.integers(0, 9)

    def __init__(self, loop: asyncio.AbstractEventLoop, rows: Rows) -> None:
        super().__init__()
        self.loop = loop
        self.store = Store(rows)
        partition = next(_partitions)
        me, you = f"me {partition}", f"you {partition}"
        places = (Place(me, "c1"), Place(me, "c2"), Place(you, "c1"))
        self.talks = [Talk(p) for p in (*places, Place(None, f"{'anonymous' * 2}{partition}"))]
        self.owners = (me, you)
        self.nonces = itertools.count(1)
        self.now = NOW
        self.touched: set[int] = set()

    # Reading

    @rule(target=reads, which=which, messages=st.sampled_from((2, 3, 4, 40)))
    def read(self, which: int, messages: int) -> Read:
        talk = self.talks[which]
        view = self.run(self.store.read(talk.place, messages))
        assert view == talk.read(messages)
        return Read(talk, view)

    @rule(which=which, below=number, messages=st.integers(1, 5))
    def read_below(self, which: int, below: int, messages: int) -> None:
        talk = self.talks[which]
        view = self.run(self.store.read_below(talk.place, below, messages))
        assert view == (talk.newest(below, messages) if below else View(None))

    @rule(target=seen, which=which, number=number)
    def answer(self, which: int, number: int) -> Any:
        talk = self.talks[which]
        answer = self.run(self.store.answer(talk.place, 2 * (number // 2) + 1))
        assert answer == talk.answers.get(2 * (number // 2) + 1)
        return multiple() if answer is None else Seen(talk, answer)

    @rule(owner=st.integers(0, 1), limit=st.integers(1, 3))
    def conversations(self, owner: int, limit: int) -> None:
        found: list[Conversation] = []
        cursor = None
        while True:
            page = self.run(self.store.conversations(self.owners[owner], limit, cursor))
            assert len(page.items) <= limit
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.items) == limit
        theirs = [t for t in self.talks if t.place.owner == self.owners[owner] and t.visible]
        assert found == sorted((t.line() for t in theirs), key=lambda c: (-c.updated, c.id))

    # Writing

    @rule(
        target=mine,
        read=reads,
        turn=st.integers(1, 4),
        replacing=st.integers(0, 3),
        later=st.sampled_from((0, 1, 1000, -1000)),
    )
    def begin(self, read: Read, turn: int, replacing: int, later: int) -> Any:
        """As the protocol has it: where the newest turn has ended, by what was read.

        It replaces so many turns, where so many were read.
        """
        talk, view = read.talk, read.view
        newest = view.answers[0] if view.answers else None
        if newest is not None and newest.running:
            return multiple()
        self.now += later
        new = new_turn(
            f"t{turn}",
            nonce=f"n{next(self.nonces)}",
            replaces=_replaced(view, replacing),
            results=(ToolResult(id="a", content=f"r{turn}"),) if turn % 3 == 2 else (),
        )
        wanted = self.expected(talk, lambda: talk.begin(view.head, new, self.now))
        begun = self.write(wanted, self.store.begin(talk.place, view.head, new, self.now))
        if begun is None:
            return multiple()
        self.etags(talk, head=begun.head.etag, number=begun.answer.number, etag=begun.answer.etag)
        assert (begun.head, begun.before) == (talk.head, view.head)
        assert begun.answer == talk.answers[begun.answer.number]
        return Mine(talk, begun)

    @rule(
        target=mine,
        mine=mine,
        more=st.sampled_from((Delta("a"), Delta("ü" * 35_000), Reasoning("r"), None)),
    )
    def save(self, mine: Mine, more: StoredEvent | None) -> Any:
        talk, begun = mine.talk, mine.begun
        self.now += 10
        body, lease = _body(begun, more), self.now + LEASE_MS
        wanted = self.expected(talk, lambda: talk.save(begun.answer, body, lease))
        saved = self.write(wanted, self.store.save(begun, body, lease))
        return self.written(talk, saved)

    @rule(mine=mine, reason=st.sampled_from(("stop", "length", "error")))
    def finish(self, mine: Mine, reason: Any) -> None:
        talk, begun = mine.talk, mine.begun
        body = _body(begun, Delta("z"))
        wanted = self.expected(talk, lambda: talk.finish(begun.answer, body, reason, USAGE))
        self.written(talk, self.write(wanted, self.store.finish(begun, body, reason, USAGE, 0)))

    @rule(mine=mine)
    def undo(self, mine: Mine) -> None:
        talk, begun = mine.talk, mine.begun
        wanted = self.expected(talk, lambda: talk.undo(begun))
        self.write(wanted, self.store.undo(begun))
        self.learn(talk, wanted)

    @rule(target=mine, mine=mine)
    def settle(self, mine: Mine) -> Any:
        """The owner reads its row again, and goes on where it is still its own."""
        place, number = mine.talk.place, mine.begun.answer.number
        row = self.run(self.store.answer(place, number))
        head = self.run(self.store.head(place))
        if row is None or head is None or row.nonce != mine.begun.answer.nonce or not row.running:
            return multiple()
        return Mine(mine.talk, replace(mine.begun, answer=row, head=head))

    @rule(seen=seen, stopped=st.booleans())
    def reap(self, seen: Seen, stopped: bool) -> None:
        talk, answer = seen.talk, seen.answer
        if answer.running:
            wanted = self.expected(talk, lambda: talk.reap(answer, USAGE, stopped))
            self.write(wanted, self.store.reap(talk.place, answer, USAGE, stopped=stopped))
            self.learn(talk, wanted)

    @rule(seen=seen)
    def ask_to_stop(self, seen: Seen) -> None:
        talk, answer = seen.talk, seen.answer
        if answer.running:
            wanted = self.expected(talk, lambda: talk.ask_to_stop(answer))
            self.write(wanted, self.store.ask_to_stop(talk.place, answer))
            self.learn(talk, wanted)

    @rule(seen=seen, later=st.integers(1, 3))
    def watch(self, seen: Seen, later: int) -> None:
        talk, answer, until = seen.talk, seen.answer, self.now + later
        if answer.running:
            wanted = self.expected(talk, lambda: talk.watch(answer, until))
            self.write(wanted, self.store.watch(talk.place, answer, until))
            self.learn(talk, wanted)

    @rule(which=which, title=st.sampled_from(("one", "two")))
    def rename(self, which: int, title: str) -> None:
        talk = self.talks[which]
        wanted = self.expected(talk, lambda: talk.rename(title))
        head = self.write(wanted, self.store.rename(talk.place, title), NotFound)
        if head is not None:
            assert talk.head is not None
            talk.head = replace(talk.head, etag=head.etag)
            assert head == talk.head

    @rule(which=which, sure=st.integers(0, 2))
    def delete(self, which: int, sure: int) -> None:
        if sure:  # not too often: nothing happens in it afterwards
            return
        talk = self.talks[which]
        told: list[str | None] = []
        wanted = self.expected(talk, lambda: told.append(talk.delete()))
        running = self.write(wanted, self.store.delete(talk.place), NotFound)
        assert [running] == (told or [None])
        self.learn(talk, wanted)

    @rule(which=which)
    def purge(self, which: int) -> None:
        talk = self.talks[which]
        self.run(self.store.purge(talk.place))
        talk.purge()
        self.touched.add(which)

    # What is compared

    @invariant()
    def the_store_says_what_the_reference_says(self) -> None:
        for which in sorted(self.touched):
            talk = self.talks[which]
            assert self.run(self.store.read(talk.place, EVERYTHING)) == talk.read(EVERYTHING)
            assert self.run(self.store.head(talk.place)) == talk.head
            below = self.run(self.store.read_below(talk.place, 1 << 20, EVERYTHING))
            assert below == talk.newest(1 << 20, EVERYTHING)
            for turn in range(1, 5):
                assert self.run(self.store.find(talk.place, f"t{turn}")) == talk.find(f"t{turn}")
        self.touched.clear()

    def teardown(self) -> None:
        self.touched = set(range(len(self.talks)))
        self.the_store_says_what_the_reference_says()
        for owner in (0, 1):
            self.conversations(owner, 2)

    # How it is driven

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def expected(self, talk: Talk, write: Callable[[], object]) -> bool:
        """Whether the write's conditions hold; if so, the reference has it."""
        self.touched.add(self.talks.index(talk))
        try:
            write()
        except Refused:
            note("  it is refused")
            return False
        return True

    def write[T](
        self,
        wanted: bool,
        work: Coroutine[Any, Any, T],
        refusal: type[Exception] = Conflict,
    ) -> T | None:
        if wanted:
            return self.run(work)
        with pytest.raises(refusal):
            self.run(work)
        return None

    def written(self, talk: Talk, begun: Begun | None) -> MultipleResults[Any] | Mine:
        """What a write of the owner gave is what is there."""
        if begun is None:
            return multiple()
        self.etags(talk, number=begun.answer.number, etag=begun.answer.etag)
        assert begun.answer == talk.answers[begun.answer.number]
        return Mine(talk, begun)

    def etags(self, talk: Talk, *, head: str = "", number: int = 1, etag: str) -> None:
        """Versions are the store's to name; each is new."""
        if head and talk.head is not None:
            talk.head = replace(talk.head, etag=head)
        assert etag != talk.answers[number].etag
        talk.answers[number] = replace(talk.answers[number], etag=etag)

    def learn(self, talk: Talk, wanted: bool) -> None:
        """The versions after a write that does not tell them."""
        if not wanted:
            return
        head = self.run(self.store.head(talk.place))
        talk.head = _with_etag_of(talk.head, head)
        for number, mine in talk.answers.items():
            row = self.run(self.store.answer(talk.place, number))
            assert row is not None
            talk.answers[number] = replace(mine, etag=row.etag)


def _replaced(view: View, turns: int) -> Replaced | None:
    """The newest visible turns."""
    hides, found = (view.answers[0].number + 1 if view.answers else 0), 0
    for answer in view.answers:
        if found < turns and answer.number < hides:
            hides, found = answer.below + 1, found + 1
    return Replaced(hides, found) if found else None


def _with_etag_of(mine: Head | None, stored: Head | None) -> Head | None:
    return mine if mine is None or stored is None else replace(mine, etag=stored.etag)


def _body(begun: Begun, more: StoredEvent | None) -> bytes:
    """The body, and what has come since."""
    runs = [*begun.answer.runs, *([] if more is None else [more])]
    return encode_runs(runs)


@pytest.mark.parametrize("backend", DRIVEN, indirect=True)
def test_the_store_is_what_the_reference_says(backend: Backend) -> None:
    loop = asyncio.new_event_loop()
    rows = backend.open()
    fast = backend.name == "memory"
    examples, many = (200, EXAMPLES) if fast else (25, EXAMPLES // 10)
    if backend.name == "tds":
        examples = 8
    try:
        run_state_machine_as_test(
            lambda: StoreMachine(loop, rows),  # type: ignore[arg-type]
            settings=settings(
                max_examples=many or examples,
                stateful_step_count=25,
                derandomize=not EXAMPLES,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.run_until_complete(rows.aclose())
        loop.close()
