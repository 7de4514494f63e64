"""The verdict: every conversation and every turn, checked against what was done and seen."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from chaos.facts import deletion_of, facts_of
from chaos.findings import Finding, Kind
from chaos.history import ConversationHistory, Message, TurnHistory, World
from chaos.texts import check_texts
from chaos.turn_checks import check_turn

FREED_SECONDS: Final = 30.0


def verdict(conversations: Iterable[ConversationHistory], world: World) -> list[Finding]:
    """All findings, in the order of the conversations."""
    findings: list[Finding] = []
    for conversation in conversations:
        name = conversation.plan.name
        found = _conversation(conversation, world)
        findings += (replace(finding, conversation=name) for finding in found)
    findings += (Finding("log", line) for line in world.log)
    return findings


def _conversation(conversation: ConversationHistory, world: World) -> Iterator[Finding]:
    final, deletion = conversation.final, deletion_of(conversation)
    for says in final.troubles:
        yield Finding("not_calm", says)
    if final.waited == float("inf"):
        yield Finding("busy", "it was never free again")
    if final.status == 404:
        yield from _gone(conversation, deletion)
    elif deletion == "yes":
        yield Finding("deleted_lives", f"deleted, and answered with {final.status}")
    else:
        yield from _kept(conversation)
    yield from _busy_after_end(conversation)
    yield from _not_freed(conversation, world)
    for turn in conversation.turns:
        if turn.sightings:
            facts = facts_of(conversation, turn, world)
            yield from check_texts(facts)
            yield from check_turn(facts, world)


def _gone(conversation: ConversationHistory, deletion: str) -> Iterator[Finding]:
    """404: deleted, or none of its turns ever began; then the probe was its first."""
    final = conversation.final
    seen = [turn.plan.name for turn in conversation.turns if turn.seen]
    if deletion == "no" and seen:
        yield Finding("missing", f"404, though {', '.join(seen)} had been seen")
    anew = final.probe == (200, "stop")
    if deletion == "yes" and final.probe[0] != 404:
        yield Finding("deleted_lives", f"deleted, and a new turn got {final.probe}")
    elif not anew and (deletion == "no" or final.probe[0] != 404):
        yield Finding("probe", f"a new turn got {final.probe}")
    counts = [count for _, count in final.listed]
    if counts != ([2] if anew else []):
        kind: Kind = "count" if anew else "deleted_lives"
        yield Finding(kind, f"404, then a new turn got {final.probe}; the list: {final.listed}")


def _kept(conversation: ConversationHistory) -> Iterator[Finding]:
    final = conversation.final
    if final.probe != (200, "stop"):
        yield Finding("probe", f"a new turn got {final.probe}")
    for turn in conversation.turns:
        yield from _once(conversation, turn)
    known = {turn.plan.name for turn in conversation.turns}
    for message in final.exported:
        if message.turn not in known:
            yield Finding("twice", f"nobody asked {message.turn}")
    if final.count != len(final.messages):
        says = f"messageCount is {final.count}, there are {len(final.messages)} messages"
        yield Finding("count", says)
    # The probe came between; it is one more turn.
    expected = [(final.title, final.count + 2)]
    if final.exported and final.listed != expected:
        yield Finding("count", f"the list has {final.listed}, not {expected}")
    yield from _title(conversation)


def _once(conversation: ConversationHistory, turn: TurnHistory) -> Iterator[Finding]:
    """Stored once: question and answer, and in the messages unless it was replaced."""
    final, name = conversation.final, turn.plan.name
    exported = [m for m in final.exported if m.turn == name]
    listed = [m for m in final.messages if m.turn == name]
    if not exported:
        if turn.seen:
            yield Finding("missing", "it was seen, and is not stored", turn=name)
        if listed:
            yield Finding("missing", "in the messages, but not in the export", turn=name)
        return
    if Counter(m.role for m in exported) != {"user": 1, "assistant": 1}:
        roles = ", ".join(m.role for m in exported)
        yield Finding("twice", f"the export has {roles}", turn=name)
    if any(m.role == "user" and m.content != turn.plan.prompt for m in exported):
        yield Finding("twice", "its question is not what was asked", turn=name)
    replaced_by = [
        other.plan.name
        for other in conversation.turns
        if other.replaces == name and _stored(final.exported, other)
    ]
    if any(m.replaced != bool(replaced_by) for m in exported):
        says = f"replaced by {replaced_by or 'nobody'}, but the export says otherwise"
        yield Finding("replaced", says, turn=name)
    if len(listed) != (0 if replaced_by else 2):
        yield Finding("twice", f"{len(listed)} messages are listed", turn=name)
    answers = [m for m in (*exported, *listed) if m.role == "assistant"]
    if any((m.content, m.reason) != (answers[0].content, answers[0].reason) for m in answers):
        yield Finding("twice", "messages and export differ", turn=name)


def _stored(messages: Iterable[Message], turn: TurnHistory) -> bool:
    return any(m.turn == turn.plan.name for m in messages)


def _title(conversation: ConversationHistory) -> Iterator[Finding]:
    """The last title that was confirmed stays, unless a later one may have arrived."""
    renames = [act for act in conversation.acts if act.kind == "rename"]
    if not renames or any(act.status != 200 for act in renames):
        return
    title = max(renames, key=lambda act: act.at).answer.get("title")
    if conversation.final.title != title:
        yield Finding("title", f"renamed to {title!r}, but {conversation.final.title!r}")


def _busy_after_end(conversation: ConversationHistory) -> Iterator[Finding]:
    """Whoever has seen a turn's end is never told that it is busy with it."""
    ended: dict[str, float] = {}
    for turn in conversation.turns:
        ends = [s.closed for s in turn.sightings if s.end and s.error != "store_unavailable"]
        if ends:
            ended[turn.plan.name] = min(ends)
    for turn in conversation.turns:
        for s in turn.sightings:
            if s.code == "conversation_busy" and s.sent > ended.get(s.busy_with, float("inf")):
                says = f"{s.who} was told at {s.sent:.1f} s that {s.busy_with} runs, seen to end"
                yield Finding("busy_after_end", says, turn=turn.plan.name)


def _not_freed(conversation: ConversationHistory, world: World) -> Iterator[Finding]:
    """A turn whose instance died keeps its conversation busy for 30 s at most."""
    died = {turn.plan.name: _died(turn, world) for turn in conversation.turns}
    for turn in conversation.turns:
        for s in turn.sightings:
            at = died.get(s.busy_with, float("inf"))
            if s.code == "conversation_busy" and s.sent > at + FREED_SECONDS:
                says = f"told at {s.sent:.1f} s that {s.busy_with} runs; it died at {at:.1f} s"
                yield Finding("not_freed", says, turn=turn.plan.name)


def _died(turn: TurnHistory, world: World) -> float:
    """When the instance that asked the model last was killed; infinite: it was not."""
    asks = [ask for ask in world.asks if ask.marker == turn.plan.marker]
    if not asks:
        return float("inf")
    last = max(asks, key=lambda ask: ask.at)
    kills = (
        d.until
        for d in world.disturbances
        if d.kind != "pause" and d.instance == last.instance and d.at > last.at
    )
    return min(kills, default=float("inf"))
