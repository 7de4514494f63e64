"""A turn told from its row: attached, replayed, or followed while another instance runs it."""

import asyncio

import pytest

from shared.errors import NotFound, StoreUnavailable
from shared.events import BEGINNING, Delta, Position, Reasoning, ToolCall
from shared.history import keys
from shared.history.base import Begun, Place
from shared.history.memory import MemoryRows
from shared.messages import Document
from shared.turns.follow import POLL_SECONDS, Follower
from tests.turns.begun import begun_elsewhere
from tests.turns.bench import PLACE, Instance, now_ms
from tests.turns.clock_loop import in_virtual_time, settle
from tests.turns.scripted import ScriptedModel


@in_virtual_time
async def test_an_ended_turn_is_attached_to_from_every_position() -> None:
    app, model = Instance(), ScriptedModel()
    model.say(Reasoning("hm"), "Hel", "lo", ToolCall(0, "i", "n", "{}"))
    model.finish("tool_calls")
    live = await app.listen(model, context=(Document(content="c", title="T"),))
    await live.ended()
    for number, entry in enumerate(live.entries[:-1]):
        rest = await app.attach("t1", entry.position)
        assert await rest.ended() == live.end
        assert rest.text == "".join(e.text for e in live.events[number + 1 :] if type(e) is Delta)
    whole = await app.attach("t1")
    await whole.ended()
    assert whole.kinds == ["Start", "Citations", "Reasoning", "Delta", "ToolCall", "End"]
    assert await app.turns.attach(PLACE, "t1", live.entries[-1].position) is None


@in_virtual_time
async def test_after_the_end_of_a_turn_that_still_closes_there_is_nothing() -> None:
    app, model, hanging = Instance(), ScriptedModel(), asyncio.Event()
    model.say("x")
    listener = await app.listen(model)
    app.store.script("finish", hanging)
    model.finish()
    await settle()
    late = await app.attach("t1", listener.entries[-1].position)
    hanging.set()
    await late.ended()
    assert late.kinds == ["End"]


@in_virtual_time
async def test_a_position_beyond_what_survived_gets_the_end() -> None:
    app = Instance()
    await app.whole_turn("abc")
    for position in (Position(1, 900), Position(2, 1), Position(7, 3)):
        listener = await app.attach("t1", position)
        assert (await listener.ended()).text == "abc"
        assert listener.kinds == ["End"]


@in_virtual_time
async def test_nothing_is_found_where_nothing_is() -> None:
    app = Instance()
    await app.whole_turn("x")
    for place, turn_id in (
        (PLACE, "t2"),
        (Place("me", "c2"), "t1"),
        (Place("you", "c1"), "t1"),
        (Place(None, "c1"), "t1"),
    ):
        with pytest.raises(NotFound):
            await app.turns.attach(place, turn_id, BEGINNING)
        with pytest.raises(NotFound):
            await app.turns.state(place, turn_id)
        with pytest.raises(NotFound):
            await app.turns.stop(place, turn_id)
    await app.store.delete(PLACE)
    with pytest.raises(NotFound):
        await app.turns.state(PLACE, "t1")


@in_virtual_time
async def test_a_dead_turn_is_reaped_before_it_is_told() -> None:
    app = Instance()
    await begun_elsewhere(app)
    assert (await app.turns.state(PLACE, "t1")).running
    assert (await app.turns.fresh(PLACE, await app.stored())).running
    await asyncio.sleep(25.5)
    state = await app.turns.state(PLACE, "t1")
    assert (state.running, state.finish_reason) == (False, "incomplete")
    assert state.usage is not None
    assert not (await app.stored()).running


@in_virtual_time
async def test_a_turn_that_runs_elsewhere_is_told_as_running() -> None:
    app = Instance()
    await begun_elsewhere(app)
    state = await app.turns.stop(PLACE, "t1")
    assert (state.running, state.finish_reason, state.usage) == (True, None, None)


@in_virtual_time
async def test_a_follower_that_is_ahead_of_the_row_gets_no_text_twice() -> None:
    rows = MemoryRows()
    owner, other, model = Instance(rows), Instance(rows), ScriptedModel()
    model.say("Hello, ")
    listener = await owner.listen(model)
    await settle()
    ahead = await other.attach("t1", listener.entries[-1].position)
    await settle()
    assert ahead.events == []
    model.say("world")
    await asyncio.sleep(5)
    assert ahead.text == "world"
    model.say(ToolCall(0, "i", "n", "{}"), Reasoning("r"), ToolCall(1, "i", "n", "{}"))
    await asyncio.sleep(5)
    model.say("!")
    model.finish()
    assert await ahead.ended() == await listener.ended()
    assert ahead.kinds == ["Delta", "ToolCall", "Reasoning", "ToolCall", "Delta", "End"]


@in_virtual_time
async def test_a_follower_waits_for_the_store_and_sees_the_reaped_end() -> None:
    app = Instance()
    begun = await begun_elsewhere(app)
    await Instance(app.rows).store.save(begun, b"\xffdHel", now_ms() + 20_000)
    follower = await app.attach("t1")
    app.store.script("answer", *["down"] * 5)
    end = await follower.ended()
    assert (end.finish_reason, end.text, follower.text) == ("incomplete", "Hel", "Hel")


@in_virtual_time
async def test_a_follower_that_fails_says_so() -> None:
    app = Instance()
    await begun_elsewhere(app)
    follower = await app.attach("t1")
    app.store.script("answer", RuntimeError("secret"))
    end = await follower.ended()
    assert (end.finish_reason, follower.kinds) == ("error", ["Start", "Error", "End"])


@in_virtual_time
async def test_a_follower_stops_reading_when_its_caller_leaves() -> None:
    app = Instance()
    await begun_elsewhere(app)
    follower = await app.attach("t1")
    await asyncio.sleep(3)
    follower.leave()
    await settle()
    calls = len(app.store.calls)
    await asyncio.sleep(10 * POLL_SECONDS)
    assert len(app.store.calls) == calls


@pytest.mark.parametrize("how", ["deleted", "undone", "undone and begun again"])
@in_virtual_time
async def test_a_follower_whose_turn_is_gone_ends_cancelled(how: str) -> None:
    app = Instance()
    begun = await begun_elsewhere(app)
    begun = await app.store.save(begun, b"\xffdHel", now_ms() + 20_000)
    follower = await app.attach("t1")
    store = Instance(app.rows).store
    if how == "deleted":
        await store.delete(PLACE)
    else:
        await store.undo(Begun(PLACE, begun.head, None, await app.stored()))
        if "again" in how:
            await begun_elsewhere(app, nonce="a third one's")
    end = await follower.ended()
    assert (end.finish_reason, end.text) == ("cancelled", "Hel")


@in_virtual_time
async def test_a_follower_that_was_never_watched_reads_nothing() -> None:
    app = Instance()
    begun = await begun_elsewhere(app)
    follower = Follower(app.store, PLACE, begun.answer, now_ms)
    await asyncio.sleep(10)
    assert app.store.calls == []
    watch = follower.watch(BEGINNING, 15.0)
    watch.close()
    await asyncio.sleep(10)
    assert app.store.calls == []


@in_virtual_time
async def test_the_name_of_the_result_is_the_one_that_the_turn_began_with() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("x")
    listener = await app.listen(model, result_variable_name="text")
    here = await app.attach("t1")
    assert here.response.result_name == "text"
    model.finish()
    await listener.ended()
    await here.ended()
    stored = await app.attach("t1")
    assert stored.response.result_name == "text"
    await stored.ended()


@in_virtual_time
async def test_a_damaged_row_is_said_to_be_unreadable() -> None:
    app = Instance()
    await app.whole_turn("x")
    await app.rows.remove(keys.partition(PLACE), [keys.message("c1", 1)])
    with pytest.raises(NotFound):
        await app.turns.state(PLACE, "t1")
    app.store.break_down()
    with pytest.raises(StoreUnavailable):
        await app.turns.state(PLACE, "t1")
