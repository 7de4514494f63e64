"""Checks of one turn but for its text: its end, how often the model was asked, what was refused."""

from collections.abc import Iterator
from typing import Final, Literal

from chaos.ends import fitting, went_on
from chaos.facts import Facts
from chaos.findings import Finding, Kind
from chaos.history import Sighting, World

ASKING_SECONDS: Final = 5.0
"""The model's own tries are over by then."""
STOP_SECONDS: Final = 15.0
"""By then a stop works, wherever it was asked."""
_REFUSED_CODES: Final = frozenset(
    {"model_unavailable", "model_timeout", "store_unavailable", "overloaded"}
)
_MODEL_CODES: Final = frozenset({"rate_limited", "model_refused", "content_filtered"})


def check_turn(facts: Facts, world: World) -> Iterator[Finding]:
    """All of them, in the words of docs/chaos.md."""
    yield from _end_state(facts, world)
    yield from _asked(facts)
    yield from _statuses(facts)
    yield from _left_behind(facts)
    yield from _stopped(facts)
    yield from _again(facts, world)


def _end_state(facts: Facts, world: World) -> Iterator[Finding]:
    stored = facts.stored
    if stored is not None:
        if stored.state != "ended":
            yield _finding(facts, "busy", f"its state is {stored.state}")
            return
        fits = fitting(facts, world)
        if stored.reason not in fits:
            says = f"it ended as {stored.reason}; what was done explains {', '.join(fits) or '-'}"
            yield _finding(facts, "end_state", says)
        whole = facts.turn.plan.text
        if stored.reason == "stop" and stored.content != whole:
            says = f"`stop` with {len(stored.content)} code points of {len(whole)}"
            yield _finding(facts, "end_state", says)
        if seconds := went_on(facts, world):
            says = f"the model was listened to {seconds:.1f} s too long after everybody had left"
            yield _finding(facts, "went_on", says)
    elif facts.deletion == "yes":
        fits = {**fitting(facts, world), "cancelled": ""}
        for sighting in facts.ends:
            assert sighting.end is not None
            if sighting.end.reason not in fits and sighting.error != "store_unavailable":
                yield _finding(facts, "end_state", f"{sighting.who} was told {sighting.end.reason}")


def _asked(facts: Facts) -> Iterator[Finding]:
    """Once for each turn that began; what was refused and tried again may be asked again."""
    answered = [ask for ask in facts.asks if ask.status == 200 and not ask.fault.startswith("cut")]
    # A connection that is reset loses what its reader has not read yet: nobody knows what arrived.
    resets = "[simulate: cut reset" in facts.turn.plan.prompt
    spoke = [ask for ask in answered if ask.spoke and (ask.finished or not resets)]
    if len(spoke) > 1:
        yield _finding(facts, "asked_again", f"the model answered it {len(spoke)} times")
    refused = sum(s.way != "attach" and s.status != 200 for s in facts.turn.sightings)
    if len(answered) > 1 + refused:
        says = f"the model took it {len(answered)} times, for {refused} refusals"
        yield _finding(facts, "asked_again", says)
    seen = [s.opened for s in facts.turn.sightings if s.seen and s.opened is not None]
    paused = any(d.kind == "pause" for d in facts.disturbances)
    if seen and not paused:
        late = [ask for ask in facts.asks if ask.at > min(seen) + ASKING_SECONDS]
        for ask in late:
            says = f"asked at {ask.at:.1f} s, after it was seen at {min(seen):.1f} s"
            yield _finding(facts, "asked_again", says)
    posts = [s for s in facts.turn.sightings if s.way != "attach"]
    if facts.asks and all(s.code == "conversation_busy" for s in posts):
        yield _finding(facts, "asked_though_busy", "refused as busy, and its model was asked")


def _statuses(facts: Facts) -> Iterator[Finding]:
    turn = facts.turn
    seen = min((s.sent for s in turn.sightings if s.seen), default=float("inf"))
    for s in turn.sightings:
        says = f"{s.who} ({s.way}, instance {s.instance}) got {s.status} {s.code}"
        if kind := _odd(facts, s, seen):
            yield _finding(facts, kind, f"{says} {s.error}")
    for act in turn.acts:
        code = str(act.answer.get("code", ""))
        if act.kind != "mismatch" or act.status in (0, 429, 502, 503, 504):
            continue
        if (act.status, code) == (404, "not_found") and facts.deletion != "no":
            continue
        if (act.status, code) != (409, "turn_mismatch"):
            says = f"another body under its turnId got {act.status} {code}"
            yield _finding(facts, "mismatch", says)


def _odd(facts: Facts, s: Sighting, seen: float) -> Kind | Literal[""]:
    """The kind of finding that a response is; `seen`: when somebody who saw the turn had asked."""
    if "internal_error" in (s.code, s.error) or (s.status == 500 and not s.code):
        return "internal"
    if s.status == 404 and facts.deletion == "no":
        # An attach may come before the turn has begun, or after it was refused.
        return "odd_status" if s.way != "attach" else "vanished" if s.sent > seen else ""
    if s.code == "turn_mismatch":
        return "odd_status" if facts.turn.replaces is None else ""
    if s.code in _MODEL_CODES:
        return "" if facts.turn.plan.refused or facts.cut_off else "odd_status"
    return "odd_status" if 400 <= s.status < 500 and s.code not in _EXPECTED else ""


_EXPECTED: Final = frozenset(
    {"conversation_busy", "turn_mismatch", "not_found", *_MODEL_CODES, *_REFUSED_CODES}
)


def _left_behind(facts: Facts) -> Iterator[Finding]:
    posts = [s for s in facts.turn.sightings if s.way != "attach"]
    refused = all(s.parting == "refused" and s.code for s in posts)
    if facts.stored is None or facts.turn.seen or not refused:
        return
    unsure = facts.starved or any(s.code == "store_unavailable" for s in posts)
    empty = facts.stored.reason == "incomplete" and not facts.stored.content
    if not (unsure and empty):
        codes = ", ".join(sorted({s.code for s in posts}))
        says = f"refused ({codes}), and there as {facts.stored.reason}"
        yield _finding(facts, "left_behind", says)


def _stopped(facts: Facts) -> Iterator[Finding]:
    for act in facts.turn.acts:
        if act.kind != "stop" or act.status not in (200, 202) or act.answered is None:
            continue
        if act.status == 200 and facts.stored is not None:
            told = act.answer.get("state"), act.answer.get("finishReason")
            if told != ("ended", facts.stored.reason):
                says = f"stop was told {told}, the store says {facts.stored.reason}"
                yield _finding(facts, "told_otherwise", says)
        due = act.answered + STOP_SECONDS
        late = [at for s in facts.turn.sightings for at, _ in s.marks if at > due]
        if late and not facts.troubled:
            says = f"stopped at {act.answered:.1f} s, and it spoke at {max(late):.1f} s"
            yield _finding(facts, "stop_ignored", says)


def _again(facts: Facts, world: World) -> Iterator[Finding]:
    """What the verdict itself asked, when all faults were off."""
    turn, stored = facts.turn, facts.stored
    if turn.replayed is None or stored is None:
        return
    end = turn.replayed.end
    if end is None or (end.reason, end.text) != (stored.reason, stored.content):
        says = f"asked again: {turn.replayed.status} {turn.replayed.code} {end}"
        yield _finding(facts, "replay", says)
    if turn.replayed.whole != stored.content:
        yield _finding(facts, "replay", "asked again, its deltas are not what is stored")
    if turn.asked_before is not None and len(facts.asks) > turn.asked_before:
        yield _finding(facts, "asked_again", "its replay asked the model")
    if turn.mismatched is not None and turn.mismatched != (409, "turn_mismatch"):
        yield _finding(facts, "mismatch", f"another body got {turn.mismatched}")


def _finding(facts: Facts, kind: Kind, says: str) -> Finding:
    return Finding(kind, says, turn=facts.turn.plan.name)
