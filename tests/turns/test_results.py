"""Turns that go on with what the model's calls gave."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import ConversationBusy, InvalidRequest, ModelUnavailable, TurnMismatch
from shared.events import Finish, ToolCall
from shared.history import keys
from shared.history.base import Head
from shared.history.rows import Merge
from shared.messages import ToolResult
from tests.turns.begun import begun_elsewhere
from tests.turns.bench import PLACE, Instance, Listener
from tests.turns.clock_loop import in_virtual_time
from tests.turns.scripted import USAGE, ScriptedModel


def results(*ids: str, content: str = "18°") -> tuple[ToolResult, ...]:
    return tuple(ToolResult(id=id, content=content) for id in ids)


def calling(*ids: str) -> ScriptedModel:
    """A model that wants these calls made; none: that says `ok`."""
    model = ScriptedModel()
    if ids:
        model.say(*(ToolCall(n, id, f"f{id}", "{}") for n, id in enumerate(ids)))
    else:
        model.say("ok")
    model.finish("tool_calls" if ids else "stop")
    return model


async def turn(app: Instance, turn_id: str, model: ScriptedModel, **fields: Any) -> Listener:
    """A whole turn; `tool_results` instead of a question."""
    prompt = "" if "tool_results" in fields else f"q{turn_id}"
    listener = await app.listen(model, prompt, turn_id=turn_id, **fields)
    await listener.ended()
    return listener


def sent(model: ScriptedModel) -> list[tuple[str, Any]]:
    """What the model was sent after the system prompt: role, and text, calls or call."""
    [request] = model.requests
    shown: list[tuple[str, Any]] = []
    for message in request.messages[1:]:
        about = message["content"]
        if "tool_calls" in message:
            about = [call["id"] for call in message["tool_calls"]]
        elif message["role"] == "tool":
            about = (message["tool_call_id"], message["content"])
        shown.append((message["role"], about))
    return shown


async def head_of(app: Instance) -> Head:
    head = await app.store.head(PLACE)
    assert head is not None
    return head


async def refused(app: Instance, *ids: str, **fields: Any) -> str:
    """What is said of results that do not fit; their model is never asked, nothing is left."""
    model = ScriptedModel()
    before = await app.store.head(PLACE)
    with pytest.raises(InvalidRequest) as raised:
        await turn(app, "refused", model, tool_results=results(*ids), **fields)
    assert [problem.field for problem in raised.value.problems] == ["toolResults"]
    assert model.requests == []
    assert await app.store.find(PLACE, "refused") is None
    assert await app.store.head(PLACE) == before
    return raised.value.message


@in_virtual_time
async def test_the_model_is_sent_its_calls_and_their_results() -> None:
    app, last = Instance(), calling()
    await turn(app, "1", calling("a", "b"))
    await turn(app, "2", calling("c"), tool_results=results("b", "a"))
    await turn(app, "3", last, tool_results=results("c", content="rain"))
    chain = [
        ("user", "q1"),
        ("assistant", ["a", "b"]),
        ("tool", ("b", "18°")),
        ("tool", ("a", "18°")),
        ("assistant", ["c"]),
        ("tool", ("c", "rain")),
    ]
    assert sent(last) == chain
    later = calling()
    await turn(app, "4", later)
    assert sent(later) == [*chain, ("assistant", "ok"), ("user", "q4")]
    head = await head_of(app)
    assert (head.title, head.count) == ("q1", 8)


@in_virtual_time
async def test_a_window_smaller_than_the_chain_still_has_the_calls() -> None:
    app, last, later = Instance(history_messages=2), calling(), calling()
    await turn(app, "1", calling("a"))
    await turn(app, "2", calling("b"), tool_results=results("a"))
    await turn(app, "3", last, tool_results=results("b"))
    assert sent(last) == [("assistant", ["b"]), ("tool", ("b", "18°"))]
    # The last turn is always there; what its chain began with was not read.
    await turn(app, "4", later)
    assert sent(later) == [("assistant", "ok"), ("user", "q4")]


@in_virtual_time
async def test_a_chain_that_fills_the_window_is_what_the_next_question_is_about() -> None:
    app, later = Instance(history_messages=6), calling()
    await turn(app, "0", calling("0"))
    for number in range(1, 5):
        model = calling(*(str(number) if number < 4 else ""))
        await turn(app, str(number), model, tool_results=results(str(number - 1)))
    app.store.calls.clear()
    await turn(app, "5", later)
    assert sent(later) == [
        ("assistant", ["2"]),
        ("tool", ("2", "18°")),
        ("assistant", ["3"]),
        ("tool", ("3", "18°")),
        ("assistant", "ok"),
        ("user", "q5"),
    ]
    assert app.store.calls == ["read", "begin", "finish"]


@in_virtual_time
async def test_results_have_to_answer_the_calls_of_the_last_turn() -> None:
    app = Instance()
    assert "it ended without any" in await refused(app, "a")
    await turn(app, "1", calling("a", "b"))
    for wrong in (["a"], ["a", "b", "c"], ["a", "c"]):
        assert "one for each of a, b" in await refused(app, *wrong)
    # Another question was asked: those calls will never be answered.
    await turn(app, "2", calling())
    assert "it ended without any" in await refused(app, "a", "b")


@in_virtual_time
async def test_an_interrupted_turn_has_no_calls_to_answer() -> None:
    app, model = Instance(), ScriptedModel()
    model.say("Let me look.", ToolCall(0, "a", "f", "{}"))
    model.end()
    assert (await turn(app, "1", model)).end.finish_reason == "incomplete"
    assert "it ended without any" in await refused(app, "a")


@in_virtual_time
async def test_results_after_a_turn_whose_instance_died() -> None:
    app = Instance()
    await turn(app, "1", calling("a"))
    await begun_elsewhere(app, "2")
    with pytest.raises(ConversationBusy):
        await turn(app, "3", ScriptedModel(), tool_results=results("a"))
    await asyncio.sleep(30)
    with pytest.raises(InvalidRequest, match="it ended without any"):
        await turn(app, "3", ScriptedModel(), tool_results=results("a"))
    assert not (await app.stored("2")).running


@pytest.mark.parametrize("messages", [2, 3, 40])
@in_virtual_time
async def test_a_turn_of_results_is_tried_again_in_its_place(messages: int) -> None:
    app, again, third = Instance(history_messages=messages), calling(), calling()
    await turn(app, "1", calling("a"))
    await turn(app, "2", calling(), tool_results=results("a"))
    assert "one for each of a" in await refused(app, "b", replaces="2")
    await turn(app, "3", again, tool_results=results("a", content="17°"), replaces="2")
    await turn(app, "4", third, tool_results=results("a", content="16°"), replaces="3")
    expected = [("user", "q1"), ("assistant", ["a"])]
    assert sent(again) == [*expected, ("tool", ("a", "17°"))]
    assert sent(third) == [*expected, ("tool", ("a", "16°"))]
    assert (await head_of(app)).count == 4


@in_virtual_time
async def test_results_in_the_place_of_another_question() -> None:
    app, model, asked = Instance(), calling(), calling()
    await turn(app, "1", calling("a"))
    await turn(app, "2", calling())
    await turn(app, "3", model, tool_results=results("a"), replaces="2")
    assert sent(model) == [("user", "q1"), ("assistant", ["a"]), ("tool", ("a", "18°"))]
    # And a question in their place: it replaces what led to them, too.
    await turn(app, "4", asked, replaces="3")
    assert sent(asked) == [("user", "q4")]
    assert (await head_of(app)).count == 2


@pytest.mark.parametrize("messages", [2, 3, 4, 40])
@in_virtual_time
async def test_a_question_in_the_place_of_results_replaces_what_led_to_them(messages: int) -> None:
    app, model, next_one = Instance(history_messages=messages), calling(), calling()
    await turn(app, "0", calling())
    first = ScriptedModel()
    first.say("Let me look.", ToolCall(0, "a", "f", "{}"))
    first.finish("tool_calls")
    await turn(app, "1", first)
    await turn(app, "2", calling("b"), tool_results=results("a"))
    await turn(app, "3", calling(), tool_results=results("b"))
    before = await head_of(app)
    assert before.count == 8
    refusing = ScriptedModel(refusal=ModelUnavailable("The model is away."))
    with pytest.raises(ModelUnavailable):
        await turn(app, "4", refusing, replaces="3")
    assert replace(await head_of(app), etag=before.etag) == before
    await turn(app, "4", model, replaces="3")
    assert (await app.stored("4")).hides == 2
    assert (await head_of(app)).count == 4
    whole = [("user", "q0"), ("assistant", "ok"), ("user", "q4")]
    assert sent(model) == whole
    # Once more, over all that is hidden by now.
    await turn(app, "5", calling("c"), replaces="4")
    await turn(app, "6", calling(), tool_results=results("c"))
    await turn(app, "7", next_one, replaces="6")
    assert sent(next_one) == [*whole[:2], ("user", "q7")]
    assert ((await app.stored("7")).hides, (await head_of(app)).count) == (2, 4)


@in_virtual_time
async def test_replacing_reads_further_only_where_the_chain_does() -> None:
    app = Instance(history_messages=4)
    await turn(app, "0", calling())
    await turn(app, "1", calling("a"))
    app.store.calls.clear()
    await turn(app, "2", calling("a"), replaces="1")
    assert app.store.calls == ["read", "begin", "finish"]
    for number in range(3, 30):
        await turn(app, str(number), calling("a"), tool_results=results("a"))
    app.store.calls.clear()
    await turn(app, "30", calling(), replaces="29")
    # Two for 27 rounds, and the one for a window that hidden turns have filled.
    assert app.store.calls == ["read", *["read_below"] * 2, "begin", "read_below", "finish"]
    assert ((await app.stored("30")).hides, (await head_of(app)).count) == (2, 4)


@pytest.mark.parametrize("fault", ["down", "lost", "conflict"])
@in_virtual_time
async def test_a_chain_is_replaced_whole_whatever_becomes_of_the_write(fault: str) -> None:
    app = Instance(history_messages=4)
    for number in range(4):
        fields = {"tool_results": results("a")} if number else {}
        await turn(app, str(number), calling("a"), **fields)
    app.store.script("begin", fault)
    app.store.script("read_below", "pass", "down")
    model = calling()
    await turn(app, "4", model, replaces="3")
    assert sent(model) == [("user", "q4")]
    assert ((await app.stored("4")).hides, (await head_of(app)).count) == (0, 2)


@in_virtual_time
async def test_of_two_that_replace_a_chain_one_does() -> None:
    app = Instance()
    other = Instance(app.rows)
    await turn(app, "1", calling("a"))
    await turn(app, "2", calling(), tool_results=results("a"))
    outcomes = await asyncio.gather(
        turn(app, "3", calling(), replaces="2"),
        turn(other, "4", calling(), replaces="2"),
        return_exceptions=True,
    )
    [loser] = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert isinstance(loser, (ConversationBusy, TurnMismatch))
    assert (await head_of(app)).count == 2


@in_virtual_time
async def test_a_chain_ends_where_it_cannot_be_read() -> None:
    app = Instance()
    await turn(app, "1", calling("a"))
    await turn(app, "2", calling("b"), tool_results=results("a"))
    await turn(app, "3", calling(), tool_results=results("b"))
    merge = Merge(keys.message("c1", 2), {"size": "damaged"}, "*")
    await app.rows.write(keys.partition(PLACE), [merge])
    await turn(app, "4", calling(), replaces="3")
    assert ((await app.stored("4")).hides, (await head_of(app)).count) == (4, 6)


@in_virtual_time
async def test_the_first_turn_has_none_before_it_to_answer() -> None:
    app = Instance()
    await turn(app, "1", calling("a"))
    assert "it ended without any" in await refused(app, "a", replaces="1")
    with pytest.raises(TurnMismatch, match="replaces"):
        await turn(app, "2", ScriptedModel(), tool_results=results("a"), replaces="0")


@in_virtual_time
async def test_the_same_results_again_are_the_same_turn_however_old() -> None:
    app, model, never = Instance(history_messages=2), ScriptedModel(), ScriptedModel()
    await turn(app, "1", calling("a"))
    model.say("warm")
    running = await app.listen(model, "", turn_id="2", tool_results=results("a"))
    joined = await app.listen(never, "", turn_id="2", tool_results=results("a"))
    elsewhere = Instance(app.rows, history_messages=2)
    followed = await elsewhere.listen(never, "", turn_id="2", tool_results=results("a"))
    model.finish()
    ends = [await listener.ended() for listener in (running, joined, followed)]
    assert [end.text for end in ends] == ["warm"] * 3
    for number in range(3, 6):
        replayed = await turn(app, "2", never, tool_results=results("a"))
        assert replayed.end.text == "warm"
        with pytest.raises(TurnMismatch):
            await turn(app, "2", never, tool_results=results("a", content="other"))
        await turn(app, str(number), calling())
    assert never.requests == []


@in_virtual_time
async def test_results_cost_no_more_of_the_store_than_a_question() -> None:
    app = Instance()
    await turn(app, "1", calling("a"))
    app.store.calls.clear()
    await turn(app, "2", calling(), tool_results=results("a"))
    assert app.store.calls == ["read", "begin", "finish"]


@in_virtual_time
async def test_of_two_rivals_one_is_busy() -> None:
    app = Instance()
    other = Instance(app.rows)
    await turn(app, "1", calling("a"))
    models = [ScriptedModel(), ScriptedModel()]
    for model in models:
        model.say("x")
    outcomes = await asyncio.gather(
        app.listen(models[0], "", turn_id="2", tool_results=results("a")),
        other.listen(models[1], "", turn_id="3", tool_results=results("a")),
        return_exceptions=True,
    )
    [loser] = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Listener)]
    assert isinstance(loser, ConversationBusy)
    [asked] = [model for model in models if model.requests]
    asked.finish()
    await winner.ended()
    assert "it ended without any" in await refused(app, "a")


@in_virtual_time
async def test_results_that_the_model_refused_may_be_sent_again() -> None:
    app, model = Instance(), calling()
    await turn(app, "1", calling("a"))
    refusing = ScriptedModel(refusal=ModelUnavailable("The model is away."))
    with pytest.raises(ModelUnavailable):
        await turn(app, "2", refusing, tool_results=results("a"))
    await turn(app, "2", model, tool_results=results("a"))
    assert sent(model)[-1] == ("tool", ("a", "18°"))


@in_virtual_time
async def test_text_beside_calls_is_sent_with_them() -> None:
    app, first, model = Instance(), ScriptedModel(), calling()
    first.say("Let me look.", ToolCall(0, "a", "find", '{"what":"tea"}'))
    first.say(Finish("tool_calls", USAGE))
    first.end()
    await turn(app, "1", first)
    await turn(app, "2", model, tool_results=results("a"))
    assert model.requests[0].messages[2] == {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "find", "arguments": '{"what":"tea"}'},
            }
        ],
    }
