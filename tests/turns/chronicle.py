"""What became of every turn, as the shared rows saw it, write by write."""

import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from shared.events import StoredEvent
from shared.history import keys
from shared.history.base import Answer, Place
from shared.history.memory import MemoryRows
from shared.history.records import read_answer
from shared.history.rows import Operation, Row
from shared.history.store import Store


def at_once[T](work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as those of a store in memory."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("It waits.")


class Life:
    """One turn from its beginning on: an id that was undone and begun again has two."""

    def __init__(self, place: Place, answer: Answer, began: int) -> None:
        self.place = place
        self.answer = answer
        self.began = began
        """Moments are numbers that only grow: of two in one instant one comes first."""
        self.ended: int | None = None
        self.removed: int | None = None

    def __repr__(self) -> str:
        return f"{self.turn_id} of {self.place.conversation} ({self.state})"

    @property
    def turn_id(self) -> str:
        return self.answer.turn_id

    @property
    def state(self) -> str:
        if self.removed is not None:
            return "removed"
        return "running" if self.ended is None else f"{self.answer.finish_reason}"

    @property
    def running(self) -> bool:
        return self.ended is None and self.removed is None

    @property
    def reaped(self) -> bool:
        """Whether it was ended by another instance, which does not know its prompt's size."""
        usage = self.answer.usage
        return usage is not None and usage.estimated and usage.prompt_tokens == 0

    @property
    def runs(self) -> tuple[StoredEvent, ...]:
        return self.answer.runs

    def there_since(self, moment: int) -> bool:
        """Whether it is in the store, and was at that moment."""
        return self.began <= moment and self.removed is None

    def ran_since(self, moment: int) -> bool:
        """Whether it ran at some time from that moment on."""
        over = [m for m in (self.ended, self.removed) if m is not None]
        return not over or min(over) > moment


class Chronicle(MemoryRows):
    """The rows that all instances share. What must never be is added to `wrong`."""

    def __init__(self, tell: Callable[[str], None], wrong: list[str]) -> None:
        super().__init__()
        self.lives: list[Life] = []
        self.deleted: dict[Place, int] = {}
        """When each conversation was deleted."""
        self._store = Store(self)
        self._tell = tell
        self._wrong = wrong
        self._moments = itertools.count(1)

    def moment(self) -> int:
        return next(self._moments)

    def of(self, place: Place, turn_id: str | None = None) -> list[Life]:
        """The lives of a conversation's turns, or of one, oldest first."""
        return [
            life for life in self.lives if life.place == place and turn_id in (None, life.turn_id)
        ]

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        etags = await super().write(partition, operations)
        for operation in operations:
            await self._see(partition, operation.key)
        return etags

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        await super().remove(partition, keys)
        for key in keys:
            await self._see(partition, key)

    async def _see(self, partition: str, key: str) -> None:
        kind, _, rest = key.partition(",")
        conversation, _, _message = rest.partition(",")
        if kind != "v" or partition == keys.INTENTS:
            return
        place = next(p for p in _places(conversation) if keys.partition(p) == partition)
        row = await super().get(partition, key)
        if key == keys.head(conversation):
            if row is not None and row.values.get("deleted") and place not in self.deleted:
                self.deleted[place] = self.moment()
                self._tell(f"{conversation} is deleted")
            return
        number = keys.message_number(key)
        assert number is not None
        if number % 2:
            self._see_answer(place, number, row)

    def _see_answer(self, place: Place, number: int, row: Row | None) -> None:
        there = [life for life in self.of(place) if life.removed is None]
        old = next((life for life in there if life.answer.number == number), None)
        if row is None:
            if old is not None:
                old.removed = self.moment()
                self._tell(f"stored: {old}")
            return
        answer = read_answer(row)
        if old is None:
            self._begin(place, answer, there)
            return
        if old.ended is not None:
            self._wrong.append(f"{old} was written after its end")
        if answer.nonce != old.answer.nonce:
            self._wrong.append(f"{old} was overwritten by another turn")
        if not answer.body.startswith(old.answer.body):
            self._wrong.append(f"{old} lost text that was stored")
        old.answer = answer
        if not answer.running:
            old.ended = self.moment()
            self._tell(f"stored: {old}")

    def _begin(self, place: Place, answer: Answer, there: list[Life]) -> None:
        life = Life(place, answer, self.moment())
        self.lives.append(life)
        self._tell(f"stored: {life}")
        if any(other.running for other in there):
            self._wrong.append(f"{life} began while another turn ran")
        if any(other.turn_id == answer.turn_id for other in there):
            self._wrong.append(f"{life} is there twice")
        if place in self.deleted:
            self._wrong.append(f"{life} began in a deleted conversation")

    def check(self, place: Place) -> None:
        """Whether head, list, messages and turns fit each other."""
        view = at_once(self._store.read(place, 1000))
        lines = at_once(self._store.conversations(place.owner or "", 100, None)).items
        line = next((line for line in lines if line.id == place.conversation), None)
        there = {life.answer.number: life for life in self.of(place) if life.removed is None}
        head = view.head
        if head is None or head.deleted or not head.next:
            assert line is None
            assert not any(life.running for life in there.values())
            assert head is None or head.deleted or (head.count, len(there)) == (0, 0)
            return
        numbers = list(range(head.next - 1, 0, -2))
        assert [a.number for a in view.answers] == numbers == sorted(there, reverse=True)
        assert [q.number + 1 for q in view.questions] == numbers
        assert not any(answer.running for answer in view.answers[1:])
        for answer in view.answers:
            assert at_once(self._store.find(place, answer.turn_id)) == answer.number
        turns = keys.turns(place.conversation)
        assert len(at_once(self.range(keys.partition(place), *turns, 1000))) == len(numbers)
        visible, number = 0, head.next - 1
        while number > 0:
            hides = there[number].answer.hides
            visible += 2
            number = number - 2 if hides is None else hides - 1
        assert head.count == visible
        assert line is not None
        assert (line.title, line.created, line.updated, line.count) == (
            head.title,
            head.created,
            head.updated,
            head.count,
        )


def _places(conversation: str) -> tuple[Place, ...]:
    return Place("me", conversation), Place("you", conversation)
