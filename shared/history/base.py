"""What a turn needs of a history store: values, and one Protocol.

Times are milliseconds since 1970 (UTC). Message numbers count from 0: even ones are questions,
odd ones are answers. **The answer is the turn's state.** Every write names the version (ETag) that
it was built on; a `Conflict` or a `StoreUnavailable` is never a verdict: the caller reads the
answer again and decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.events import Delta, Reasoning, StoredEvent, ToolCall
from shared.messages import FinishReason, ToolResult, Usage

LEASE_MS = 20_000
"""A running turn belongs to its owner for this long after the last write was sent."""
LEASE_MARGIN_MS = 5_000
"""Others wait this much longer: the clocks of two instances differ by less."""


class Conflict(Exception):
    """A write's condition did not hold, or a row was there already, or was gone."""


@dataclass(frozen=True, slots=True)
class Place:
    """One conversation of one owner. `owner` None: anonymous, the conversation owns itself."""

    owner: str | None
    conversation: str


@dataclass(frozen=True, slots=True)
class Head:
    """A conversation's head. A deleted conversation's head stays, for good."""

    etag: str
    deleted: bool = False
    title: str = ""
    created: int = 0
    updated: int = 0
    """When its last turn began; also names its row in the list."""
    next: int = 0
    """Number of the next question; 0: the only turn was undone, the conversation is none."""
    count: int = 0
    """Visible messages, questions and answers."""
    indexed: int = 0
    """The `updated` that its index row was written under; 0: it has none."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as it came."""

    number: int
    turn_id: str
    created: int
    text: str
    results: tuple[ToolResult, ...] = ()
    """Instead of a text: what the calls of the turn before it gave."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, which is the turn's state."""

    number: int
    turn_id: str
    nonce: str
    """Made once a request: tells whose turn this is after a lost reply."""
    digest: str
    action: str
    model: str
    result_name: str
    created: int
    running: bool
    lease: int
    """When the owner's claim ends; 0 once ended."""
    etag: str
    stop: bool = False
    watch: int = 0
    """Somebody on another instance watches until then."""
    hides: int | None = None
    """The lowest message number that this turn replaces; None: it replaces nothing."""
    runs: tuple[StoredEvent, ...] = ()
    body: bytes = b""
    """`runs` as they are stored: what a writer appends to."""
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    reasoning_tokens: int = 0

    @property
    def text(self) -> str:
        """The answer's whole text."""
        return "".join(run.text for run in self.runs if isinstance(run, Delta))

    @property
    def reasoning(self) -> str:
        """The whole text of its thoughts; empty: it showed none."""
        return "".join(run.text for run in self.runs if isinstance(run, Reasoning))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """What the model wants called; the next turn may bring the results."""
        return tuple(run for run in self.runs if isinstance(run, ToolCall))

    @property
    def below(self) -> int:
        """The number of the answer below this one and below all that it hides; < 0: none."""
        return self.number - 2 if self.hides is None else self.hides - 1

    def over(self, now: int) -> bool:
        """Whether its instance must be dead: the lease and the clocks' margin are over."""
        return self.running and now > self.lease + LEASE_MARGIN_MS


@dataclass(frozen=True, slots=True)
class View:
    """What one read says: the head, and the newest messages, newest first.

    A row that cannot be decoded is left out, and with it the other half of its turn.
    `answers[0]` is the newest turn wherever it can be read: only that one can be running.
    """

    head: Head | None
    answers: tuple[Answer, ...] = ()
    questions: tuple[Question, ...] = ()
    lowest: int = 0
    """Messages with lower numbers were not read; 0: everything was."""

    def question(self, number: int) -> Question | None:
        return next((q for q in self.questions if q.number == number), None)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a turn takes the place of: the newest visible turn, or several, the newest of all."""

    hides: int
    """The lowest message number of theirs, or of what they hide themselves."""
    turns: int = 1
    """How many are visible until then."""

    @classmethod
    def one(cls, answer: Answer) -> "Replaced":
        """That turn alone."""
        return cls(answer.below + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """What `begin` writes."""

    turn_id: str
    nonce: str
    digest: str
    action: str
    model: str
    result_name: str
    question: str
    title: str
    """The conversation's title, where this turn is its first."""
    results: tuple[ToolResult, ...] = ()
    """Instead of a question."""
    replaces: Replaced | None = None
    body: bytes = b""
    """Runs that are known at once: citations."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A turn that `begin` wrote, or that its writer settled on: what the next write builds on."""

    place: Place
    head: Head
    """The head as it is now."""
    before: Head | None
    """The head as it was before: what `undo` puts back."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class Conversation:
    """One line of the list."""

    id: str
    title: str
    created: int
    updated: int
    count: int


@dataclass(frozen=True, slots=True)
class Page[T]:
    """One page, and the cursor of the next one; None: it was the last."""

    items: tuple[T, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did, in numbers of conversations."""

    resumed: int
    """Deletions that had been broken off."""
    retired: int
    """Older than what is kept."""
    failed: int
    """Left for the next sweep; the log says why."""
    complete: bool
    """False: its time was over first."""


class HistoryStore(Protocol):
    """Keeps turns. Every method raises `StoreUnavailable` where the store gives no answer."""

    async def read(self, place: Place, messages: int) -> View:
        """The head and the newest `messages` rows, in one request; replaced turns included."""
        ...

    async def read_below(self, place: Place, number: int, messages: int) -> View:
        """The newest rows whose number is below `number`; `head` is None."""
        ...

    async def head(self, place: Place) -> Head | None: ...

    async def find(self, place: Place, turn_id: str) -> int | None:
        """The number of a turn's answer, however old; None: there is no such turn."""
        ...

    async def answer(self, place: Place, number: int) -> Answer | None: ...

    async def begin(self, place: Place, head: Head | None, turn: NewTurn, now: int) -> Begun:
        """Write head, index, turn, question and running answer in one transaction.

        Raises `Conflict` and `PayloadTooLarge`.
        """
        ...

    async def save(
        self, begun: Begun, body: bytes, lease: int, *, model: str | None = None
    ) -> Begun:
        """Checkpoint: the body's changed part, and the lease. Raises `Conflict`.

        `model`: who answers, where that is another one than the turn began with.
        """
        ...

    async def finish(
        self,
        begun: Begun,
        body: bytes,
        reason: FinishReason,
        usage: Usage,
        reasoning_tokens: int,
        *,
        model: str | None = None,
    ) -> Begun:
        """End the turn: one conditional merge. Raises `Conflict`."""
        ...

    async def undo(self, begun: Begun) -> None:
        """Take the turn back as if it had never been. Raises `Conflict`."""
        ...

    async def reap(
        self, place: Place, answer: Answer, usage: Usage, *, stopped: bool = False
    ) -> None:
        """End a dead turn: `cancelled` if somebody stops it, or has, else `incomplete`.

        Raises `Conflict`.
        """
        ...

    async def ask_to_stop(self, place: Place, answer: Answer) -> None:
        """Tell the owner, wherever it runs, to stop. Raises `Conflict`."""
        ...

    async def watch(self, place: Place, answer: Answer, until: int) -> None:
        """Tell the owner that somebody watches elsewhere until then. Raises `Conflict`."""
        ...

    async def conversations(self, owner: str, limit: int, cursor: str | None) -> Page[Conversation]:
        """Newest first. Raises `InvalidRequest` for a cursor that it did not make."""
        ...

    async def rename(self, place: Place, title: str) -> Head:
        """Raises `NotFound`."""
        ...

    async def delete(self, place: Place) -> str | None:
        """Delete for good: returns once it is promised and told to nobody any more.

        Gives the turn that was running. Raises `NotFound`. The messages go by pages after the
        promise (`purge`), resumable by anybody.
        """
        ...

    async def purge(self, place: Place) -> None:
        """Remove what is left of a deleted conversation, by pages; then its intent."""
        ...

    async def sweep(self, now: int, keep_ms: int | None, time_left: Callable[[], bool]) -> Swept:
        """Finish deletions that were broken off; delete what began last before `keep_ms` ago.

        None: nothing is too old. A conversation whose turn runs stays. Stops soon after
        `time_left` says no, and may be broken off anywhere: the next one goes on.
        """
        ...

    async def ready(self) -> None:
        """Reach the store, and create what is missing. Raises `StoreUnavailable`."""
        ...

    async def aclose(self) -> None: ...
