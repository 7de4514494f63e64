"""Azure's content filter in every form that it has, told with the categories that fired."""

import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, SSE, TEXT, Api

SAY = '[simulate: say text="one two three"]'


@pytest.mark.parametrize("category", ["violence", "jailbreak", "indirect_attack"])
async def test_a_prompt_that_is_refused(api: Api, model: Simulator, category: str) -> None:
    reply = await api.chat(f"[simulate: filtered_prompt category={category}]")
    problem = reply.problem(400, "content_filtered")
    assert f"({category})" in problem["detail"]
    assert len(await model.requests()) == 1


@pytest.mark.parametrize(
    ("directive", "said", "category"),
    [
        ("filtered_output after=1", "one", "violence"),
        ("filtered_output after=0 category=self_harm", "", "self_harm"),
        (
            "filtered_output after=2 category=protected_material_code",
            "one two",
            "protected_material_code",
        ),
        (
            "async_filter after=2 category=protected_material_text",
            "one two",
            "protected_material_text",
        ),
        ("async_filter late category=hate", "one two three", "hate"),
    ],
)
async def test_an_answer_that_is_stopped(
    api: Api, conversation: str, directive: str, said: str, category: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    prompt = f"{SAY} [simulate: {directive}]"
    reply = await api.chat(prompt, SSE, **fields)
    assert reply.answer == said
    assert reply.end["finishReason"] == "content_filter"
    assert reply.end["usage"]["estimated"] is False
    [error] = [event for event in reply.events if event["type"] == "error"]
    assert reply.events[-2] == error
    assert (error["code"], error["retryable"]) == ("content_filtered", False)
    assert f"({category})" in error["message"]
    whole = (await api.chat(prompt, JSON, **fields)).json()
    assert (whole["finishReason"], whole["response"]) == ("content_filter", said)
    assert whole["error"]["message"] == error["message"]
    # In text the last line says it, and nothing more.
    text = (await api.chat(prompt, TEXT, **fields)).text
    line = "ERROR: The content filter stopped the answer."
    assert text == (f"{said}\n{line}" if said else line)
    # The model is not told of it again.
    again = await api.chat("[simulate: echo]", conversationId=conversation)
    assert "one" not in again.answer


async def test_an_annotation_alone_stops_nothing(api: Api) -> None:
    reply = await api.chat(f"{SAY} [simulate: async_filter]")
    assert (reply.answer, reply.end["finishReason"]) == ("one two three", "stop")
    assert all(event["type"] != "error" for event in reply.events)


async def test_without_a_history_too(api: Api) -> None:
    prompt = f"{SAY} [simulate: async_filter after=1 category=sexual]"
    reply = await api.chat(prompt, store=False)
    assert reply.end["finishReason"] == "content_filter"
    assert "(sexual)" in reply.events[-2]["message"]
