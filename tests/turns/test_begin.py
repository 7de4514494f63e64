"""How a turn begins, or is found to be there already."""

import asyncio

import pytest

from shared.errors import (
    ConversationBusy,
    NotFound,
    PayloadTooLarge,
    StoreUnavailable,
    TurnMismatch,
)
from shared.events import Delta, Start
from shared.history import keys
from shared.history.memory import MemoryRows
from shared.history.rows import Merge
from shared.turns.begin import PAUSE_SECONDS
from tests.turns.begun import begun_elsewhere
from tests.turns.bench import PLACE, Instance
from tests.turns.clock_loop import in_virtual_time, settle
from tests.turns.scripted import ScriptedModel


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_the_first_turn_makes_the_conversation_and_its_title() -> None:
    app = Instance()
    listener = await app.whole_turn("x", "\n  What   is\tnew? \nMore")
    assert listener.events[0] == Start("c1", "t1", "default", "gpt", True)
    head = await app.store.head(PLACE)
    assert head is not None
    assert (head.title, head.count) == ("What is new?", 2)
    second = await app.whole_turn("x", "Other", turn_id="t2")
    assert second.events[0] == Start("c1", "t2", "default", "gpt", False)
    head = await app.store.head(PLACE)
    assert head is not None
    assert (head.title, head.count) == ("What is new?", 4)


@in_virtual_time
async def test_a_title_has_two_hundred_characters() -> None:
    app = Instance()
    await app.whole_turn("x", "y" * 500)
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.title == "y" * 200


@in_virtual_time
async def test_the_same_turn_is_replayed_and_its_model_not_asked_again() -> None:
    app = Instance()
    first = await app.whole_turn("Hello")
    model = ScriptedModel()
    again = await app.listen(model, result_variable_name="text", on_disconnect="cancel")
    assert await again.ended() == first.end
    assert again.events == first.events
    assert model.requests == []


@in_virtual_time
async def test_a_replay_needs_no_window_and_works_while_another_turn_runs() -> None:
    app, running = Instance(history_messages=2), ScriptedModel()
    for number in range(5):
        await app.whole_turn(f"answer {number}", turn_id=f"t{number}")
    listener = await app.listen(running, turn_id="t9")
    again = await app.listen(ScriptedModel(), turn_id="t0")
    assert (await again.ended()).text == "answer 0"
    running.finish()
    await listener.ended()


@in_virtual_time
async def test_the_same_turn_with_another_body_is_a_mismatch_here_and_when_ended() -> None:
    app, model = Instance(history_messages=2), ScriptedModel()
    model.say("x")
    listener = await app.listen(model)
    with pytest.raises(TurnMismatch, match="t1"):
        await app.start(ScriptedModel(), "Other")
    with pytest.raises(TurnMismatch):
        await Instance(app.rows).start(ScriptedModel(), "Other")
    model.finish()
    await listener.ended()
    with pytest.raises(TurnMismatch):
        await app.start(ScriptedModel(), "Other")
    for number in range(2, 5):
        await app.whole_turn("x", turn_id=f"t{number}")
    with pytest.raises((TurnMismatch, ConversationBusy)) as raised:
        await app.start(ScriptedModel(), "Other")
    assert raised.type is TurnMismatch


@in_virtual_time
async def test_a_second_turn_is_busy_and_its_model_not_asked() -> None:
    app, model, second = Instance(), ScriptedModel(), ScriptedModel()
    model.say("x")
    listener = await app.listen(model)
    for instance in (app, Instance(app.rows)):
        with pytest.raises(ConversationBusy) as raised:
            await instance.start(second, turn_id="t2")
        assert raised.value.turn_id == "t1"
        assert raised.value.retry_after is not None
    assert second.requests == []
    model.finish()
    await listener.ended()


@in_virtual_time
async def test_busy_without_a_turn_id_of_ones_own() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("x")
    listener = await app.listen(model)
    with pytest.raises(ConversationBusy):
        await app.start(ScriptedModel(), turn_id=None)
    assert "find" not in app.store.calls
    model.finish()
    await listener.ended()


@in_virtual_time
async def test_replaces_the_last_turn_only() -> None:
    app = Instance()
    await app.whole_turn("one")
    await app.whole_turn("two", turn_id="t2")
    with pytest.raises(TurnMismatch, match="replaces"):
        await app.start(ScriptedModel(), turn_id="t3", replaces="t1")
    with pytest.raises(TurnMismatch):
        await app.start(ScriptedModel(), conversation_id="empty", replaces="t1")
    model = ScriptedModel()
    model.say("two again")
    listener = await app.listen(model, "Hello?", turn_id="t3", replaces="t2")
    with pytest.raises(ConversationBusy):
        await app.start(ScriptedModel(), turn_id="t4", replaces="t3")
    model.finish()
    await listener.ended()
    assert [message["content"] for message in model.requests[0].messages] == [
        "Be kind.",
        "Hello",
        "one",
        "Hello?",
    ]
    again = await app.listen(ScriptedModel(), "Hello?", turn_id="t3", replaces="t2")
    assert (await again.ended()).text == "two again"
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.count == 4


@in_virtual_time
async def test_a_dead_turn_frees_the_conversation_after_its_lease() -> None:
    app = Instance()
    await begun_elsewhere(app)
    with pytest.raises(ConversationBusy):
        await app.start(ScriptedModel(), turn_id="t2")
    await asyncio.sleep(25.5)
    await app.whole_turn("x", turn_id="t2")
    assert (await app.stored("t1")).finish_reason == "incomplete"


@in_virtual_time
async def test_a_dead_turn_that_two_meet_is_reaped_once() -> None:
    app = Instance()
    await begun_elsewhere(app)
    await asyncio.sleep(30)
    app.store.script("reap", "conflict")
    await app.whole_turn("x", turn_id="t2")
    assert app.store.calls.count("reap") == 2


@in_virtual_time
async def test_a_retry_of_a_dead_turn_is_told_that_it_is_incomplete() -> None:
    app, model = Instance(), ScriptedModel()
    await begun_elsewhere(app)
    await asyncio.sleep(30)
    app.store.script("reap", "conflict")
    listener = await app.listen(model)
    assert (await listener.ended()).finish_reason == "incomplete"
    assert model.requests == []


@in_virtual_time
async def test_a_turn_that_runs_elsewhere_is_followed() -> None:
    rows = MemoryRows()
    owner, other, model = Instance(rows), Instance(rows), ScriptedModel()
    model.say("Hel")
    listener = await owner.listen(model)
    follower = await other.listen(ScriptedModel())
    await asyncio.sleep(4)
    assert follower.text == "Hel"
    model.say("lo")
    model.finish()
    assert await follower.ended() == await listener.ended()
    assert follower.events[0] == listener.events[0]
    assert len(model.requests) == 1


@pytest.mark.parametrize("turn_id", ["t1", None])
@pytest.mark.parametrize(
    "faults", [["lost"], ["down"], ["conflict"], ["down", "conflict", "lost"]], ids=" ".join
)
@in_virtual_time
async def test_a_begin_that_nobody_knows_of_is_settled(
    turn_id: str | None, faults: list[str]
) -> None:
    app, model = Instance(), ScriptedModel()
    app.store.script("begin", *faults)
    model.say("Hello")
    model.finish()
    listener = await app.listen(model, turn_id=turn_id)
    assert (await listener.ended()).text == "Hello"
    assert len(model.requests) == 1
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.count == 2


@in_virtual_time
async def test_a_lost_begin_is_looked_for_though_the_store_stays_away_a_while() -> None:
    app, model = Instance(), ScriptedModel()
    app.store.script("begin", "lost")
    app.store.script("read", "pass", *["down"] * 20)
    model.finish()
    assert (await (await app.listen(model)).ended()).finish_reason == "stop"


@in_virtual_time
async def test_a_begin_that_is_lost_at_the_very_end_is_still_looked_for() -> None:
    """Else its caller would be told 503, and the conversation would be busy with it."""
    app, model, slow = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("read", slow)
    app.store.script("begin", "lost")
    asyncio.get_running_loop().call_later(10 - PAUSE_SECONDS / 2, slow.set)
    model.finish()
    assert (await (await app.listen(model)).ended()).finish_reason == "stop"
    assert len(model.requests) == 1


@in_virtual_time
async def test_a_refusal_after_a_lost_begin_leaves_nothing() -> None:
    app = Instance()
    app.store.script("begin", "lost")
    with pytest.raises(NotFound):
        await app.start(ScriptedModel(refusal=NotFound("No such model.")))
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.next == 0


@in_virtual_time
async def test_a_conflict_with_another_request_for_the_same_turn_joins_it() -> None:
    app = Instance()
    hanging = asyncio.Event()
    app.store.script("begin", hanging)
    model = ScriptedModel()
    starting = asyncio.ensure_future(app.listen(model))
    await settle()
    await begun_elsewhere(app)
    hanging.set()
    listener = await starting
    await settle()
    assert listener.kinds == ["Start"]
    assert model.requests == []
    listener.leave()


@in_virtual_time
async def test_a_conflict_with_another_turn_is_busy() -> None:
    app, hanging = Instance(), asyncio.Event()
    app.store.script("begin", hanging)
    starting = asyncio.ensure_future(app.start(ScriptedModel()))
    await settle()
    await begun_elsewhere(app, "t2")
    hanging.set()
    with pytest.raises(ConversationBusy, match="t2"):
        await starting


@pytest.mark.parametrize("before", [True, False])
@in_virtual_time
async def test_a_deleted_conversation_is_not_found_for_good(before: bool) -> None:
    app, hanging = Instance(), asyncio.Event()
    await app.whole_turn("x")
    app.store.script("begin", hanging)
    if before:
        await app.store.delete(PLACE)
    starting = asyncio.ensure_future(app.start(ScriptedModel(), turn_id="t2"))
    await settle()
    if not before:
        await app.store.delete(PLACE)
    hanging.set()
    with pytest.raises(NotFound):
        await starting
    with pytest.raises(NotFound):
        await app.start(ScriptedModel())


@in_virtual_time
async def test_a_store_that_is_down_is_said_at_once_and_one_that_takes_nothing_later() -> None:
    app, model = Instance(), ScriptedModel()
    app.store.script("read", "down")
    with pytest.raises(StoreUnavailable):
        await app.start(model)
    assert now() == 0
    app.store.always["begin"] = "down"
    with pytest.raises(StoreUnavailable) as raised:
        await app.start(model)
    assert raised.value.retry_after is not None
    assert 10 <= now() < 11
    assert model.requests == []


@in_virtual_time
async def test_a_prompt_that_the_store_cannot_keep_is_too_large() -> None:
    app = Instance()
    with pytest.raises(PayloadTooLarge) as raised:
        await app.start(ScriptedModel(), "ä" * 300_001)
    assert raised.value.problems[0].field == "userPrompt"


@in_virtual_time
async def test_a_turn_row_that_points_at_nothing_is_no_turn() -> None:
    """The row of a turn is there, its answer is not: what is left of a purge."""
    app = Instance()
    await app.whole_turn("x")
    await app.whole_turn("y", turn_id="t2")
    await app.rows.remove(keys.partition(PLACE), [keys.message("c1", 1)])
    with pytest.raises(StoreUnavailable):
        await app.start(ScriptedModel())


@in_virtual_time
async def test_a_newest_answer_that_cannot_be_read_is_not_busy_and_cannot_be_replaced() -> None:
    app = Instance()
    await app.whole_turn("x")
    await app.rows.write(
        keys.partition(PLACE), [Merge(keys.message("c1", 1), {"size": "damaged"}, "*")]
    )
    with pytest.raises(TurnMismatch):
        await app.start(ScriptedModel(), turn_id="t2", replaces="t1")
    listener = await app.whole_turn("y", turn_id="t3")
    assert listener.events[1] == Delta("y")
