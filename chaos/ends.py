"""The table: which ends fit what was done to a turn. See docs/chaos.md."""

from collections.abc import Iterator

from chaos.facts import Facts, unwatched
from chaos.history import World

_SLACK = 0.5
_WATCH_MARK = 20.0
"""How long a mark of a watcher elsewhere counts."""


def fitting(facts: Facts, world: World) -> dict[str, str]:
    """The finish reasons that the store may give, each with why."""
    return dict(_fitting(facts, world))


def _fitting(facts: Facts, world: World) -> Iterator[tuple[str, str]]:
    plan = facts.turn.plan
    # Of a response that was cut off nobody knows how much arrived.
    finished = any(ask.finished for ask in facts.asks)
    if plan.end in ("stop", "length", "content_filter") and finished:
        yield plan.end, "the model said so"
    if plan.end == "error":
        yield "error", "the model's stream had an error"
    if plan.end == "incomplete":
        yield "incomplete", "the model's stream broke off"
    if facts.stops:
        yield "cancelled", "somebody stopped it"
    if facts.deletion != "no":
        yield "cancelled", "its conversation was to be deleted"
    if why := _why_disconnected(facts, world):
        yield "disconnected", why
    if any(ask.fault.startswith(("cut", "hiccup")) for ask in facts.asks):
        yield "incomplete", "the connection to the model was cut"
    if facts.disturbances:
        yield "incomplete", "its instance was killed, terminated or paused"
    if facts.starved:
        yield "incomplete", "its instance was without the store for long"
    if facts.cut_off or any(ask.fault for ask in facts.asks):
        yield "error", "the model could not be reached"
    if plan.refused:
        yield plan.end, "the model refused it"


def _why_disconnected(facts: Facts, world: World) -> str:
    """Why nobody may have watched for the grace; empty: somebody did."""
    turn = facts.turn
    grace = 0.0 if turn.plan.on_disconnect == "cancel" else world.grace - _SLACK
    # Its end is written, and seen, some time after the grace: any gap before that will do.
    if unwatched(turn, facts.over) >= grace:
        return "nobody watched"
    there = unwatched(turn, facts.over, facts.owners)
    # Who watches elsewhere counts by a mark in the store, which faults may have kept off.
    hindered = facts.troubled or any(f.where == "store" for f in facts.faults)
    others = {s.instance for s in turn.sightings} - facts.owners
    hindered = hindered or any(
        d.instance in others and d.at < facts.over and d.until > facts.began
        for d in world.disturbances
    )
    hindered = hindered or any(
        o.where == "store" and o.at < facts.over and o.until > facts.began for o in world.outages
    )
    if there >= grace and (hindered or turn.plan.on_disconnect == "cancel"):
        return "who watched did so elsewhere, and the store failed"
    return ""


def went_on(facts: Facts, world: World) -> float:
    """For how many seconds too long the model was listened to after everybody had left."""
    turn, asks = facts.turn, [ask for ask in facts.asks if ask.finished]
    if facts.troubled or not asks or not turn.seen:
        return 0.0
    cancels = turn.plan.on_disconnect == "cancel"
    watched = max(s.closed for s in turn.sightings)
    elsewhere = any(s.instance not in facts.owners for s in turn.sightings)
    allowed = (0.0 if cancels else world.grace) + (_WATCH_MARK if elsewhere else 0.0) + 5.0
    return max(0.0, asks[-1].closed - watched - allowed)
