"""Two instances, one store: who stops, watches, joins or leaves a turn that runs on the other."""

import asyncio

import pytest

from shared.errors import ModelRefused, NotFound, StoreUnavailable
from shared.events import BEGINNING, Answering, Start
from tests.turns.begun import begun_elsewhere
from tests.turns.bench import PLACE, Instance, Listener, now_ms
from tests.turns.clock_loop import in_virtual_time, pause
from tests.turns.scripted import USAGE, ScriptedModel


def now() -> float:
    return asyncio.get_running_loop().time()


async def running(**fields: str) -> tuple[Instance, Instance, ScriptedModel, Listener]:
    """A turn that runs on the first of two instances, and has said "a"."""
    owner, model = Instance(), ScriptedModel()
    model.say("a")
    listener = await owner.listen(model, **fields)
    return owner, Instance(owner.rows), model, listener


# Stop


@in_virtual_time
async def test_a_turn_is_stopped_from_another_instance_within_three_seconds() -> None:
    _owner, other, model, listener = await running()
    await asyncio.sleep(0.5)
    state = await other.turns.stop(PLACE, "t1")
    assert (state.running, state.finish_reason) == (False, "cancelled")
    assert now() <= 3.5
    end = await listener.ended()
    assert (end.finish_reason, end.text) == ("cancelled", "a")
    assert model.open == 0


@in_virtual_time
async def test_a_stop_whose_reply_is_lost_or_that_meets_a_conflict_still_stops() -> None:
    _owner, other, _model, listener = await running()
    other.store.script("ask_to_stop", "conflict")
    state = await other.turns.stop(PLACE, "t1")
    assert state.finish_reason == "cancelled"
    assert (await listener.ended()).finish_reason == "cancelled"


@in_virtual_time
async def test_a_stop_after_the_models_end_changes_nothing() -> None:
    owner, other, model, listener = await running()
    ending = asyncio.Event()
    owner.store.script("finish", ending)
    model.finish()
    stopping = asyncio.ensure_future(other.turns.stop(PLACE, "t1"))
    await asyncio.sleep(1)
    ending.set()
    assert (await stopping).finish_reason == "stop"
    assert (await listener.ended()).finish_reason == "stop"


@in_virtual_time
async def test_a_dead_owners_turn_is_ended_by_who_stops_it() -> None:
    app = Instance()
    await begun_elsewhere(app)
    await asyncio.sleep(26)
    state = await app.turns.stop(PLACE, "t1")
    assert (state.running, state.finish_reason) == (False, "cancelled")


@in_virtual_time
async def test_a_stop_that_takes_longer_than_ten_seconds_says_so_and_is_remembered() -> None:
    app = Instance()
    await begun_elsewhere(app)  # dead, but its lease is not over
    assert (await app.turns.stop(PLACE, "t1")).running
    assert now() == 10
    await asyncio.sleep(16)
    answer = await app.turns.fresh(PLACE, await app.stored())
    assert answer.finish_reason == "cancelled"


@in_virtual_time
async def test_who_stops_what_is_not_there_is_told() -> None:
    with pytest.raises(NotFound):
        await Instance().turns.stop(PLACE, "t1")


# Watch


@in_virtual_time
async def test_who_watches_elsewhere_keeps_a_turn_running() -> None:
    _owner, other, model, listener = await running()
    watcher = await other.attach("t1")
    listener.leave()
    await asyncio.sleep(100)
    model.say("b")
    model.finish()
    end = await watcher.ended()
    assert (end.finish_reason, end.text, watcher.text) == ("stop", "ab", "ab")


@in_virtual_time
async def test_the_grace_begins_when_the_last_watcher_elsewhere_has_gone() -> None:
    owner, other, model, listener = await running()
    watcher = await other.attach("t1")
    listener.leave()
    await asyncio.sleep(100)
    watcher.leave()
    await asyncio.sleep(30)
    assert (await owner.stored()).running  # its last mark lasts for up to 20 s more
    await asyncio.sleep(25)
    stored = await owner.stored()
    assert (stored.finish_reason, model.open) == ("disconnected", 0)


@in_virtual_time
async def test_a_watcher_elsewhere_sees_new_text_soon_after_it_was_checkpointed() -> None:
    owner, other, model, _listener = await running()
    watcher = await other.attach("t1")
    stored: dict[str, float] = {}
    shown: dict[str, float] = {}
    for tick in range(200):
        if tick % 7 == 0 and tick < 63:
            model.say("bcdefghij"[tick // 7])
        await asyncio.sleep(0.1)
        for letter in (await owner.stored()).text:
            stored.setdefault(letter, now())
        for letter in watcher.text:
            shown.setdefault(letter, now())
    assert [*stored] == [*shown] == [*"abcdefghij"]
    assert all(shown[letter] - stored[letter] <= 2.5 for letter in stored)
    model.finish()
    assert (await watcher.ended()).text == "abcdefghij"


@in_virtual_time
async def test_a_mark_is_written_every_ten_seconds_however_many_watch() -> None:
    _owner, other, model, _listener = await running()
    third = Instance(other.rows)
    for app in (other, other, third):
        await app.attach("t1")
    await asyncio.sleep(59)
    marks = [app.store.calls.count("watch") for app in (other, third)]
    assert 6 <= sum(marks) <= 12  # about one in ten seconds, and those that met at the start
    model.finish()


@in_virtual_time
async def test_with_cancel_a_turn_goes_on_for_whoever_watches_elsewhere() -> None:
    """The owner does not yet know of the watcher: only its write tells it."""
    owner, other, model, listener = await running(on_disconnect="cancel")
    await asyncio.sleep(2.5)
    watcher = await other.attach("t1")
    await asyncio.sleep(0.2)
    listener.leave()
    await asyncio.sleep(0.5)
    assert model.open == 1
    model.say("b")
    model.finish()
    end = await watcher.ended()
    assert (end.finish_reason, watcher.text) == ("stop", "ab")
    assert owner.store.calls.count("finish") == 2  # the one that was given up, and the end


@in_virtual_time
async def test_with_cancel_a_turn_ends_once_nobody_watches_anywhere() -> None:
    owner, other, model, listener = await running(on_disconnect="cancel")
    watcher = await other.attach("t1")
    await asyncio.sleep(0.2)
    listener.leave()
    await asyncio.sleep(1)
    watcher.leave()
    await asyncio.sleep(21)
    assert ((await owner.stored()).finish_reason, model.open) == ("disconnected", 0)


@in_virtual_time
async def test_what_is_said_while_the_end_for_want_of_watchers_is_written_is_not_shown() -> None:
    owner, _other, model, listener = await running(on_disconnect="cancel")
    writing = asyncio.Event()
    owner.store.script("finish", writing)
    listener.leave()
    await asyncio.sleep(0.1)
    model.say("b")
    model.finish()
    await asyncio.sleep(0.1)
    writing.set()
    await asyncio.sleep(0.1)
    stored = await owner.stored()
    assert (stored.finish_reason, stored.text) == ("disconnected", "a")
    assert model.open == 0


@pytest.mark.parametrize("how", ["stop", "aclose"])
@in_virtual_time
async def test_an_end_that_is_wanted_while_another_is_given_up_is_not_forgotten(how: str) -> None:
    owner, other, model, listener = await running(on_disconnect="cancel")
    await asyncio.sleep(2.5)
    await other.attach("t1")
    await asyncio.sleep(0.2)
    writing = asyncio.Event()
    owner.store.script("finish", writing)
    listener.leave()
    await asyncio.sleep(0.1)
    ending = asyncio.ensure_future(
        owner.turns.stop(PLACE, "t1") if how == "stop" else owner.turns.aclose()
    )
    await asyncio.sleep(0.1)
    writing.set()
    await ending
    expected = "cancelled" if how == "stop" else "incomplete"
    assert ((await owner.stored()).finish_reason, model.open) == (expected, 0)


@in_virtual_time
async def test_a_watcher_that_comes_back_here_while_the_end_is_written_keeps_it_running() -> None:
    owner, other, model, listener = await running(on_disconnect="cancel")
    await asyncio.sleep(2.5)
    await (Instance(owner.rows)).store.watch(PLACE, await owner.stored(), 1)
    writing = asyncio.Event()
    owner.store.script("finish", writing)
    listener.leave()
    await asyncio.sleep(0.1)
    again = await owner.attach("t1")
    writing.set()  # a conflict: others wrote, and the end is written anew, or not
    await asyncio.sleep(0.5)
    model.say("b")
    model.finish()
    assert (await again.ended()).finish_reason == "stop"
    assert again.text == "ab"
    assert other.store.calls == []


# Join what is then undone


@in_virtual_time
async def test_who_joined_a_turn_elsewhere_that_is_undone_begins_it() -> None:
    owner = Instance()
    other = Instance(owner.rows)
    refused = ScriptedModel(refusal=ModelRefused("no"), delay=3.0)
    first = asyncio.ensure_future(owner.listen(refused))
    await asyncio.sleep(0.5)
    model = ScriptedModel()
    model.say("b")
    model.finish()
    joined = await other.listen(model)
    with pytest.raises(ModelRefused):
        await first
    end = await joined.ended()
    assert (end.finish_reason, joined.text, len(model.requests)) == ("stop", "b", 1)
    assert (await owner.stored()).text == "b"


@in_virtual_time
async def test_who_attaches_to_a_turn_that_is_undone_finds_none() -> None:
    owner = Instance()
    refused = ScriptedModel(refusal=ModelRefused("no"), delay=3.0)
    first = asyncio.ensure_future(owner.listen(refused))
    await asyncio.sleep(0.5)
    other = Instance(owner.rows)
    with pytest.raises(NotFound):
        await other.attach("t1")
    with pytest.raises(ModelRefused):
        await first


@in_virtual_time
async def test_a_turn_that_was_told_elsewhere_is_not_undone_any_more() -> None:
    owner = Instance()
    other = Instance(owner.rows)
    refused = ScriptedModel(refusal=ModelRefused("no"), delay=3.0)
    first = asyncio.ensure_future(owner.listen(refused))
    await asyncio.sleep(0.5)
    owner.store.break_down()  # its undo comes late
    joined = await other.listen(ScriptedModel())
    assert now() > 5
    owner.store.recover()
    end = await joined.ended()
    assert (end.finish_reason, joined.kinds) == ("error", ["Start", "Error", "End"])
    here = await first
    assert await here.ended() == end
    assert [e.code for e in here.errors] == [e.code for e in joined.errors] == ["model_refused"]
    assert (await owner.stored()).finish_reason == "error"


@pytest.mark.parametrize("fault", ["down", "conflict"])
@in_virtual_time
async def test_a_turn_that_might_be_undone_is_told_to_nobody_whose_mark_cannot_be_written(
    fault: str,
) -> None:
    owner, model = Instance(), ScriptedModel()
    first = asyncio.ensure_future(owner.listen(model))
    await asyncio.sleep(0.5)
    other = Instance(owner.rows)
    other.store.always["watch"] = fault
    with pytest.raises(StoreUnavailable):
        await other.attach("t1")
    model.say("a")
    listener = await first
    await asyncio.sleep(3)
    attached = await other.attach("t1")  # it has text now
    model.finish()
    assert await attached.ended() == await listener.ended()


@in_virtual_time
async def test_who_joins_a_silent_turn_waits_for_five_seconds_and_no_longer() -> None:
    owner, model = Instance(), ScriptedModel()
    first = asyncio.ensure_future(owner.listen(model))
    await asyncio.sleep(0.5)
    other = Instance(owner.rows)
    joined = await other.listen(ScriptedModel())
    assert 5 <= now() <= 6
    late = await Instance(owner.rows).turns.attach(PLACE, "t1", BEGINNING)
    assert late is not None
    model.say("a")
    model.finish()
    assert (await joined.ended()).text == "a"
    assert (await (await first).ended()).usage == USAGE


# Pauses


@in_virtual_time
async def test_an_instance_that_wakes_after_its_lease_was_taken_over_changes_nothing() -> None:
    owner, other, model, listener = await running()
    await asyncio.sleep(2.5)
    pause(40)
    before = await other.turns.fresh(PLACE, await other.stored())
    assert before.finish_reason == "incomplete"
    model.say("b")
    model.finish()
    end = await listener.ended()
    assert (end.finish_reason, end.text) == ("incomplete", "a")
    assert await other.stored() == before
    assert owner.store.calls.count("finish") <= 1
    assert now_ms() > before.created


@in_virtual_time
async def test_who_watches_elsewhere_is_told_which_model_answers() -> None:
    owner, model = Instance(), ScriptedModel()
    model.say(Answering("second"))
    model.say("a")
    listener = await owner.listen(model)
    await asyncio.sleep(3)  # a checkpoint
    watcher = await Instance(owner.rows).attach("t1")
    model.finish()
    await listener.ended()
    await watcher.ended()
    assert watcher.events[0] == listener.events[0]
    assert isinstance(start := watcher.events[0], Start)
    assert start.model == "second"
