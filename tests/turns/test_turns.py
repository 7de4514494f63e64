"""The turns of one instance: joining, its limit, ids, and closing."""

import asyncio

import pytest

from shared.errors import (
    InvalidRequest,
    ModelRefused,
    Overloaded,
    PayloadTooLarge,
    StoreUnavailable,
)
from shared.events import Start
from shared.history.base import Place
from shared.history.memory import MemoryRows
from shared.messages import Caller, Document
from tests.turns.bench import PLACE, Instance, Listener
from tests.turns.clock_loop import in_virtual_time, settle
from tests.turns.scripted import ScriptedModel

NOBODY = Caller()


@in_virtual_time
async def test_the_same_turn_is_joined_while_it_runs_here() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    first = await app.listen(model)
    calls = list(app.store.calls)
    second = await app.listen(ScriptedModel(), result_variable_name="text")
    assert app.store.calls == [*calls, "head"]  # nobody joins what was deleted elsewhere
    assert second.response.result_name == "text"
    model.say("lo")
    model.finish()
    assert await first.ended() == await second.ended()
    assert second.text == "Hello"


@in_virtual_time
async def test_two_requests_for_one_turn_at_once_run_it_once() -> None:
    app, model, hanging = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("begin", hanging)
    starting = [asyncio.ensure_future(app.listen(model)) for _ in range(3)]
    await settle()
    hanging.set()
    model.say("Hello")
    listeners = await asyncio.gather(*starting)
    model.finish()
    assert {(await listener.ended()).text for listener in listeners} == {"Hello"}
    assert len(model.requests) == 1
    assert app.store.calls.count("begin") == 1


@in_virtual_time
async def test_where_the_first_request_fails_the_second_begins_the_turn() -> None:
    app, model, hanging = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("read", hanging)
    first = asyncio.ensure_future(app.start(model))
    second = asyncio.ensure_future(app.listen(model))
    await settle()
    app.store.script("begin", PayloadTooLarge("x"))
    hanging.set()
    with pytest.raises(PayloadTooLarge):
        await first
    model.finish()
    assert (await (await second).ended()).finish_reason == "stop"


@in_virtual_time
async def test_an_instance_runs_only_so_many_turns() -> None:
    app, model, hanging = Instance(concurrent=2), ScriptedModel(), asyncio.Event()
    model.say("x")
    running = await app.listen(model, conversation_id="a")
    app.store.script("begin", hanging)
    beginning = asyncio.ensure_future(app.listen(model, conversation_id="b"))
    await settle()
    for fields in ({"conversation_id": "c"}, {"store": False}):
        with pytest.raises(Overloaded) as raised:
            await app.start(ScriptedModel(), **fields)
        assert raised.value.retry_after == 1
    joined = await app.listen(ScriptedModel(), conversation_id="a")
    model.finish()
    await running.ended()
    await joined.ended()
    hanging.set()
    model.say("x")
    model.finish()
    await (await beginning).ended()
    stateless = ScriptedModel()
    stateless.finish()
    await (await app.listen(stateless, store=False)).ended()


@in_virtual_time
async def test_a_refused_turn_gives_its_room_back() -> None:
    app = Instance(concurrent=1)
    for _ in range(3):
        with pytest.raises(ModelRefused):
            await app.start(ScriptedModel(refusal=ModelRefused("No.")))
    app.store.script("begin", PayloadTooLarge("x"))
    with pytest.raises(PayloadTooLarge):
        await app.start(ScriptedModel())
    await app.whole_turn("x")


@in_virtual_time
async def test_ids_are_made_where_none_are_given() -> None:
    app = Instance()
    first = await app.whole_turn("x", conversation_id=None, turn_id=None)
    second = await app.whole_turn("x", conversation_id=None, turn_id=None)
    ids = {
        name
        for listener in (first, second)
        for name in (listener.response.conversation_id, listener.response.turn_id)
    }
    assert len(ids) == 4
    start = first.events[0]
    assert isinstance(start, Start)
    assert {start.conversation_id, start.turn_id} <= ids
    assert all(len(name or "") >= 16 for name in ids)


@in_virtual_time
async def test_a_retry_without_a_conversation_finds_the_one_that_its_first_try_made() -> None:
    app = Instance()
    first = await app.whole_turn("x", conversation_id=None)
    again = await app.listen(ScriptedModel(), conversation_id=None)
    await again.ended()
    assert again.events == first.events
    others = [
        await app.whole_turn("x", conversation_id=None, turn_id="t2"),
        await app.whole_turn("x", conversation_id=None, caller=Caller("you")),
        await app.whole_turn("x", conversation_id=None, caller=Caller("me,t"), turn_id="1"),
    ]
    ids = {listener.response.conversation_id for listener in (first, *others)}
    assert len(ids) == 4


@in_virtual_time
async def test_an_anonymous_callers_conversation_must_be_unguessable() -> None:
    app = Instance()
    for fields in ({"conversation_id": "x" * 15}, {"conversation_id": None}):
        with pytest.raises(InvalidRequest) as raised:
            await app.start(ScriptedModel(), caller=NOBODY, **fields)
        assert raised.value.problems[0].field == "conversationId"
    await app.whole_turn("x", caller=NOBODY, conversation_id="x" * 16)
    await app.whole_turn("x", caller=NOBODY, conversation_id=None, turn_id=None)
    state = await app.turns.state(Place(None, "x" * 16), "t1")
    assert not state.running


@in_virtual_time
async def test_owners_have_conversations_of_the_same_name_apart() -> None:
    app, model = Instance(), ScriptedModel()
    await app.whole_turn("mine")
    model.finish()
    listener = Listener(await app.start(model, caller=Caller("you")))
    await listener.ended()
    start = listener.events[0]
    assert isinstance(start, Start)
    assert start.new
    assert len(model.requests[0].messages) == 2


@in_virtual_time
async def test_the_window_goes_to_the_model_unless_the_caller_brings_a_history() -> None:
    app, model = Instance(), ScriptedModel()
    await app.whole_turn("one", "First")
    model.finish()
    await (await app.listen(model, "Second", turn_id="t2")).ended()
    assert [m["content"] for m in model.requests[0].messages] == [
        "Be kind.",
        "First",
        "one",
        "Second",
    ]
    model.finish()
    await (await app.listen(model, "Third", turn_id="t3", history=())).ended()
    assert [m["content"] for m in model.requests[1].messages] == ["Be kind.", "Third"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [("down", StoreUnavailable), (ZeroDivisionError(), ZeroDivisionError)],
    ids=["the store is down", "a mistake of ours"],
)
@in_virtual_time
async def test_a_window_that_cannot_be_read_refuses_the_turn_and_leaves_nothing(
    fault: str | Exception, told: type[Exception]
) -> None:
    app = Instance(history_messages=2)
    await app.whole_turn("one", turn_id="t1")
    await app.whole_turn("two", turn_id="t2")
    app.store.script("read_below", fault)
    with pytest.raises(told):
        await app.start(ScriptedModel(), turn_id="t3", replaces="t2")
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.next == 4


@in_virtual_time
async def test_documents_whose_names_fill_the_row_are_too_large() -> None:
    app = Instance(max_bytes=1000)
    with pytest.raises(PayloadTooLarge) as raised:
        await app.start(ScriptedModel(), context=(Document(content="", url="u" * 500),))
    assert raised.value.problems[0].field == "context"
    assert app.store.calls == []


@in_virtual_time
async def test_an_instance_that_goes_away_begins_nothing_more() -> None:
    rows = MemoryRows()
    app, model, hanging = Instance(rows), ScriptedModel(), asyncio.Event()
    app.store.script("begin", hanging)
    starting = asyncio.ensure_future(app.start(model))
    await settle()
    closing = asyncio.ensure_future(app.turns.aclose())
    await settle()
    hanging.set()
    with pytest.raises(Overloaded):
        await starting
    await closing
    with pytest.raises(Overloaded):
        await app.start(model, turn_id="t2")
    assert model.requests == []
    await Instance(rows).whole_turn("x")


@in_virtual_time
async def test_nothing_is_kept_of_turns_that_are_over() -> None:
    app = Instance()
    for number in range(5):
        await app.whole_turn("x", turn_id=f"t{number}")
    await settle()
    assert app.turns._running.idle
    assert not dict(app.turns._opening)
