"""A turn in the history: begun, checkpointed, ended, undone, reaped, replaced."""

from dataclasses import replace

import pytest

from shared.errors import PayloadTooLarge
from shared.events import Citations, Delta, Error, Reasoning, ToolCall
from shared.history import keys
from shared.history.base import LEASE_MARGIN_MS, LEASE_MS, Conflict, Place, Replaced
from shared.history.codec import encode_runs
from shared.history.rows import Rows
from shared.history.store import Store
from shared.messages import Document, ToolResult
from tests.contracts.acting import (
    ANONYMOUS,
    MINE,
    NOW,
    USAGE,
    answer_of,
    begin,
    finish,
    head_of,
    new_turn,
    outcomes,
    stored,
    turn_ids,
    whole_turn,
)
from tests.contracts.backends import DRIVEN

pytestmark = pytest.mark.parametrize("backend", DRIVEN, indirect=True)


async def test_nothing_is_there_at_first(store: Store) -> None:
    view = await store.read(MINE, 40)
    assert (view.head, view.answers, view.questions, view.lowest) == (None, (), (), 0)
    assert await store.head(MINE) is None
    assert await store.find(MINE, "t1") is None
    assert await store.answer(MINE, 1) is None


@pytest.mark.parametrize("place", [MINE, ANONYMOUS], ids=["owned", "anonymous"])
async def test_a_turn_that_begins_is_read_as_it_was_written(store: Store, place: Place) -> None:
    citations = encode_runs([Citations((Document(content="", id="a", score=0.5),))])
    begun = await begin(store, place=place, body=citations, result_name="answer")
    view = await store.read(place, 40)
    assert view.head == begun.head
    assert view.head == replace(
        begun.head, title="title t1", created=NOW, updated=NOW, next=2, count=2, deleted=False
    )
    assert view.answers == (begun.answer,)
    answer = begun.answer
    assert (answer.number, answer.turn_id, answer.nonce) == (1, "t1", "nonce-t1")
    assert (answer.digest, answer.action, answer.model) == ("0" * 64, "default", "gpt")
    assert (answer.result_name, answer.created, answer.hides) == ("answer", NOW, None)
    assert (answer.running, answer.lease, answer.stop, answer.watch) == (
        True,
        NOW + LEASE_MS,
        False,
        0,
    )
    assert answer.runs == (Citations((Document(content="", id="a", score=0.5),)),)
    assert (answer.finish_reason, answer.usage) == (None, None)
    question = view.question(0)
    assert question is not None
    assert (question.text, question.turn_id, question.created) == ("question t1", "t1", NOW)
    assert await store.find(place, "t1") == 1
    assert await store.answer(place, 1) == begun.answer


async def test_a_turn_of_results_is_read_as_it_was_written(store: Store) -> None:
    call = ToolCall(0, "a", "find", "{}")
    called = await finish(store, await begin(store), call, reason="tool_calls")
    assert called.answer.calls == (call,)
    results = (
        ToolResult(id="a", content='{"found": "tea"}\n\u2028\x00😀'),
        ToolResult(id="", content=""),
    )
    begun = await begin(store, "t2", question="", results=results)
    view = await store.read(MINE, 40)
    assert view.answers == (begun.answer, called.answer)
    asked, before = view.questions
    assert (asked.number, asked.turn_id, asked.text, asked.results) == (2, "t2", "", results)
    assert (before.text, before.results) == ("question t1", ())
    assert view.head is not None
    assert (view.head.title, view.head.count) == ("title t1", 4)
    await store.undo(begun)
    assert [q.turn_id for q in (await store.read(MINE, 40)).questions] == ["t1"]


async def test_checkpoints_and_the_end_are_read_as_they_were_written(store: Store) -> None:
    begun = await begin(store)
    first = encode_runs([Reasoning("hm"), Delta("He")])
    begun = await store.save(begun, first, NOW + 22_000)
    assert await answer_of(store, begun) == begun.answer
    assert begun.answer.runs == (Reasoning("hm"), Delta("He"))
    assert begun.answer.lease == NOW + 22_000
    runs = (
        Reasoning("hm"),
        Delta("Hello"),
        ToolCall(0, "call", "look", '{"a":1}'),
        Error("model_timeout", "silent", True),
    )
    begun = await store.finish(begun, encode_runs(runs), "error", USAGE, 7)
    answer = await answer_of(store, begun)
    assert answer == begun.answer
    assert (answer.runs, answer.text, answer.running, answer.lease) == (runs, "Hello", False, 0)
    assert (answer.finish_reason, answer.usage, answer.reasoning_tokens) == ("error", USAGE, 7)
    assert (await head_of(store, MINE)) == begun.head


async def test_turns_follow_each_other_newest_first(store: Store) -> None:
    for n in range(1, 4):
        await whole_turn(store, f"t{n}", now=NOW + n)
    view = await store.read(MINE, 4)
    assert turn_ids(view) == ["t3", "t2"]
    assert [q.number for q in view.questions] == [4, 2]
    assert view.lowest == 2
    assert view.head is not None
    assert (view.head.title, view.head.count, view.head.next) == ("title t1", 6, 6)
    assert (view.head.created, view.head.updated) == (NOW + 1, NOW + 3)
    below = await store.read_below(MINE, view.lowest, 4)
    assert (below.head, turn_ids(below), below.lowest) == (None, ["t1"], 0)
    assert turn_ids(await store.read_below(MINE, 0, 4)) == []
    everything = await store.read(MINE, 40)
    assert (turn_ids(everything), everything.lowest) == (["t3", "t2", "t1"], 0)


async def test_updated_always_grows(store: Store) -> None:
    await whole_turn(store, "t1", now=NOW)
    begun = await whole_turn(store, "t2", now=NOW - 5_000)
    assert begun.head.updated == NOW + 1
    assert [c.updated for c in (await store.conversations("me", 5, None)).items] == [NOW + 1]


async def test_of_concurrent_begins_exactly_one_succeeds(store: Store) -> None:
    await whole_turn(store)
    head = await head_of(store, MINE)
    for head_read in (head, None):
        place = MINE if head_read else Place("me", "fresh")
        results = await outcomes(
            *(store.begin(place, head_read, new_turn(f"u{n}"), NOW) for n in range(8))
        )
        refused = [r for r in results if isinstance(r, BaseException)]
        assert [type(r) for r in refused] == [Conflict] * 7
        (winner,) = (r for r in results if not isinstance(r, BaseException))
        view = await store.read(place, 40)
        assert (view.head, view.answers[0]) == (winner.head, winner.answer)
        assert len(view.answers) == (2 if head_read else 1)


async def test_a_turn_id_begins_once(store: Store) -> None:
    await whole_turn(store, "t1")
    with pytest.raises(Conflict):
        await begin(store, "t1")
    assert (await head_of(store, MINE)).next == 2


async def test_every_conditional_write_refuses_an_old_version(store: Store, rows: Rows) -> None:
    old = await begin(store)
    await store.save(old, encode_runs([Delta("a")]), NOW)
    before = await stored(rows, MINE)
    writes = (
        store.save(old, encode_runs([Delta("b")]), NOW),
        store.finish(old, b"", "stop", USAGE, 0),
        store.undo(old),
        store.reap(MINE, old.answer, USAGE),
        store.begin(MINE, replace(old.head, etag='W/"old"'), new_turn("t2"), NOW),
    )
    for write in writes:
        with pytest.raises(Conflict):
            await write
    assert await stored(rows, MINE) == before


async def test_undo_names_the_head_too(store: Store) -> None:
    begun = await begin(store)
    await store.rename(MINE, "renamed")
    with pytest.raises(Conflict):
        await store.undo(begun)
    await store.undo(replace(begun, head=await head_of(store, MINE)))
    assert await store.answer(MINE, 1) is None


async def test_undoing_the_first_turn_leaves_a_conversation_that_is_none(
    store: Store, rows: Rows
) -> None:
    begun = await begin(store)
    await store.undo(begun)
    assert list(await stored(rows, MINE)) == [keys.head("c1")]
    head = await head_of(store, MINE)
    assert (head.next, head.count, head.indexed, head.title) == (0, 0, 0, "")
    assert (await store.conversations("me", 5, None)).items == ()
    assert await store.find(MINE, "t1") is None
    again = await begin(store, "t1", now=NOW + 9, title="another")
    assert (again.head.title, again.head.created, again.head.count) == ("another", NOW + 9, 2)
    assert again.answer.number == 1
    assert [c.title for c in (await store.conversations("me", 5, None)).items] == ["another"]
    await store.undo(again)
    assert list(await stored(rows, MINE)) == [keys.head("c1")]


@pytest.mark.parametrize("place", [MINE, ANONYMOUS], ids=["owned", "anonymous"])
async def test_undoing_a_later_turn_leaves_no_trace(store: Store, rows: Rows, place: Place) -> None:
    first = await whole_turn(store, "t1", place)
    before = await stored(rows, place)
    await store.undo(await begin(store, "t2", place, NOW + 5))
    assert await stored(rows, place) == before
    await store.undo(await begin(store, "t3", place, NOW + 6, replaces=Replaced.one(first.answer)))
    assert await stored(rows, place) == before
    await whole_turn(store, "t4", place, NOW + 7)
    before = await stored(rows, place)
    await store.undo(await begin(store, "t5", place, NOW + 8, replaces=Replaced(0, 2)))
    assert await stored(rows, place) == before


async def test_undo_keeps_a_new_title(store: Store) -> None:
    await whole_turn(store, "t1")
    begun = await begin(store, "t2", now=NOW + 5)
    head = await store.rename(MINE, "renamed")
    await store.undo(replace(begun, head=head))
    (line,) = (await store.conversations("me", 5, None)).items
    assert (line.title, line.updated, line.count) == ("renamed", NOW, 2)
    assert (await head_of(store, MINE)).title == "renamed"


async def test_a_replacing_turn_hides_from_where_the_replaced_one_hid(store: Store) -> None:
    await whole_turn(store, "t1")
    second = await whole_turn(store, "t2", now=NOW + 1)
    third = await whole_turn(store, "t3", now=NOW + 2, replaces=Replaced.one(second.answer))
    fourth = await whole_turn(store, "t4", now=NOW + 3, replaces=Replaced.one(third.answer))
    assert (second.answer.hides, third.answer.hides, fourth.answer.hides) == (None, 2, 2)
    assert [b.head.count for b in (second, third, fourth)] == [4, 4, 4]
    view = await store.read(MINE, 40)
    assert turn_ids(view) == ["t4", "t3", "t2", "t1"]
    assert [a.hides for a in view.answers] == [2, 2, None, None]
    assert turn_ids(await store.read_below(MINE, 2, 40)) == ["t1"]
    assert (await store.conversations("me", 5, None)).items[0].count == 4


async def test_a_replacing_turn_may_replace_the_only_one(store: Store) -> None:
    first = await whole_turn(store, "t1")
    second = await whole_turn(store, "t2", replaces=Replaced.one(first.answer))
    assert (second.answer.hides, second.head.count) == (0, 2)


async def test_a_turn_may_replace_several(store: Store) -> None:
    await whole_turn(store, "t1")
    await whole_turn(store, "t2", now=NOW + 1)
    third = await whole_turn(store, "t3", now=NOW + 2)
    fourth = await whole_turn(store, "t4", now=NOW + 3, replaces=Replaced.one(third.answer))
    assert Replaced.one(fourth.answer) == Replaced(4)
    fifth = await whole_turn(store, "t5", now=NOW + 4, replaces=Replaced(2, turns=2))
    assert (fifth.answer.hides, fifth.answer.below, fifth.head.count) == (2, 1, 4)
    assert Replaced.one(fifth.answer) == Replaced(2)
    assert (await store.conversations("me", 5, None)).items[0].count == 4
    sixth = await whole_turn(store, "t6", now=NOW + 5)
    assert (sixth.head.count, sixth.head.next) == (6, 12)


@pytest.mark.parametrize(("stop", "reason"), [(False, "incomplete"), (True, "cancelled")])
async def test_a_dead_turn_is_reaped(store: Store, stop: bool, reason: str) -> None:
    begun = await begin(store)
    begun = await store.save(begun, encode_runs([Delta("half")]), NOW + LEASE_MS)
    if stop:
        await store.ask_to_stop(MINE, begun.answer)
    dead = await answer_of(store, begun)
    assert dead.stop is stop
    assert not dead.over(dead.lease + LEASE_MARGIN_MS)
    assert dead.over(dead.lease + LEASE_MARGIN_MS + 1)
    await store.reap(MINE, dead, USAGE)
    answer = await answer_of(store, begun)
    assert (answer.finish_reason, answer.running, answer.text) == (reason, False, "half")
    assert (answer.lease, answer.usage) == (0, USAGE)
    with pytest.raises(Conflict):
        await finish(store, begun)
    with pytest.raises(Conflict):
        await store.reap(MINE, dead, USAGE)


async def test_a_dead_turn_is_reaped_by_who_stops_it(store: Store) -> None:
    begun = await begin(store)
    await store.reap(MINE, begun.answer, USAGE, stopped=True)
    assert (await answer_of(store, begun)).finish_reason == "cancelled"


async def test_what_others_write_into_a_turns_row_is_read_and_makes_its_owners_write_a_conflict(
    store: Store,
) -> None:
    begun = await begin(store)
    await store.watch(MINE, begun.answer, NOW + 1)
    watched = await answer_of(store, begun)
    assert (watched.watch, watched.stop, watched.running) == (NOW + 1, False, True)
    with pytest.raises(Conflict):
        await store.ask_to_stop(MINE, begun.answer)
    await store.ask_to_stop(MINE, watched)
    stopped = await answer_of(store, begun)
    assert (stopped.watch, stopped.stop) == (NOW + 1, True)
    for late in (begun, replace(begun, answer=watched)):
        with pytest.raises(Conflict):
            await store.save(late, b"", NOW)
    ended = await finish(store, replace(begun, answer=stopped))
    for late_answer in (stopped, begun.answer):
        with pytest.raises(Conflict):
            await store.watch(MINE, late_answer, NOW + 2)
        with pytest.raises(Conflict):
            await store.ask_to_stop(MINE, late_answer)
    assert await answer_of(store, begun) == ended.answer


async def test_owners_are_apart(store: Store) -> None:
    places = [
        Place(owner, "c1")
        for owner in (
            "a",
            "A",
            "a,b",
            "a/b\\c#d?e",
            "' or '1' eq '1",
            "%27",
            "ü\u2028\x00\u202e😀",
            "\ud800",
            "x" * 180,
            "x" * 181,
            "x" * 500,
            "ü" * 250,
            "",
        )
    ] + [Place(None, "c1")]
    for n, place in enumerate(places):
        await whole_turn(store, f"t{n}", place)
    for n, place in enumerate(places):
        assert turn_ids(await store.read(place, 40)) == [f"t{n}"]
        if place.owner is not None:
            (line,) = (await store.conversations(place.owner, 10, None)).items
            assert line.title == f"title t{n}"
    await store.delete(places[0])
    assert (await store.read(places[1], 40)).answers


async def test_conversations_whose_ids_look_alike_are_apart(store: Store) -> None:
    names = ("a", "a-", "a_", "a-b", "A", "-", "m", "ab")
    for name in names:
        await whole_turn(store, f"turn-{name}", Place("me", name))
    for name in names:
        assert turn_ids(await store.read(Place("me", name), 40)) == [f"turn-{name}"]
    await store.delete(Place("me", "a"))
    await store.purge(Place("me", "a"))
    for name in names[1:]:
        assert await store.find(Place("me", name), f"turn-{name}") == 1


async def test_what_is_too_long_is_refused_by_name_or_cut(store: Store) -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        await begin(store, question="ü" * 300_001)
    assert [p.field for p in caught.value.problems] == ["userPrompt"]
    with pytest.raises(PayloadTooLarge, match="600000") as caught:
        await begin(store, results=(ToolResult(id="a", content="x" * 600_000),))
    assert [p.field for p in caught.value.problems] == ["toolResults"]
    with pytest.raises(PayloadTooLarge) as caught:
        await begin(store, body=encode_runs([Delta("x" * 600_000)]))
    assert [p.field for p in caught.value.problems] == ["context"]
    assert await store.head(MINE) is None
    begun = await begin(store, title="😀" * 500, model="m" * 70_000, action="a" * 70_000)
    view = await store.read(MINE, 2)
    assert view.head is not None
    assert view.head.title == "😀" * 200
    assert view.answers == (begun.answer,)
    assert begun.answer.model == "m" * 256


async def test_a_deleted_head_begins_nothing(store: Store) -> None:
    await whole_turn(store)
    await store.delete(MINE)
    for head in (await head_of(store, MINE), None):
        with pytest.raises(Conflict):
            await store.begin(MINE, head, new_turn("t2"), NOW)


async def test_the_store_is_ready(store: Store) -> None:
    await store.ready()
