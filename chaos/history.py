"""What was done and seen: plain values, written by actors, read by the verdict.

Times are seconds since the run began. Texts are code points. Made-up ones test the verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chaos.plan import Conversation, Turn

type Way = Literal["post", "attach", "repeat"]
type Parting = Literal["end", "left", "broken", "silent", "refused", "nothing"]
"""How a response ended: with `end`; the caller left; it broke off; it was silent for too long; it
was an HTTP error; it was a 204 or ended without `end`."""
type Trouble = Literal["kill", "terminate", "pause"]


@dataclass(frozen=True, slots=True)
class End:
    """The `end` event; `usage` as it came."""

    reason: str
    text: str
    usage: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Sighting:
    """One response about a turn, as its caller saw it."""

    who: str
    way: Way
    instance: int
    sent: float
    before: str = ""
    """The text that the position stands for that was handed back."""
    opened: float | None = None
    """When the head of the response came."""
    status: int = 0
    """0: no response came."""
    code: str = ""
    """The problem's code; empty also for an error without one, which the host made."""
    busy_with: str = ""
    begun: bool = False
    """An event has come."""
    text: str = ""
    """What its deltas said."""
    marks: list[tuple[float, int]] = field(default_factory=list)
    """When so many code points of `text` had come."""
    error: str = ""
    """The code of its `error` event."""
    end: End | None = None
    closed: float = 0.0
    parting: Parting = "nothing"
    strange: str = ""
    """What was no valid event stream about it."""

    @property
    def whole(self) -> str:
        """All that its caller then knew of the answer."""
        return self.before + self.text

    @property
    def seen(self) -> bool:
        """Whether anything of the turn was told."""
        return self.status == 200 and self.begun

    def seen_at(self, length: int) -> float:
        """When the caller had seen so much of `whole`; 0: it knew that from before."""
        wanted = length - len(self.before)
        if wanted <= 0:
            return 0.0
        return next((at for at, have in self.marks if have >= wanted), self.closed)


@dataclass(slots=True)
class Act:
    """Something that was done to a turn or its conversation, and what was answered."""

    kind: str
    instance: int
    at: float
    answered: float | None = None
    status: int = 0
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """An item of the list of messages, or of the export."""

    role: str
    turn: str
    content: str
    state: str = ""
    reason: str = ""
    usage: Mapping[str, Any] | None = None
    replaced: bool = False
    error: str = ""


@dataclass(slots=True)
class TurnHistory:
    """A turn: what was planned, seen and done."""

    plan: Turn
    replaces: str | None = None
    """The turn that it asks to replace."""
    sightings: list[Sighting] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    asked_before: int | None = None
    """How often the model had been asked when all faults were off."""
    replayed: Sighting | None = None
    """The same body again, when all faults were off."""
    mismatched: tuple[int, str] | None = None
    """Status and code of another body, when all faults were off."""

    @property
    def seen(self) -> bool:
        return any(sighting.seen for sighting in self.sightings)


@dataclass(slots=True)
class Final:
    """What the API said of a conversation when all faults were off."""

    status: int = 0
    waited: float = 0.0
    """Seconds until it was free; infinite: it never was."""
    title: str = ""
    count: int = 0
    messages: list[Message] = field(default_factory=list)
    exported: list[Message] = field(default_factory=list)
    listed: list[tuple[str, int]] = field(default_factory=list)
    """Title and count of every line of the owner's list that is this conversation's."""
    probe: tuple[int, str] = (0, "")
    """Status and finish reason of a new turn."""
    troubles: list[str] = field(default_factory=list)
    """What should not fail any more, and did."""


@dataclass(slots=True)
class ConversationHistory:
    """A conversation and its turns, in the order in which they were first asked."""

    plan: Conversation
    turns: list[TurnHistory] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    final: Final = field(default_factory=Final)


@dataclass(slots=True)
class Fault:
    """What a relay did to one exchange. `subject`: the conversation, or the turn's marker."""

    where: Literal["store", "model"]
    instance: int
    kind: str
    at: float
    until: float
    subject: str | None
    what: str


@dataclass(slots=True)
class Ask:
    """One request of the model, as its relay saw it."""

    marker: str
    instance: int
    at: float
    fault: str = ""
    passed: bool = False
    """The model got it."""
    status: int = 0
    """What the app got; 0: nothing."""
    spoke: bool = False
    """Something of the stream reached the app."""
    finished: bool = False
    """The finish reason reached the app."""
    closed: float = 0.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """An instance killed, terminated or paused, until it served again."""

    instance: int
    kind: Trouble
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Outage:
    """A span in which every exchange of an instance with store or model went wrong."""

    where: Literal["store", "model"]
    instance: int
    at: float
    until: float


@dataclass(slots=True)
class World:
    """What happened to everybody. `grace` in seconds."""

    grace: float
    faults: list[Fault] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """Lines of the workers that tell of a mistake."""
