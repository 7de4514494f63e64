"""Checkpoints, lost replies and conflicts, and an owner that cannot write any more."""

import asyncio

import pytest

from shared.errors import ModelRefused
from shared.events import Delta, End
from shared.history.base import LEASE_MS, Begun
from shared.history.memory import MemoryRows
from shared.messages import Usage
from shared.turns.writer import TurnWriter
from tests.turns.begun import begun_elsewhere
from tests.turns.bench import PLACE, START_MS, Instance, now_ms, texts
from tests.turns.clock_loop import in_virtual_time, pause, settle
from tests.turns.scripted import USAGE, ScriptedModel


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_running_answer_is_checkpointed_every_two_seconds_with_new_text_or_without() -> (
    None
):
    app, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await app.listen(model)
    await asyncio.sleep(2.01)
    stored = await app.stored()
    assert texts(stored.runs) == "a"
    assert stored.lease == START_MS + 2000 + LEASE_MS
    model.say("b")
    await asyncio.sleep(2)
    assert texts((await app.stored()).runs) == "ab"
    await asyncio.sleep(2)
    assert (await app.stored()).lease == START_MS + 6000 + LEASE_MS
    assert app.store.calls.count("save") == 3
    model.finish()
    await listener.ended()


@in_virtual_time
async def test_a_turn_costs_one_read_and_two_writes() -> None:
    app = Instance()
    await app.whole_turn("Hello")
    assert app.store.calls == ["read", "begin", "finish"]
    app.store.calls.clear()
    await app.whole_turn("Hello", turn_id="t2")
    assert app.store.calls == ["read", "begin", "finish"]


@pytest.mark.parametrize("method", ["save", "finish"])
@pytest.mark.parametrize("faults", [["lost"], ["down"], ["conflict"], ["down", "lost"]])
@in_virtual_time
async def test_a_write_that_nobody_knows_of_is_settled(method: str, faults: list[str]) -> None:
    app, model = Instance(), ScriptedModel()
    app.store.script(method, *faults)
    model.say("Hello")
    listener = await app.listen(model)
    await asyncio.sleep(3)
    model.finish()
    assert await listener.ended() == End("stop", USAGE, "Hello")
    assert listener.errors == []
    stored = await app.stored()
    assert (stored.finish_reason, stored.usage, texts(stored.runs)) == ("stop", USAGE, "Hello")


@in_virtual_time
async def test_settling_waits_for_the_store() -> None:
    app, model = Instance(), ScriptedModel()
    app.store.script("finish", "lost")
    app.store.script("answer", *["down"] * 5)
    model.say("Hello")
    model.finish()
    assert (await (await app.listen(model)).ended()).finish_reason == "stop"
    assert 0 < now() < 20


@in_virtual_time
async def test_a_rename_meanwhile_is_no_trouble_for_finish_or_undo() -> None:
    app, model = Instance(), ScriptedModel()
    await app.whole_turn("Hello")
    listener = await app.listen(model, turn_id="t2")
    await app.store.rename(PLACE, "Another title")
    model.fail(ModelRefused("x"))
    await listener.ended()
    model = ScriptedModel(refusal=ModelRefused("x"), delay=3)
    starting = asyncio.ensure_future(app.start(model, turn_id="t3"))
    await asyncio.sleep(1)
    await app.store.rename(PLACE, "A third title")
    with pytest.raises(ModelRefused):
        await starting
    head = await app.store.head(PLACE)
    assert head is not None
    assert (head.title, head.count, head.next) == ("A third title", 4, 4)


@pytest.mark.parametrize("faults", [["lost"], ["down"], ["conflict"]])
@in_virtual_time
async def test_an_undo_that_nobody_knows_of_is_settled(faults: list[str]) -> None:
    app = Instance()
    app.store.script("undo", *faults)
    with pytest.raises(ModelRefused):
        await app.start(ScriptedModel(refusal=ModelRefused("No.")))
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.next == 0


@in_virtual_time
async def test_a_deleted_conversations_turn_finds_out_at_its_next_checkpoint() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    await Instance(app.rows).store.delete(PLACE)
    end = await listener.ended()
    assert (end.finish_reason, end.text) == ("cancelled", "Hel")
    assert now() == pytest.approx(2)
    assert model.open == 0


@in_virtual_time
async def test_a_turn_that_somebody_reaped_ends_as_the_store_says() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    await asyncio.sleep(2.5)
    model.say("lo")
    await settle()
    stored = await app.stored()
    await Instance(app.rows).store.reap(PLACE, stored, Usage(0, 7, 7, estimated=True))
    end = await listener.ended()
    assert (end.finish_reason, end.text, end.usage.completion_tokens) == ("incomplete", "Hel", 7)
    assert model.open == 0


@in_virtual_time
async def test_a_turn_undone_and_begun_again_elsewhere_is_not_ours() -> None:
    rows = MemoryRows()
    app, model = Instance(rows), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    other = Instance(rows).store
    (view, stored) = await other.read(PLACE, 10), await app.stored()
    assert view.head is not None
    await other.undo(Begun(PLACE, view.head, None, stored))
    end = await listener.ended()
    assert end.finish_reason == "cancelled"


@in_virtual_time
async def test_without_the_store_for_twenty_seconds_nothing_more_is_shown() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("seen ")
    listener = await app.listen(model)
    await asyncio.sleep(2.5)  # confirmed: a write that was sent at 2 s
    app.store.break_down()
    saying = asyncio.ensure_future(_say_every_second(model))
    end = await listener.ended()
    saying.cancel()
    assert (end.finish_reason, [e.code for e in listener.errors]) == (
        "error",
        ["store_unavailable"],
    )
    assert 22 <= now() <= 25
    last = max(int(word) for word in listener.text.split()[1:])
    assert last <= 22
    assert end.text == listener.text
    assert model.open == 0
    app.store.recover()
    assert (await app.stored()).running


@in_virtual_time
async def test_an_owner_that_was_paused_shows_nothing_until_a_write_is_confirmed() -> None:
    """Its lease may be over: what it still has to show waits for the store."""
    app, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await app.listen(model)
    hanging = asyncio.Event()
    app.store.script("save", hanging)
    pause(21)
    model.say("b")
    await settle()
    assert listener.text == "a"
    hanging.set()
    await settle()
    assert listener.text == "ab"
    model.finish()
    assert (await listener.ended()).finish_reason == "stop"


@in_virtual_time
async def test_a_late_owner_whose_turn_was_reaped_shows_nothing() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await app.listen(model)
    pause(30)
    other = Instance(app.rows)
    answer = await other.turns.fresh(PLACE, await app.stored())
    assert answer.finish_reason == "incomplete"
    model.say("b")
    end = await listener.ended()
    assert (end.finish_reason, listener.text) == ("incomplete", "a")


@in_virtual_time
async def test_the_first_write_after_the_fence_may_be_the_models_event() -> None:
    """Where the checkpoints all failed until now, showing waits for one of its own, and is told."""
    app, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await app.listen(model)
    await asyncio.sleep(1.9)
    app.store.script("save", *["down"] * 100)
    app.store.script("answer", *["down"] * 100)
    await asyncio.sleep(18.3)
    model.say("b")
    end = await listener.ended()
    assert (end.finish_reason, listener.text) == ("error", "a")


@in_virtual_time
async def test_a_late_owner_is_given_one_more_try_where_the_store_answers() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await app.listen(model)
    app.store.script("save", "conflict")
    pause(24)
    model.say("b")
    model.finish()
    assert (await listener.ended()).finish_reason == "stop"
    assert app.store.calls[2:6] == ["save", "answer", "head", "save"]


@in_virtual_time
async def test_a_late_owner_that_cannot_write_though_the_store_answers_gives_up() -> None:
    app, model = Instance(), ScriptedModel()
    app.store.always["save"] = "conflict"
    app.store.always["finish"] = "conflict"
    model.say("a")
    end = await (await app.listen(model)).ended()
    assert end.finish_reason == "error"
    assert 20 <= now() <= 25


@pytest.mark.parametrize("method", ["save", "answer"])
@in_virtual_time
async def test_a_store_that_hangs_is_not_waited_for(method: str) -> None:
    app, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await app.listen(model)
    app.store.script("save", *["down"] * 100)
    app.store.script(method, *[asyncio.Event()] * 100)
    end = await listener.ended()
    assert (end.finish_reason, [e.code for e in listener.errors]) == (
        "error",
        ["store_unavailable"],
    )
    assert 20 <= now() <= 24
    assert model.open == 0


@in_virtual_time
async def test_an_end_that_cannot_be_stored_is_told_after_twenty_seconds() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hello")
    listener = await app.listen(model)
    app.store.break_down()
    model.finish()
    end = await listener.ended()
    assert (end.finish_reason, [e.code for e in listener.errors]) == (
        "error",
        ["store_unavailable"],
    )
    assert 20 <= now() <= 23
    app.store.recover()
    await asyncio.sleep(25 + 20 - now() + 1)
    state = await app.turns.state(PLACE, "t1")
    assert (state.running, state.finish_reason) == (False, "incomplete")


@in_virtual_time
async def test_the_true_end_if_that_write_still_arrived() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hello")
    listener = await app.listen(model)
    app.store.break_down()
    app.store.script("finish", "lost")
    model.finish()
    assert (await listener.ended()).finish_reason == "error"
    app.store.recover()
    assert (await app.turns.state(PLACE, "t1")).finish_reason == "stop"


@in_virtual_time
async def test_after_a_verdict_nothing_is_written_any_more() -> None:
    app = Instance()
    begun = await begun_elsewhere(app)
    writer = TurnWriter(app.store, begun, now(), now_ms, lambda: b"")
    app.store.break_down()
    verdict = await writer.save()
    assert verdict is not None
    assert verdict.error is not None
    app.store.recover()
    assert await writer.finish("stop", USAGE, 0) is verdict
    assert (await app.stored()).running


async def _say_every_second(model: ScriptedModel) -> None:
    while True:
        await asyncio.sleep(1)
        model.say(Delta(f"{now():.0f} "))
