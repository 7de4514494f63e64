"""A turn on one instance: how it begins to respond, and every way it ends."""

import asyncio
import logging
from typing import Any

import pytest

from shared.errors import (
    ChatError,
    ContentFiltered,
    InternalError,
    ModelBrokeOff,
    ModelRefused,
    ModelTimeout,
    NotFound,
    PayloadTooLarge,
    RateLimited,
)
from shared.events import (
    BEGINNING,
    Answering,
    Citations,
    Delta,
    End,
    Finish,
    Piece,
    Reasoning,
    Start,
    ToolCall,
)
from shared.history.base import Place
from shared.messages import Document, FinishReason, ModelRequest, Usage
from shared.prompts.tokens import estimate_messages, estimate_tokens
from shared.turns.buffer import TurnBuffer
from shared.turns.turn import Turn
from tests.turns.bench import BOUNDS, PLACE, Instance, texts
from tests.turns.clock_loop import in_virtual_time, pause, settle
from tests.turns.scripted import USAGE, ScriptedModel


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_events_arrive_as_the_model_gives_them_and_are_stored() -> None:
    app, model = Instance(), ScriptedModel()
    model.say(Reasoning("hm"), "Hel")
    listener = await app.listen(model)
    await settle()
    assert listener.events == [
        Start("c1", "t1", "default", "gpt", True),
        Reasoning("hm"),
        Delta("Hel"),
    ]
    model.say("lo", ToolCall(0, "id", "name", "{}"))
    model.finish("tool_calls")
    end = await listener.ended()
    assert end == End("tool_calls", USAGE, "Hello")
    answer = await app.stored()
    assert answer.runs == (Reasoning("hm"), Delta("Hello"), ToolCall(0, "id", "name", "{}"))
    assert (answer.running, answer.finish_reason, answer.usage) == (False, "tool_calls", USAGE)
    assert model.open == 0


@in_virtual_time
async def test_the_end_leaves_only_after_it_is_stored() -> None:
    app, model, stored = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("finish", stored)
    model.say("Hi")
    model.finish()
    listener = await app.listen(model)
    await asyncio.sleep(5)
    assert listener.kinds == ["Start", "Delta"]
    stored.set()
    await listener.ended()


@in_virtual_time
async def test_the_prompt_reaches_the_model_after_it_is_stored() -> None:
    app, model, stored = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("begin", stored)
    starting = asyncio.ensure_future(app.listen(model, "What is new?"))
    await settle()
    assert model.requests == []
    stored.set()
    model.finish()
    await (await starting).ended()
    assert model.requests[0].messages == (
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What is new?"},
    )


@in_virtual_time
async def test_a_silent_model_gets_a_response_after_five_seconds() -> None:
    app, model = Instance(), ScriptedModel()
    listener = await app.listen(model)
    assert now() == pytest.approx(5)
    await settle()
    assert listener.kinds == ["Start"]
    await asyncio.sleep(20)
    assert listener.heartbeats == 1
    model.finish()
    assert (await listener.ended()).finish_reason == "stop"


@in_virtual_time
async def test_a_slow_store_takes_from_the_same_five_seconds() -> None:
    app, model, stored = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("begin", stored)
    asyncio.get_running_loop().call_later(7, stored.set)
    await app.listen(model)
    assert now() == pytest.approx(7)


REFUSALS = [
    ModelRefused("No key."),
    RateLimited("Too many.", retry_after=3),
    ContentFiltered("The prompt."),
    ModelBrokeOff("Gone."),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda e: e.code)
@pytest.mark.parametrize("where", ["entering", "first read"])
@in_virtual_time
async def test_what_fails_before_the_first_event_is_refused_and_leaves_nothing(
    refusal: ChatError, where: str
) -> None:
    app = Instance()
    model = ScriptedModel(refusal=refusal if where == "entering" else None, delay=4.5)
    model.fail(refusal)
    with pytest.raises(type(refusal)) as raised:
        await app.start(model)
    assert raised.value is refusal
    with pytest.raises(NotFound):
        await app.turns.state(PLACE, "t1")
    head = await app.store.head(PLACE)
    assert head is not None
    assert head.next == 0
    again = await app.whole_turn("Hello again")
    assert again.events[0] == Start("c1", "t1", "default", "gpt", True)
    assert model.open == 0


@in_virtual_time
async def test_all_who_wait_are_refused_alike() -> None:
    app, model = Instance(), ScriptedModel(refusal=ModelRefused("No."), delay=2)
    starting = [asyncio.ensure_future(app.start(model)) for _ in range(2)]
    await settle()
    attaching = asyncio.ensure_future(app.turns.attach(PLACE, "t1", BEGINNING))
    outcomes = await asyncio.gather(*starting, attaching, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelRefused, ModelRefused, NotFound]
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("failure", "reason", "codes"),
    [
        (RateLimited("x"), "error", ["rate_limited"]),
        (ContentFiltered("x"), "content_filter", ["content_filtered"]),
        (ModelBrokeOff("x"), "incomplete", []),
        (RuntimeError("secret"), "error", ["internal_error"]),
    ],
)
@pytest.mark.parametrize("when", ["after the first event", "after five seconds"])
@in_virtual_time
async def test_what_fails_later_is_an_error_and_an_end(
    failure: Exception,
    reason: FinishReason,
    codes: list[str],
    when: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, model = Instance(), ScriptedModel()
    if when == "after the first event":
        model.say("Hel")
    listener = await app.listen(model)
    model.fail(failure)
    end = await listener.ended()
    assert end.finish_reason == reason
    assert [error.code for error in listener.errors] == codes
    assert "secret" not in repr(listener.events)
    stored = await app.stored()
    assert stored.finish_reason == reason
    assert [type(run).__name__ for run in stored.runs] == [
        type(event).__name__ for event in listener.events[1:-1]
    ]
    assert ("secret" in caplog.text) == isinstance(failure, RuntimeError)


@in_virtual_time
async def test_an_unexpected_exception_before_the_response_is_an_internal_error() -> None:
    app, model = Instance(), ScriptedModel(refusal=KeyError("secret"))
    with pytest.raises(InternalError) as raised:
        await app.start(model)
    assert "secret" not in raised.value.message
    assert isinstance(raised.value.__cause__, KeyError)


@in_virtual_time
async def test_a_stream_without_a_reason_is_incomplete() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    model.end()
    assert (await (await app.listen(model)).ended()).finish_reason == "incomplete"


@in_virtual_time
async def test_a_model_that_says_nothing_at_all_ends_with_its_reason() -> None:
    app, model = Instance(), ScriptedModel()
    model.finish("stop")
    listener = await app.listen(model)
    assert await listener.ended() == End("stop", USAGE, "")
    assert now() == 0


@in_virtual_time
async def test_stop_keeps_what_was_generated_and_lets_the_model_go() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    state = await app.turns.stop(PLACE, "t1")
    assert (state.running, state.finish_reason) == (False, "cancelled")
    assert model.open == 0
    assert (await listener.ended()).text == "Hel"
    assert (await app.turns.stop(PLACE, "t1")) == state
    assert state.usage is not None
    assert state.usage.estimated


@in_virtual_time
async def test_stop_before_the_first_event() -> None:
    app, model = Instance(), ScriptedModel()
    starting = asyncio.ensure_future(app.listen(model))
    await settle()
    await app.turns.stop(PLACE, "t1")
    assert (await (await starting).ended()).finish_reason == "cancelled"


@in_virtual_time
async def test_stop_that_takes_long_says_that_it_still_runs() -> None:
    app, model, stored = Instance(), ScriptedModel(), asyncio.Event()
    app.store.script("finish", stored)
    model.say("Hel")
    listener = await app.listen(model)
    states = await asyncio.gather(app.turns.stop(PLACE, "t1"), app.turns.stop(PLACE, "t1"))
    assert [state.running for state in states] == [True, True]
    assert now() == pytest.approx(10)
    stored.set()
    assert (await listener.ended()).finish_reason == "cancelled"


@in_virtual_time
async def test_stop_after_the_models_own_end_changes_nothing() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hello", Finish("stop"))
    listener = await app.listen(model)
    state = await app.turns.stop(PLACE, "t1")
    assert state.finish_reason == (await listener.ended()).finish_reason == "stop"


@in_virtual_time
async def test_nobody_watching_ends_the_turn_after_the_grace() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    await asyncio.sleep(1)
    listener.leave()
    await asyncio.sleep(29)
    assert model.open == 1
    await asyncio.sleep(2)
    assert model.open == 0
    assert (await app.stored()).finish_reason == "disconnected"


@in_virtual_time
async def test_whoever_comes_back_in_time_keeps_it_running() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    first = await app.listen(model)
    second = await app.attach("t1")
    first.leave()
    await asyncio.sleep(60)
    assert model.open == 1
    second.leave()
    await asyncio.sleep(29)
    third = await app.attach("t1", second.entries[-1].position)
    await asyncio.sleep(60)
    model.say("lo")
    model.finish()
    assert await third.ended() == End("stop", USAGE, "Hello")
    assert third.events[0] == Delta("lo")


@in_virtual_time
async def test_cancel_on_disconnect_ends_it_at_once() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model, on_disconnect="cancel")
    listener.leave()
    await settle()
    assert model.open == 0
    assert (await app.stored()).finish_reason == "disconnected"


@pytest.mark.parametrize("on_disconnect", ["cancel", "finish"])
@pytest.mark.parametrize("moment", ["begin", "first event"])
@in_virtual_time
async def test_a_caller_who_leaves_before_the_response_counts_as_one_who_left(
    on_disconnect: str, moment: str
) -> None:
    app, model, stored = Instance(), ScriptedModel(), asyncio.Event()
    if moment == "begin":
        app.store.script("begin", stored)
    starting = asyncio.ensure_future(app.start(model, on_disconnect=on_disconnect))
    await settle()
    starting.cancel()
    await asyncio.wait({starting})
    stored.set()
    await settle()
    assert model.open == (on_disconnect == "finish")
    await asyncio.sleep(31)
    assert model.open == 0
    assert (await app.stored()).finish_reason == "disconnected"


@pytest.mark.parametrize("what", ["refusal", "replay"])
@in_virtual_time
async def test_a_caller_who_leaves_before_a_refusal_or_a_replay_is_no_trouble(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, model, hanging = Instance(), ScriptedModel(), asyncio.Event()
    if what == "replay":
        await app.whole_turn("x")
    app.store.script("read", hanging)
    app.store.script("begin", PayloadTooLarge("x"))
    starting = asyncio.ensure_future(app.start(model))
    await settle()
    starting.cancel()
    await asyncio.wait({starting})
    hanging.set()
    await asyncio.sleep(60)
    assert model.requests == []
    assert caplog.text == ""


@in_virtual_time
async def test_a_process_that_stood_still_does_not_blame_the_model() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    await asyncio.sleep(100)
    pause(15)  # shorter than its lease
    await asyncio.sleep(60)
    pause(15)
    await settle()
    assert listener.kinds == ["Start", "Delta"]
    model.say("lo")
    model.finish()
    assert (await listener.ended()).finish_reason == "stop"


@in_virtual_time
async def test_a_silent_model_times_out() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    await asyncio.sleep(100)
    model.say("lo")
    await asyncio.sleep(179)
    assert model.open == 1
    end = await listener.ended()
    assert now() == pytest.approx(280)
    assert (end.finish_reason, [e.code for e in listener.errors]) == ("error", ["model_timeout"])
    assert model.open == 0


@pytest.mark.parametrize("seconds", [3, 0])
@in_virtual_time
async def test_a_short_timeout_is_refused_with_its_status(seconds: int) -> None:
    app = Instance(model_timeout=float(seconds))
    with pytest.raises(ModelTimeout, match=f"{seconds} seconds"):
        await app.start(ScriptedModel())
    assert now() == pytest.approx(seconds)


@in_virtual_time
async def test_after_its_reason_a_model_has_five_seconds_for_its_usage() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hello", Finish("stop"))
    listener = await app.listen(model)
    end = await listener.ended()
    assert now() == pytest.approx(5)
    assert (end.finish_reason, end.usage.estimated) == ("stop", True)
    assert listener.errors == []


@pytest.mark.parametrize("tail", ["usage", "error", "cut", "crash"])
@in_virtual_time
async def test_what_comes_after_the_reason_does_not_change_it(tail: str) -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hello", Finish("length"))
    listener = await app.listen(model)
    match tail:
        case "usage":
            model.say(Finish(None, USAGE, 1))
            model.end()
        case "error":
            model.fail(RateLimited("x"))
        case "cut":
            model.fail(ModelBrokeOff("x"))
        case _:
            model.fail(RuntimeError())
    end = await listener.ended()
    assert end.finish_reason == "length"
    assert listener.errors == []
    assert end.usage.estimated == (tail != "usage")
    assert (await app.stored()).reasoning_tokens == (tail == "usage")


@pytest.mark.parametrize("store", [True, False])
@in_virtual_time
async def test_the_start_says_which_model_answers(store: bool) -> None:
    app, model = Instance(), ScriptedModel()
    model.say(Answering("second"))
    model.say(Answering("third"))
    model.say("Hel")
    listener = await app.listen(model, store=store, context=(Document(content="c", id="7"),))
    model.finish()
    await listener.ended()
    assert [type(event) for event in listener.events] == [Start, Citations, Delta, End]
    start = listener.events[0]
    assert isinstance(start, Start)
    assert start.model == "third"
    if store:
        assert (await app.stored()).model == "third"
        replayed = await app.attach("t1")
        await replayed.ended()
        assert replayed.events[0] == start


@in_virtual_time
async def test_a_start_that_was_told_stays_and_the_store_says_who_answered() -> None:
    app, model = Instance(), ScriptedModel()
    listener = await app.listen(model)
    await settle()
    assert now() == pytest.approx(5)
    model.say(Answering("second"), "Hel")
    model.finish()
    await listener.ended()
    assert [event.model for event in listener.events if isinstance(event, Start)] == ["gpt"]
    assert (await app.stored()).model == "second"
    replayed = await app.attach("t1")
    await replayed.ended()
    assert replayed.events[0] == Start("c1", "t1", "default", "second", True)


@in_virtual_time
async def test_who_was_to_answer_begins_no_response() -> None:
    app, model = Instance(), ScriptedModel()
    model.say(Answering("second"))
    model.fail(RateLimited("Too many.", retry_after=3))
    with pytest.raises(RateLimited):
        await app.start(model)
    with pytest.raises(NotFound):
        await app.turns.state(PLACE, "t1")


@in_virtual_time
async def test_filtered_output_keeps_its_reason() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    model.finish("content_filter")
    listener = await app.listen(model)
    assert (await listener.ended()).finish_reason == "content_filter"
    assert [error.code for error in listener.errors] == ["content_filtered"]
    assert "no category named" in listener.errors[0].message


@pytest.mark.parametrize("said", ["Hel", ""])
@in_virtual_time
async def test_output_that_is_filtered_is_told_with_what_fired(said: str) -> None:
    app, model = Instance(), ScriptedModel()
    if said:
        model.say(said)
    model.say(Finish("stop", USAGE))
    model.say(Finish("content_filter", None, 0, ("violence", "protected_material_text")))
    model.end()
    listener = await app.listen(model)
    assert await listener.ended() == End("content_filter", USAGE, said)
    (error,) = listener.errors
    assert (error.code, error.retryable) == ("content_filtered", False)
    assert "(violence, protected_material_text)" in error.message
    assert listener.events[-2] is error
    stored = await app.stored()
    assert stored.finish_reason == "content_filter"
    assert stored.runs[-1] == error


@in_virtual_time
async def test_pieces_say_themselves_that_they_were_filtered() -> None:
    app, model = Instance(), ScriptedModel()
    model.say(Piece(0, {"content": "Hel"}), Piece(0, {}, None, "content_filter"))
    model.finish("content_filter")
    listener = await app.listen(model, pieces=True, store=False)
    assert (await listener.ended()).finish_reason == "content_filter"
    assert listener.errors == []


@in_virtual_time
async def test_an_answer_ends_with_length_at_the_stores_bound() -> None:
    app, model = Instance(max_bytes=20), ScriptedModel()
    for _ in range(10):
        model.say("äöü")
    listener = await app.listen(model)
    end = await listener.ended()
    assert (end.finish_reason, end.text) == ("length", "äöü" * 3)
    assert model.open == 0


@in_virtual_time
async def test_many_short_runs_fit_the_store_too() -> None:
    """What begins a run counts: else an answer of short runs would be too long to be stored."""
    app, model = Instance(max_bytes=3000), ScriptedModel()
    model.say(*(kind("x") for _ in range(1500) for kind in (Delta, Reasoning)))
    listener = await app.listen(model)
    assert (await listener.ended()).finish_reason == "length"
    assert 2990 < len((await app.stored()).body) <= 3002


@in_virtual_time
async def test_long_documents_leave_room_for_the_answer() -> None:
    context = (Document(content="文" * 390_000, title="T", url="https://example.com"),)
    app, model = Instance(), ScriptedModel()
    model.say("Hello")
    model.finish()
    listener = await app.listen(model, context=context)
    assert (await listener.ended()).text == "Hello"
    (shown,) = [e.documents for e in listener.events if isinstance(e, Citations)]
    assert [(d.title, d.url) for d in shown] == [("T", "https://example.com")]
    assert len((await app.stored()).body) < 1000


@in_virtual_time
async def test_usage_is_estimated_where_the_model_says_none() -> None:
    app, model = Instance(), ScriptedModel()
    model.say(Reasoning("think"), "Hello")
    model.finish("stop", None)
    listener = await app.listen(model)
    prompt = estimate_messages(model.requests[0].messages)
    completion = estimate_tokens("Hello") + estimate_tokens("think")
    expected = Usage(prompt, completion, prompt + completion, estimated=True)
    assert (await listener.ended()).usage == expected
    assert (await app.stored()).usage == expected


@in_virtual_time
async def test_usage_of_pieces_is_estimated_from_all_that_they_say() -> None:
    app, model = Instance(), ScriptedModel()
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}
    deltas: list[dict[str, Any]] = [
        {"content": "Hello", "reasoning_content": "think", "refusal": None},
        {"refusal": "No, never."},
        {"tool_calls": [call, {"index": 1, "id": "b"}]},
    ]
    model.say(*(Piece(0, delta) for delta in deltas))
    model.finish("stop", None)
    listener = await app.listen(model, pieces=True, store=False)
    usage = (await listener.ended()).usage
    said = ("Hello", "think", "No, never.", '{"x":1}')
    assert usage.completion_tokens == sum(map(estimate_tokens, said))


@in_virtual_time
async def test_without_the_history_there_is_no_store_and_no_attach() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model, store=False)
    await settle()
    assert listener.events == [Start(None, None, "default", "gpt", True), Delta("Hel")]
    assert (listener.response.conversation_id, listener.response.turn_id) == (None, None)
    model.say("lo")
    model.finish()
    assert await listener.ended() == End("stop", USAGE, "Hello")
    assert app.store.calls == []


@in_virtual_time
async def test_without_the_history_leaving_cancels() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    (await app.listen(model, store=False)).leave()
    await settle()
    assert model.open == 0
    starting = asyncio.ensure_future(app.start(model, store=False))
    await settle()
    starting.cancel()
    await asyncio.wait({starting})
    await settle()
    assert model.open == 0


@in_virtual_time
async def test_without_the_history_citations_come_and_failures_are_refused() -> None:
    app, model = Instance(), ScriptedModel()
    model.finish()
    documents = (Document(content="x", title="T"),)
    listener = await app.listen(model, store=False, context=documents)
    await listener.ended()
    assert listener.kinds == ["Start", "Citations", "End"]
    with pytest.raises(ModelRefused):
        await app.start(ScriptedModel(refusal=ModelRefused("No.")), store=False)


@pytest.mark.parametrize("method", ["save", "finish"])
@in_virtual_time
async def test_a_mistake_in_the_store_still_ends_the_stream(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, model = Instance(), ScriptedModel()
    app.store.script(method, ValueError("secret"))
    model.say("Hel")
    if method == "finish":
        model.finish()
    listener = await app.listen(model)
    end = await listener.ended()
    assert (end.finish_reason, [e.code for e in listener.errors]) == ("error", ["internal_error"])
    assert "secret" not in repr(listener.events)
    assert model.open == 0
    assert "secret" in caplog.text


@in_virtual_time
async def test_a_mistake_in_the_store_before_the_response_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    app = Instance()
    app.store.script("undo", ValueError("secret"))
    with pytest.raises(InternalError):
        await app.start(ScriptedModel(refusal=ModelRefused("No.")))


@in_virtual_time
async def test_an_instance_that_goes_away_ends_its_turns_incomplete() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    await app.turns.aclose()
    assert (await listener.ended()).finish_reason == "incomplete"
    assert texts((await app.stored()).runs) == "Hel"
    await app.turns.aclose()


@in_virtual_time
async def test_a_deleted_conversation_ends_its_turn_cancelled() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    other = ScriptedModel()
    other.say("x")
    elsewhere = await app.listen(other, conversation_id="c2")
    await app.store.delete(PLACE)
    app.turns.deleted(PLACE)
    end = await listener.ended()
    assert (end.finish_reason, end.text) == ("cancelled", "Hel")
    assert (model.open, other.open) == (0, 1)
    await app.turns.stop(Place("me", "c2"), "t1")
    await elsewhere.ended()


@in_virtual_time
async def test_an_end_that_was_shown_frees_the_conversation() -> None:
    app = Instance()
    for number in range(3):
        await app.whole_turn("x", turn_id=f"t{number}")


@in_virtual_time
async def test_a_process_that_ends_lets_the_model_go() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Hel")
    listener = await app.listen(model)
    for task in app.turns._running._tasks:
        task.cancel()
    await asyncio.wait(app.turns._running._tasks)
    assert model.open == 0
    assert (await app.stored()).running
    listener.leave()
    await settle()
    saved = app.store.calls.count("save")
    await asyncio.sleep(30)
    assert app.store.calls.count("save") == saved


@in_virtual_time
async def test_a_turn_that_nobody_joins_is_refused_quietly() -> None:
    """`Turn` alone: run to its refusal without any watcher."""
    arguments: dict[str, Any] = {
        "turn_id": "t",
        "digest": "",
        "result_name": "response",
        "model": ScriptedModel(refusal=ModelRefused("No.")),
        "request": ModelRequest(model="gpt", messages=(), parameters={}),
        "buffer": TurnBuffer(),
        "bounds": BOUNDS,
        "writer": None,
        "cancel_on_leave": True,
        "respond_by": 5.0,
        "load": lambda: 1,
    }
    turn = Turn(**arguments)
    await turn.run()
    assert turn.over.is_set()
    with pytest.raises(ModelRefused):
        await turn.join()
