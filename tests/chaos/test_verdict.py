"""The verdict finds what it is there for: each check is shown a history that violates it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from chaos.findings import Kind
from chaos.history import Act, Ask, Message, TurnHistory
from tests.chaos.made import PLAN, TEXT, USAGE, Case, gone, refused, seen, well

PAGE = Path(__file__).parents[2] / "docs" / "chaos.md"

type Spoil = Callable[[Case], object]


def steps(*all_of: Spoil) -> Spoil:
    """One after the other."""

    def spoil(case: Case) -> None:
        for step in all_of:
            step(case)

    return spoil


def two(case: Case, status: int, code: str, *, busy_with: str = "", at: float = 20.0) -> None:
    """A second turn of the conversation, which was refused."""
    plan = replace(PLAN, marker="n", name="u")
    sighting = replace(refused(status, code, at=at), busy_with=busy_with)
    case.conversation.turns.append(TurnHistory(plan, sightings=[sighting]))


def once_more(case: Case, **changes: object) -> None:
    case.world.asks.append(replace(case.ask, **changes))  # type: ignore[arg-type]
    case.turn.asked_before = len(case.world.asks)


def resumed(case: Case, before: str, text: str) -> None:
    """The caller left and came back; the rest was told from a position."""
    case.turn.sightings = [
        seen(before, None),
        seen(text, "stop", way="attach", at=12.5, before=before),
    ]
    end = case.turn.sightings[1].end
    assert end is not None
    case.turn.sightings[1].end = replace(end, text=TEXT)


def lost(case: Case, seconds: float, kept: int = 9) -> None:
    """The store has less than was seen: what is missing was seen over so many seconds."""
    case.store("incomplete", TEXT[:kept])
    sighting = seen(TEXT, None)
    step = seconds / (len(TEXT) - kept - 1)
    sighting.marks = [(10.2, kept), *((11 + step * n, kept + 1 + n) for n in range(9))]
    sighting.closed = 11.1 + seconds
    case.turn.sightings[0] = sighting
    case.ask.closed = sighting.closed
    case.ask.finished = False


def killed(case: Case, reason: str = "incomplete", at: float = 11.0) -> None:
    case.disturb("kill", at, at + 3)
    case.ended(reason, TEXT[:9])
    case.ask.finished = False


def away(case: Case, told: str) -> None:
    """The store was away for longer than a lease, after the answer was whole."""
    case.outage("store", 11, 40)
    case.store("incomplete", TEXT)
    error = "store_unavailable" if told == "error" else ""
    case.turn.sightings[0] = replace(seen(TEXT, told), closed=35.0, error=error)


def begun_by_one_who_left(case: Case) -> None:
    """Nobody was told anything before the grace was over."""
    case.turn.sightings = [
        replace(refused(0, "", at=1.0), opened=None, parting="silent", closed=5.0),
        seen("", "disconnected", at=9.0),
    ]
    case.store("disconnected", "")


def stopped(case: Case, status: int, **answer: Any) -> None:
    case.act("stop", status, **answer)
    case.ended("cancelled", TEXT[:9])


def told_the_error_before(case: Case, *, told: bool = True, text: str = TEXT[:9]) -> None:
    """Its caller left after the `error`, and came back for what was left: the `end`."""
    case.turn.plan = replace(PLAN, end="error")
    case.store("error", text, error="model_unavailable")
    case.ask.finished = False
    rest = replace(seen("", None, way="attach", at=12.5, before=text), text="", marks=[])
    end = seen(text, "error").end
    case.turn.sightings = [
        replace(seen(text, None), error="model_unavailable" if told else ""),
        replace(rest, end=end, parting="end"),
    ]


SPOILS: list[tuple[str, Spoil]] = [
    # Nothing is left busy.
    ("busy", lambda c: setattr(c.final, "waited", float("inf"))),
    ("busy", lambda c: c.store(state="running")),
    ("probe", lambda c: setattr(c.final, "probe", (409, ""))),
    ("probe", lambda c: setattr(c.final, "probe", (200, "error"))),
    ("not_calm", lambda c: c.final.troubles.append("GET: 503")),
    # Stored once.
    ("missing", steps(lambda c: c.final.messages.clear(), lambda c: c.final.exported.clear())),
    ("missing", lambda c: setattr(c.conversation, "final", replace(c.final, status=404))),
    ("twice", lambda c: c.final.exported.append(c.final.exported[1])),
    ("twice", lambda c: c.final.messages.append(c.final.messages[0])),
    ("twice", lambda c: c.final.messages.pop()),
    ("twice", lambda c: c.final.exported.append(Message("user", "other", "?"))),
    ("twice", lambda c: c.final.exported.pop(0)),
    (
        "twice",
        lambda c: c.final.exported.__setitem__(0, replace(c.final.exported[0], content="x")),
    ),
    (
        "twice",
        lambda c: c.final.messages.__setitem__(1, replace(c.final.messages[1], reason="error")),
    ),
    (
        "replaced",
        lambda c: c.final.exported.__setitem__(1, replace(c.final.exported[1], replaced=True)),
    ),
    ("count", lambda c: setattr(c.final, "count", 4)),
    ("count", lambda c: setattr(c.final, "listed", [])),
    ("count", lambda c: setattr(c.final, "listed", [("T", 4), ("T", 4)])),
    ("count", lambda c: setattr(c.final, "listed", [("other", 4)])),
    ("title", lambda c: c.act("rename", 200, title="another")),
    # What was seen is what is stored.
    ("told_otherwise", lambda c: setattr(c.turn, "sightings", [seen(TEXT, "length")])),
    ("told_otherwise", lambda c: c.store(usage={**USAGE, "totalTokens": 15})),
    ("told_otherwise", lambda c: c.store(error="model_timeout")),
    ("told_otherwise", lambda c: setattr(c.sighting, "text", TEXT[:5])),
    ("told_otherwise", lambda c: c.store("stop", TEXT[:9])),
    ("lost_text", lambda c: lost(c, 0.5)),
    ("lost_text", steps(lambda c: lost(c, 6.0), lambda c: c.disturb("kill", 17, 18))),
    ("lost_text", steps(lambda c: lost(c, 23.0), lambda c: c.disturb("pause", 12, 20))),
    ("forked", lambda c: c.turn.sightings.append(seen("m: 000 x", None))),
    ("forked", lambda c: c.store("stop", "m: 000 other text 3")),
    ("position", lambda c: resumed(c, TEXT[:9], TEXT[8:])),
    ("position", lambda c: resumed(c, TEXT[:9], TEXT[10:])),
    ("no_end", lambda c: c.turn.sightings.append(replace(seen("m", None), parting="nothing"))),
    ("strange", lambda c: setattr(c.sighting, "strange", "no JSON")),
    # The end fits.
    ("end_state", lambda c: c.ended("cancelled", TEXT[:9])),
    ("end_state", lambda c: c.ended("disconnected", TEXT[:9])),
    ("end_state", lambda c: c.ended("incomplete", TEXT[:9])),
    ("end_state", lambda c: c.ended("error", TEXT[:9])),
    ("end_state", lambda c: c.ended("length")),
    ("end_state", lambda c: c.ended("stop", TEXT[:9])),
    ("end_state", lambda c: setattr(c.ask, "finished", False)),
    ("end_state", lambda c: killed(c, "cancelled")),
    ("end_state", lambda c: killed(c, at=15.0)),
    ("end_state", lambda c: setattr(c.sighting, "error", "store_unavailable")),
    (
        "went_on",
        steps(
            lambda c: c.turn.sightings.__setitem__(0, seen(TEXT[:9], None)),
            lambda c: setattr(c.ask, "closed", 30.0),
        ),
    ),
    (
        "stop_ignored",
        steps(
            lambda c: c.act("stop", 202, at=11.0),
            lambda c: c.turn.sightings[0].marks.append((28.0, 18)),
        ),
    ),
    ("told_otherwise", lambda c: told_the_error_before(c, told=False)),
    ("told_otherwise", lambda c: stopped(c, 200, state="ended", finishReason="stop")),
    ("told_otherwise", lambda c: stopped(c, 200, state="running", finishReason=None)),
    # The model is asked once.
    ("asked_again", lambda c: once_more(c, at=10.2)),
    ("asked_again", lambda c: once_more(c, at=10.2, spoke=False)),
    ("asked_again", lambda c: once_more(c, at=16.0, status=0, spoke=False)),
    ("asked_again", lambda c: setattr(c.turn, "asked_before", 0)),
    (
        "asked_though_busy",
        steps(
            lambda c: two(c, 409, "conversation_busy", busy_with="t", at=10.5),
            lambda c: c.world.asks.append(Ask("n", 0, 10.6)),
        ),
    ),
    # Refusals.
    ("busy_after_end", lambda c: two(c, 409, "conversation_busy", busy_with="t")),
    (
        "not_freed",
        steps(killed, lambda c: two(c, 409, "conversation_busy", busy_with="t", at=45.0)),
    ),
    ("internal", lambda c: two(c, 500, "internal_error")),
    ("internal", lambda c: two(c, 500, "")),
    ("internal", lambda c: setattr(c.sighting, "error", "internal_error")),
    ("odd_status", lambda c: two(c, 404, "not_found")),
    ("odd_status", lambda c: two(c, 400, "invalid_request")),
    ("odd_status", lambda c: two(c, 409, "turn_mismatch")),
    ("odd_status", lambda c: two(c, 502, "model_refused")),
    (
        "vanished",
        lambda c: c.turn.sightings.append(refused(404, "not_found", at=20.0, way="attach")),
    ),
    ("mismatch", lambda c: setattr(c.turn, "mismatched", (200, ""))),
    ("mismatch", lambda c: c.act("mismatch", 200)),
    ("mismatch", lambda c: c.act("mismatch", 409, code="conversation_busy")),
    ("mismatch", lambda c: c.act("mismatch", 404, code="not_found")),
    ("left_behind", lambda c: setattr(c.turn, "sightings", [refused(503, "model_unavailable")])),
    ("left_behind", lambda c: setattr(c.turn, "sightings", [refused(503, "store_unavailable")])),
    # A replay tells the same.
    ("replay", lambda c: setattr(c.turn, "replayed", seen(TEXT, "length", at=100.0))),
    ("replay", lambda c: setattr(c.turn, "replayed", refused(503, "store_unavailable"))),
    ("replay", lambda c: setattr(c.turn.replayed, "text", TEXT[1:])),
    ("log", lambda c: c.world.log.append("ERROR asyncio: Task exception was never retrieved")),
]
SPOILS_OF_DELETED: list[tuple[str, Spoil]] = [
    ("deleted_lives", lambda c: setattr(c.final, "status", 200)),
    ("deleted_lives", lambda c: setattr(c.final, "probe", (200, "stop"))),
    ("deleted_lives", lambda c: setattr(c.final, "listed", [("T", 2)])),
    ("end_state", lambda c: c.turn.sightings.__setitem__(0, seen(TEXT[:9], "incomplete"))),
    ("position", lambda c: c.turn.sightings.append(seen("x", None, before="m"))),
]


def test_every_kind_of_finding_is_shown_here_and_told_in_the_page() -> None:
    kinds = set(get_args(Kind.__value__))
    assert {kind for kind, _ in SPOILS + SPOILS_OF_DELETED} == kinds
    page = PAGE.read_text(encoding="utf-8")
    assert [kind for kind in kinds if f"`{kind}`" not in page] == []


def test_nothing_is_found_where_all_is_well() -> None:
    assert well().judge() == []
    assert gone().judge() == []


@pytest.mark.parametrize(("kind", "spoil"), SPOILS)
def test_each_check_finds_what_violates_it(kind: str, spoil: Spoil) -> None:
    case = well()
    spoil(case)
    assert kind in case.kinds(), case.judge()


@pytest.mark.parametrize(("kind", "spoil"), SPOILS_OF_DELETED)
def test_a_deletion_is_for_good(kind: str, spoil: Spoil) -> None:
    case = gone()
    spoil(case)
    assert kind in case.kinds(), case.judge()


def rename_lost(case: Case) -> None:
    case.act("rename", 0)
    case.act("rename", 200, title="T")


def replaced(case: Case) -> None:
    """A second turn took the first one's place."""
    other = replace(PLAN, marker="n", name="u", prompt="n", text="n: 000")
    turn = TurnHistory(other, replaces="t", sightings=[seen("n: 000", at=20.0)])
    case.conversation.turns.append(turn)
    case.world.asks.append(Ask("n", 0, 20.1, "", True, 200, True, True, 22.0))
    mine = [Message("user", "u", "n"), Message("assistant", "u", "n: 000", "ended", "stop", USAGE)]
    case.final.exported = [*(replace(m, replaced=True) for m in case.final.exported), *mine]
    case.final.messages = mine


def reset_at_once(case: Case) -> None:
    """Its first words were lost with the connection; it was refused, and asked again."""
    prompt = "m [simulate: cut reset after=1]"
    case.turn.plan = replace(PLAN, prompt=prompt, end="incomplete")
    case.ended("incomplete", TEXT[:9])
    for messages in (case.final.messages, case.final.exported):
        messages[0] = replace(messages[0], content=prompt)
    case.ask.finished = False
    once_more(case, at=9.0, finished=False)
    case.turn.sightings.insert(0, refused(503, "model_unavailable", at=8.9))


def killed_after_its_error(case: Case) -> None:
    """The error was told, and died with its instance before it was stored."""
    case.disturb("kill", 11.0, 14.0)
    case.store("incomplete", "")
    case.turn.plan = replace(PLAN, end="error")
    case.ask.finished = False
    first = replace(seen(TEXT[:9], None), error="model_unavailable", parting="broken", closed=11.0)
    rest = replace(seen("", None, way="attach", at=50.0, before=TEXT[:9]), text="", marks=[])
    end = seen("", "incomplete").end
    case.turn.sightings = [first, replace(rest, end=end, parting="end")]


ALLOWED: list[tuple[str, Spoil]] = [
    ("killed after its error was told", killed_after_its_error),
    ("told the error before it came back", told_the_error_before),
    ("told nothing but the error", lambda c: told_the_error_before(c, text="")),
    ("killed", killed),
    (
        "killed, and what was seen since the last checkpoint is lost",
        steps(lambda c: lost(c, 1.5), lambda c: c.disturb("kill", 12, 15)),
    ),
    (
        "paused, and what was seen within its lease is lost",
        steps(lambda c: lost(c, 18.0), lambda c: c.disturb("pause", 13, 50)),
    ),
    ("everybody left before it was told", begun_by_one_who_left),
    ("the store was away", lambda c: away(c, "incomplete")),
    ("told `store_unavailable`", lambda c: away(c, "error")),
    ("stopped", lambda c: stopped(c, 200, state="ended", finishReason="cancelled")),
    ("stopped too late", lambda c: c.act("stop", 200, state="ended", finishReason="stop")),
    (
        "stopped, and killed before it knew",
        steps(
            lambda c: stopped(c, 0),
            lambda c: c.disturb("kill"),
            lambda c: setattr(c.sighting, "before", TEXT[:3]),
            lambda c: setattr(c.sighting, "text", TEXT[3:]),
        ),
    ),
    (
        "everybody left",
        steps(
            lambda c: c.store("disconnected", TEXT[:9]),
            lambda c: c.turn.sightings.__setitem__(0, seen(TEXT[:9], None)),
        ),
    ),
    (
        "the model broke off",
        steps(
            lambda c: setattr(c.turn, "plan", replace(PLAN, end="incomplete")),
            lambda c: c.ended("incomplete", TEXT[:9]),
        ),
    ),
    (
        "the connection to the model was cut",
        steps(lambda c: setattr(c.ask, "fault", "cut"), lambda c: c.ended("incomplete", TEXT[:9])),
    ),
    (
        "the model could not be reached",
        steps(lambda c: c.outage("model", 0, 40), lambda c: c.ended("error", "")),
    ),
    (
        "the prompt was refused by the filter after the response had begun",
        steps(
            lambda c: setattr(c.turn, "plan", replace(PLAN, end="content_filter", refused=True)),
            lambda c: c.ended("content_filter", ""),
            lambda c: setattr(c.ask, "finished", False),
        ),
    ),
    (
        "asked again after a lost reply",
        lambda c: once_more(c, at=10.0, fault="lost", status=0, spoke=False),
    ),
    (
        "asked again after a refusal",
        steps(
            lambda c: once_more(c, at=9.0, spoke=False, fault="cut"),
            lambda c: c.turn.sightings.insert(0, refused(503, "model_unavailable", at=8.9)),
        ),
    ),
    ("asked again after a refusal, as the model reset the connection", reset_at_once),
    ("busy while it ran", lambda c: two(c, 409, "conversation_busy", busy_with="t", at=10.5)),
    ("resumed", lambda c: resumed(c, TEXT[:9], TEXT[9:])),
    ("replaced", replaced),
    ("renamed", lambda c: c.act("rename", 200, title="T")),
    ("renamed, and an earlier try may have come later", rename_lost),
    (
        "refused by a store that was away, and there without a word",
        steps(
            lambda c: setattr(c.turn, "sightings", [refused(503, "store_unavailable")]),
            lambda c: c.outage("store", 0, 40),
            lambda c: c.store("incomplete", ""),
        ),
    ),
    ("deleted, or not: nobody was told", lambda c: c.act("delete", 503)),
]


@pytest.mark.parametrize(("what", "do"), ALLOWED)
def test_what_the_contract_allows_is_no_finding(what: str, do: Spoil) -> None:
    case = well()
    do(case)
    assert case.judge() == [], what


def test_a_turn_that_replaced_another_must_have_hidden_it() -> None:
    case = well()
    replaced(case)
    case.final.exported = [replace(m, replaced=False) for m in case.final.exported]
    assert "replaced" in case.kinds()


def test_a_finding_names_conversation_and_turn() -> None:
    case = well()
    case.ended("cancelled", TEXT[:9])
    [finding] = case.judge()
    assert (finding.kind, finding.conversation, finding.turn) == ("end_state", "c", "t")
    assert "cancelled" in finding.says


def test_a_dead_turn_may_be_busy_for_30_seconds() -> None:
    case = well()
    killed(case)
    case.turn.sightings[0] = seen(TEXT[:9], None)
    two(case, 409, "conversation_busy", busy_with="t", at=40.0)
    assert case.judge() == []
    two(case, 409, "conversation_busy", busy_with="t", at=45.0)
    assert case.kinds() == {"not_freed"}


def test_who_left_before_anything_came_is_no_caller_who_saw() -> None:
    case = well()
    case.turn.sightings[0] = replace(refused(0, ""), opened=None, parting="left")
    case.conversation.acts.append(Act("rename", 0, 1.0))
    case.store("disconnected", "")
    assert not case.turn.seen
    assert case.judge() == []
