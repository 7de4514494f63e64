"""What a history must hold, without rows: plain values that every write replaces."""

from dataclasses import dataclass, field, replace

from shared.events import StoredEvent
from shared.history.base import (
    LEASE_MS,
    Answer,
    Begun,
    Conversation,
    Head,
    NewTurn,
    Place,
    Question,
    View,
)
from shared.history.codec import decode_runs
from shared.messages import FinishReason, Usage


class Refused(Exception):
    """The write's condition does not hold."""


@dataclass
class Talk:
    """One conversation. `head` None: it never was; `next` 0: its only turn was undone."""

    place: Place
    head: Head | None = None
    answers: dict[int, Answer] = field(default_factory=dict)
    questions: dict[int, Question] = field(default_factory=dict)
    before: dict[str, Head | None] = field(default_factory=dict)
    """The head that each turn found, by nonce."""

    @property
    def visible(self) -> bool:
        return self.head is not None and not self.head.deleted and self.head.next > 0

    def find(self, turn_id: str) -> int | None:
        found = [n for n, a in self.answers.items() if a.turn_id == turn_id]
        found += [n + 1 for n, q in self.questions.items() if q.turn_id == turn_id]
        return found[0] if found else None

    def newest(self, below: int, messages: int) -> View:
        """The newest messages below a number, without the head."""
        numbers = sorted((n for n in (*self.answers, *self.questions) if n < below), reverse=True)
        shown = numbers[:messages]
        return View(
            None,
            tuple(self.answers[n] for n in shown if n % 2),
            tuple(self.questions[n] for n in shown if n % 2 == 0),
            lowest=shown[-1] if len(shown) == messages else 0,
        )

    def read(self, messages: int) -> View:
        if self.head is None or self.head.deleted:
            return View(self.head)
        return replace(self.newest(1 << 30, messages), head=self.head)

    def line(self) -> Conversation:
        assert self.head is not None
        head = self.head
        return Conversation(
            self.place.conversation, head.title, head.created, head.updated, head.count
        )

    # Writes: what they are built on must be what is there. ETags are filled in by who writes.

    def begin(self, head: Head | None, turn: NewTurn, now: int) -> None:
        same = (head and head.etag) == (self.head and self.head.etag)
        if not same or (head and head.deleted) or self.find(turn.turn_id) is not None:
            raise Refused
        first = head is None or head.next == 0
        number = 0 if head is None else head.next
        updated = now if head is None else max(now, head.updated + 1)
        self.before[turn.nonce] = head
        self.head = Head(
            "",
            title=turn.title if first or head is None else head.title,
            created=now if first or head is None else head.created,
            updated=updated,
            next=number + 2,
            indexed=0 if self.place.owner is None else updated,
        )
        text = "" if turn.results else turn.question
        self.questions[number] = Question(number, turn.turn_id, now, text, turn.results)
        self.answers[number + 1] = Answer(
            number=number + 1,
            turn_id=turn.turn_id,
            nonce=turn.nonce,
            digest=turn.digest,
            action=turn.action,
            model=turn.model,
            result_name=turn.result_name,
            created=now,
            running=True,
            lease=now + LEASE_MS,
            etag="",
            hides=None if turn.replaces is None else turn.replaces.hides,
        )
        self.head = replace(self.head, count=self._visible_messages())

    def save(self, answer: Answer, body: bytes, lease: int) -> None:
        mine = self._same(answer)
        self.answers[mine.number] = replace(mine, body=body, runs=decode_runs(body), lease=lease)

    def finish(self, answer: Answer, body: bytes, reason: FinishReason, usage: Usage) -> None:
        self.save(answer, body, 0)
        self._end(answer.number, reason, usage)

    def reap(self, answer: Answer, usage: Usage, stopped: bool) -> None:
        mine = self._same(answer)
        self.answers[mine.number] = replace(mine, lease=0)
        self._end(mine.number, "cancelled" if stopped or mine.stop else "incomplete", usage)

    def ask_to_stop(self, answer: Answer) -> None:
        self.answers[answer.number] = replace(self._same(answer), stop=True)

    def watch(self, answer: Answer, until: int) -> None:
        self.answers[answer.number] = replace(self._same(answer), watch=until)

    def undo(self, begun: Begun) -> None:
        mine = self._same(begun.answer)
        head, before = self.head, self.before[mine.nonce]
        if head is None or head.deleted or head.etag != begun.head.etag:
            raise Refused
        if before is None or not before.next:
            self.head = replace(head, title="", next=0, count=0, indexed=0)
        else:
            self.head = replace(before, title=head.title)
        del self.answers[mine.number], self.questions[mine.number - 1]

    def rename(self, title: str) -> None:
        if self.head is None or not self.visible:
            raise Refused
        self.head = replace(self.head, title=title)

    def delete(self) -> str | None:
        if self.head is None or not self.visible:
            raise Refused
        newest = self.answers[self.head.next - 1]
        if newest.running:
            # Its turn's row is still there, as its question is.
            del self.answers[newest.number]
        self.head = Head("", deleted=True)
        return newest.turn_id if newest.running else None

    def purge(self) -> None:
        if self.head is not None and self.head.deleted:
            self.answers.clear()
            self.questions.clear()

    def _visible_messages(self) -> int:
        assert self.head is not None
        visible, number = 0, self.head.next - 1
        while number > 0:
            visible += 2
            number = self.answers[number].below
        return visible

    def _same(self, answer: Answer) -> Answer:
        mine = self.answers.get(answer.number)
        if mine is None or mine.etag != answer.etag:
            raise Refused
        return mine

    def _end(self, number: int, reason: FinishReason, usage: Usage) -> None:
        mine = self.answers[number]
        self.answers[number] = replace(mine, running=False, finish_reason=reason, usage=usage)


def grown(runs: tuple[StoredEvent, ...], more: StoredEvent) -> tuple[StoredEvent, ...]:
    """Runs as they are after one more event."""
    return (*runs, more)
