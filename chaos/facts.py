"""What happened to one turn, as far as it can be known: the ground that its end is judged on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.history import (
    Ask,
    ConversationHistory,
    Disturbance,
    Fault,
    Message,
    Sighting,
    TurnHistory,
    World,
)

LEASE: Final = 20.0
REAPED: Final = 27.0
"""Seconds after which a dead turn has ended: lease, margin, and a follower's look."""
STARVED: Final = 8.0
"""Seconds without a usable store, from which on a lease may run out."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one turn; times are seconds since the run began."""

    turn: TurnHistory
    stored: Message | None
    """The answer as the store has it."""
    asks: Sequence[Ask]
    owners: frozenset[int]
    """The instances that may have run it."""
    began: float
    over: float
    """When somebody first saw its end, or when it must have ended."""
    disturbances: Sequence[Disturbance]
    """Those of an owner while the turn ran."""
    faults: Sequence[Fault]
    """Those of the store for its conversation, and of the model for it, while it ran."""
    starved: bool
    """An owner may have been without its store for long."""
    cut_off: bool
    """An owner's model may have been out of reach."""
    deletion: str
    """`no`, `tried`, or `yes`: somebody was told that its conversation is deleted."""
    stops: Sequence[float]
    """When somebody asked to stop it."""

    @property
    def troubled(self) -> bool:
        """Whether its instance may have lost it."""
        return self.starved or bool(self.disturbances)

    @property
    def ends(self) -> list[Sighting]:
        return [s for s in self.turn.sightings if s.end is not None]


def facts_of(conversation: ConversationHistory, turn: TurnHistory, world: World) -> Facts:
    """Put together what is known of a turn that was asked at least once."""
    plan = turn.plan
    asks = [ask for ask in world.asks if ask.marker == plan.marker]
    posts = [s for s in turn.sightings if s.way != "attach"]
    owners = frozenset(ask.instance for ask in asks) or frozenset(s.instance for s in posts)
    began = min(s.sent for s in turn.sightings)
    ended = [s.closed for s in turn.sightings if s.end is not None]
    last = max([s.closed for s in turn.sightings] + [ask.closed for ask in asks])
    over = min(ended, default=last + REAPED)
    # A paused or killed one may have lost the turn before anybody was told.
    disturbances = [
        d for d in world.disturbances if d.instance in owners and d.at < over and d.until > began
    ]
    faults = [
        fault
        for fault in world.faults
        if fault.at < over
        and fault.until > began
        and fault.subject in (conversation.plan.name, plan.marker)
    ]
    dry = sum(
        min(f.until, over) - f.at for f in faults if f.where == "store" and f.instance in owners
    )
    outages = [o for o in world.outages if o.at < over and o.until > began]
    dry += sum(
        min(o.until, over) - max(o.at, began)
        for o in outages
        if o.where == "store" and o.instance in owners
    )
    return Facts(
        turn=turn,
        stored=stored_answer(conversation, plan.name),
        asks=asks,
        owners=owners,
        began=began,
        over=over,
        disturbances=disturbances,
        faults=faults,
        starved=dry >= STARVED,
        cut_off=any(f.where == "model" for f in faults)
        or any(o.where == "model" and o.instance in owners for o in outages),
        deletion=deletion_of(conversation),
        stops=[act.at for act in turn.acts if act.kind == "stop"],
    )


def stored_answer(conversation: ConversationHistory, name: str) -> Message | None:
    """The turn's answer in the export."""
    return next(
        (m for m in conversation.final.exported if m.turn == name and m.role == "assistant"), None
    )


def deletion_of(conversation: ConversationHistory) -> str:
    """`no`, `tried`, or `yes`."""
    answers = [act.status for act in conversation.acts if act.kind == "delete"]
    if any(status in (204, 404) for status in answers):
        return "yes"
    return "tried" if answers else "no"


def unwatched(turn: TurnHistory, until: float, instances: Iterable[int] | None = None) -> float:
    """The longest time, in seconds, that nobody watched after somebody first had, up to `until`.

    Who waits for a response to begin does not count, nor who watches on other `instances`.
    """
    wanted = None if instances is None else set(instances)
    spans = sorted(
        # Who never got a response may have begun it, and has left it then.
        (s.closed if s.opened is None else s.opened, s.closed)
        for s in turn.sightings
        if s.status in (0, 200) and (wanted is None or s.instance in wanted)
    )
    begun = min((s.sent for s in turn.sightings), default=until)
    longest, covered = 0.0, spans[0][0] if spans else begun
    for opened, closed in spans:
        if opened > covered:
            longest = max(longest, min(opened, until) - covered)
        covered = max(covered, closed)
    return max(longest, until - covered)
