"""Checks of what was seen against what is stored: nothing lost, forked, skipped or told twice."""

from collections.abc import Iterator

from chaos.facts import LEASE, Facts
from chaos.findings import Finding, Kind
from chaos.history import Sighting

_SLACK = 1.5
CHECKPOINT = 2.0
_WRITING = 3.0
"""Seconds that a checkpoint may take where nothing is in its way but other work."""


def check_texts(facts: Facts) -> Iterator[Finding]:
    """`forked`, `position`, `strange`, `no_end`, `told_otherwise`, `lost_text`."""
    for sighting in facts.turn.sightings:
        yield from _stream(facts, sighting)
        if sighting.end is not None:
            yield from _end(facts, sighting)
        if facts.stored is not None and sighting.seen:
            yield from _kept(facts, sighting)
    yield from _forks(facts)


def _stream(facts: Facts, sighting: Sighting) -> Iterator[Finding]:
    said, whole = facts.turn.plan.text, sighting.whole
    if sighting.strange:
        yield _finding(facts, "strange", f"{_who(sighting)}: {sighting.strange}")
    if sighting.status == 200 and sighting.parting == "nothing":
        yield _finding(facts, "no_end", f"{_who(sighting)}: the response ended without `end`")
    if said.startswith(whole):
        return
    if said.startswith(sighting.before):
        says = f"behind {len(sighting.before)} code points came {sighting.text[:60]!r}"
        yield _finding(facts, "position", f"{_who(sighting)}: {says}")
    else:
        yield _finding(facts, "forked", f"{_who(sighting)}: the model never said {whole[-60:]!r}")


def _end(facts: Facts, sighting: Sighting) -> Iterator[Finding]:
    end, stored = sighting.end, facts.stored
    assert end is not None
    # Reaped: `incomplete`, or `cancelled` by a stop that its instance did not live to see.
    reaped = end.reason in ("incomplete", "cancelled") and sighting.whole.startswith(end.text)
    if end.text != sighting.whole and not (reaped and _may_lose(facts, len(end.text))):
        says = f"its deltas gave {len(sighting.whole)} code points, `result` has {len(end.text)}"
        yield _finding(facts, "told_otherwise", f"{_who(sighting)}: {says}")
    if facts.deletion != "no" and end.reason == "cancelled":
        return
    if sighting.error == "store_unavailable":
        if not facts.troubled:
            yield _finding(facts, "end_state", f"{_who(sighting)}: the store was there")
        return
    if stored is None:
        return
    told = end.reason, end.text, end.usage
    kept = stored.reason, stored.content, stored.usage
    if told != kept:
        says = (
            f"was told {told[0]} with {len(told[1])} code points, {told[2]}; "
            f"the store says {kept[0]} with {len(kept[1])}, {kept[2]}"
        )
        yield _finding(facts, "told_otherwise", f"{_who(sighting)}: {says}")
    error = sighting.error
    if stored.error and not error:
        error = _error_before(facts, sighting)
    if (error == "") != (stored.error == ""):
        says = f"was told the error {error!r}; the store says {stored.error!r}"
        yield _finding(facts, "told_otherwise", f"{_who(sighting)}: {says}")


def _may_lose(facts: Facts, kept: int) -> bool:
    """Whether what was seen beyond `kept` code points may be gone with the turn's instance.

    It is where a kill or pause came after that, and at most a lease after; what a reader saw when
    the instance served again had survived. Without a store a lease runs out too.
    """
    shown = [
        s.seen_at(kept + 1) for s in facts.turn.sightings if len(s.before) <= kept < len(s.whole)
    ]
    first = min(shown, default=facts.began)
    return facts.starved or any(
        d.at - LEASE - _SLACK <= first <= d.until + _SLACK for d in facts.disturbances
    )


def _kept(facts: Facts, sighting: Sighting) -> Iterator[Finding]:
    """What was seen is stored; a troubled instance may lose what no checkpoint had confirmed."""
    assert facts.stored is not None
    kept, whole = facts.stored.content, sighting.whole
    if kept.startswith(whole):
        return
    if not whole.startswith(kept):
        yield _finding(facts, "forked", f"{_who(sighting)}: the store has {kept[-60:]!r}")
        return
    # What it knew from a position, the response that told it is asked about.
    first = sighting.seen_at(len(kept) + 1)
    if not first or not sighting.marks:
        return
    span = sighting.marks[-1][0] - first
    says = f"{len(whole) - len(kept)} code points that were seen over {span:.1f} s are not stored"
    if not facts.troubled:
        yield _finding(facts, "lost_text", f"{_who(sighting)}: {says}, and nothing happened")
    elif span > LEASE + _SLACK:
        yield _finding(facts, "lost_text", f"{_who(sighting)}: {says}")
    elif span > CHECKPOINT + _WRITING and not _hindered(facts, first, first + span):
        yield _finding(facts, "lost_text", f"{_who(sighting)}: {says}, and the store was there")


def _hindered(facts: Facts, since: float, until: float) -> bool:
    """Whether checkpoints may have failed in that time: a store fault, or a pause, at the owner."""
    return (
        facts.starved
        or any(
            f.where == "store"
            and f.instance in facts.owners
            and f.at < until
            and f.until > since - _WRITING
            for f in facts.faults
        )
        or any(d.kind == "pause" and d.at < until for d in facts.disturbances)
    )


def _forks(facts: Facts) -> Iterator[Finding]:
    """Of any two callers, one saw the beginning of what the other saw."""
    longest = max((s.whole for s in facts.turn.sightings), key=len, default="")
    for sighting in facts.turn.sightings:
        if not longest.startswith(sighting.whole):
            says = f"{sighting.whole[-60:]!r} is no part of what another caller saw"
            yield _finding(facts, "forked", f"{_who(sighting)}: {says}")


def _error_before(facts: Facts, sighting: Sighting) -> str:
    """The error that its caller was told before it left, and came back to what comes after that."""
    if sighting.way != "attach":
        return ""
    earlier = [s for s in facts.turn.sightings if s.who == sighting.who and s.sent < sighting.sent]
    return next((s.error for s in reversed(earlier) if s.error), "")


def _who(sighting: Sighting) -> str:
    return f"{sighting.who} ({sighting.way}, instance {sighting.instance}, {sighting.sent:.1f} s)"


def _finding(facts: Facts, kind: Kind, says: str) -> Finding:
    return Finding(kind, says, turn=facts.turn.plan.name)
