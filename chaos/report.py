"""The figures of a run, and its findings with all that is needed to understand them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from chaos.campaign import Round
from chaos.findings import Finding
from chaos.history import (
    ConversationHistory,
    Disturbance,
    Outage,
    Sighting,
    TurnHistory,
    World,
)

_AROUND = 3.0
"""Seconds before and after a turn whose faults are shown with it."""
_MOST = 5
"""Of one kind are shown in full."""


def figures(rounds: Iterable[Round]) -> Iterator[str]:
    """A Markdown table."""
    count: Counter[str] = Counter()
    for done in rounds:
        count.update(_counted(done))
    yield "| figure | number |"
    yield "|---|---|"
    for name, number in count.items():
        yield f"| {name} | {number:,} |"


def _counted(done: Round) -> Counter[str]:
    count: Counter[str] = Counter()
    turns = [turn for made in done.conversations for turn in made.turns]
    sightings = [s for turn in turns for s in turn.sightings]
    count["turns"] = len(turns)
    count["turns that somebody saw"] = sum(turn.seen for turn in turns)
    count["conversations"] = len(done.conversations)
    count["requests of callers"] = len(sightings)
    count["requests that broke off or stayed silent"] = sum(
        s.parting in ("broken", "silent") for s in sightings
    )
    for where in ("store", "model"):
        count[f"faults of the {where}"] = sum(f.where == where for f in done.world.faults)
    for kind in ("kill", "terminate", "pause"):
        count[f"instances: {kind}"] = sum(d.kind == kind for d in done.world.disturbances)
    count["outages"] = len(done.world.outages)
    ends = Counter(
        message.reason
        for made in done.conversations
        for message in made.final.exported
        if message.role == "assistant"
    )
    for reason, number in sorted(ends.items()):
        count[f"ended as {reason}"] = number
    count["findings"] = len(done.findings)
    return count


def told(done: Round, quiet: bool = False) -> Iterator[str]:
    """The findings of a round: how many of each kind, then one after the other."""
    kinds = Counter(finding.kind for finding in done.findings)
    for kind, number in kinds.most_common():
        yield f"  {kind}: {number}"
    if quiet:
        return
    made = {conversation.plan.name: conversation for conversation in done.conversations}
    shown: Counter[str] = Counter()
    for finding in done.findings:
        # The same mistake in the log, at another time, tells nothing new.
        same = finding.says.rpartition("\n")[2] if finding.kind == "log" else finding.kind
        shown[same] += 1
        if shown[same] <= (1 if finding.kind == "log" else _MOST):
            yield ""
            yield from _finding(finding, made, done.world)
    for same, number in shown.items():
        yield f"  {number} times: {same}"


def _finding(finding: Finding, made: dict[str, ConversationHistory], world: World) -> Iterator[str]:
    where = " ".join(name for name in (finding.conversation, finding.turn) if name)
    yield f"FINDING {finding.kind}: {where}: {finding.says}"
    if finding.conversation is None:
        return
    conversation = made[finding.conversation]
    turns = [t for t in conversation.turns if finding.turn in (None, t.plan.name)]
    moments = [s for turn in turns for s in turn.sightings]
    for act in conversation.acts:
        yield f"  {act.at:7.1f} {act.kind} at instance {act.instance}: {act.status}"
    for turn in turns:
        yield from _turn(turn, conversation, world)
    if moments:
        began = min(s.sent for s in moments) - _AROUND
        ended = max(s.closed for s in moments) + _AROUND
        yield from _around(conversation, {t.plan.marker for t in turns}, world, began, ended)


def _turn(turn: TurnHistory, conversation: ConversationHistory, world: World) -> Iterator[str]:
    plan = turn.plan
    yield f"  turn {plan.name}: {plan.prompt[:30]}…, {len(plan.text)} code points, {plan.end}"
    yield f"    planned: {plan.leaves} {plan.doings} onDisconnect={plan.on_disconnect}"
    for s in turn.sightings:
        yield f"    {_sighting(s)}"
    for act in turn.acts:
        yield f"    {act.at:.1f} {act.kind} at instance {act.instance}: {act.status} {act.answer}"
    for ask in world.asks:
        if ask.marker == plan.marker:
            yield f"    {ask}"
    for message in conversation.final.exported:
        if message.turn == plan.name and message.role == "assistant":
            yield (
                f"    stored: {message.state} {message.reason} {len(message.content)} code points "
                f"{message.usage} replaced={message.replaced} {message.error}"
            )


def _sighting(s: Sighting) -> str:
    opened = "-" if s.opened is None else f"{s.opened:.1f}"
    marks = [s.marks[0], s.marks[-1]] if s.marks else []
    seen = ", ".join(f"{have} by {at:.1f}" for at, have in marks)
    end = f" end={s.end.reason}/{len(s.end.text)}" if s.end else ""
    return (
        f"{s.sent:.1f}–{opened}–{s.closed:.1f} {s.who}, {s.way} at {s.instance}: {s.status} "
        f"{s.code}{s.busy_with and f' busy with {s.busy_with}'} before={len(s.before)} "
        f"[{seen}] {s.error}{end} {s.parting}"
    )


def _around(
    conversation: ConversationHistory, markers: set[str], world: World, began: float, ended: float
) -> Iterator[str]:
    subjects = {conversation.plan.name, *markers}
    for fault in world.faults:
        if fault.subject in subjects and fault.at < ended and fault.until > began:
            yield (
                f"  {fault.at:7.1f}–{fault.until:.1f} {fault.where} of instance {fault.instance}: "
                f"{fault.kind}, {fault.what}"
            )
    spans: list[Disturbance | Outage] = [*world.disturbances, *world.outages]
    for span in spans:
        if span.at < ended and span.until > began:
            yield f"  {span.at:7.1f}–{span.until:.1f} {span}"
