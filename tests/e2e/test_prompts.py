"""What the model is sent."""

import json
from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import Api

ASSISTANT = "You are a helpful AI assistant."
PARTIAL = "interrupted"


async def sent(model: Simulator) -> Any:
    """The body of the last request that the model was sent."""
    return (await model.requests())[-1].body


async def test_system_prompt_and_question(api: Api, model: Simulator) -> None:
    reply = await api.chat("[simulate: echo] Hello")
    body = await sent(model)
    messages = [
        {"role": "system", "content": ASSISTANT},
        {"role": "user", "content": "[simulate: echo] Hello"},
    ]
    assert body["messages"] == messages
    assert json.loads(reply.answer) == messages
    assert (body["model"], body["stream"], body["temperature"]) == ("chat", True, 0.7)
    assert body["stream_options"] == {"include_usage": True}
    assert set(body) == {"model", "messages", "stream", "stream_options", "temperature"}


async def test_the_window_is_in_order_and_as_it_was_asked(
    api: Api, model: Simulator, conversation: str
) -> None:
    said = ["[simulate: say text=a]", "[simulate: say text=b]", "[simulate: say text=c]"]
    for prompt in said:
        await api.chat(prompt, conversationId=conversation, context="not in the history")
    messages = (await sent(model))["messages"]
    assert messages[1:-1] == [
        {"role": "user", "content": said[0]},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": said[1]},
        {"role": "assistant", "content": "b"},
    ]


async def test_a_partial_answer_is_marked(api: Api, model: Simulator, conversation: str) -> None:
    for fault in ("length after=1", "end after=1", "error after=1"):
        await api.chat(
            f'[simulate: say text="half of it"] [simulate: {fault}]', conversationId=conversation
        )
    await api.chat("next", conversationId=conversation)
    answers = [m["content"] for m in (await sent(model))["messages"] if m["role"] == "assistant"]
    assert len(answers) == 3
    assert all(text.startswith("half") and PARTIAL in text for text in answers)


async def test_filtered_and_empty_turns_are_left_out(
    api: Api, model: Simulator, conversation: str
) -> None:
    faults = ("filtered_output after=1", "end] [simulate: reasoning text=hm")
    for fault in faults:
        await api.chat(f"[simulate: say text=bad] [simulate: {fault}]", conversationId=conversation)
    await api.chat("[simulate: say text=good]", conversationId=conversation)
    await api.chat("next", conversationId=conversation)
    messages = (await sent(model))["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "good"
    assert len(await api.messages(conversation)) == 8


async def test_the_window_is_bounded_by_messages(
    api: Api, model: Simulator, conversation: str
) -> None:
    for number in range(21):
        await api.chat(f'[simulate: say text="{number}"]', conversationId=conversation)
    await api.chat("next", conversationId=conversation)
    messages = (await sent(model))["messages"]
    assert len(messages) == 42
    assert messages[2]["content"] == "1"
    assert messages[-2]["content"] == "20"


async def test_given_history_stands_for_the_stored_one(
    api: Api, model: Simulator, conversation: str
) -> None:
    await api.chat("[simulate: say text=stored]", conversationId=conversation)
    history = [
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "@@userPrompt"},
    ]
    await api.chat("next", conversationId=conversation, history=history)
    assert (await sent(model))["messages"][1:-1] == history
    await api.chat("last", conversationId=conversation, history=[])
    assert len((await sent(model))["messages"]) == 2
    assert len(await api.messages(conversation)) == 6


async def test_context_as_text(api: Api, model: Simulator) -> None:
    await api.chat("Why?", context="Ground @@userPrompt\n\ntruth")
    content = (await sent(model))["messages"][-1]["content"]
    assert content == "Context:\nGround @@userPrompt\n\ntruth\n\nWhy?"


async def test_context_as_documents(api: Api, model: Simulator) -> None:
    context = [
        {"content": "one @@context", "title": "First @@userPrompt", "id": "1"},
        {"content": "two\nlines"},
    ]
    await api.chat("Why @@context?", context=context)
    content = (await sent(model))["messages"][-1]["content"]
    assert content == (
        "Context:\n[1] First @@userPrompt\none @@context\n\n[2]\ntwo\nlines\n\nWhy @@context?"
    )


@pytest.mark.parametrize("context", ["", []])
async def test_empty_context_is_none(api: Api, model: Simulator, context: object) -> None:
    reply = await api.chat("Why?", context=context)
    assert (await sent(model))["messages"][-1]["content"] == "Why?"
    assert [e["type"] for e in reply.events if e["type"] != "delta"] == ["start", "end"]


async def test_templates_are_filled_in_one_pass(alice: Api, model: Simulator) -> None:
    template = "<@@context|@@userPrompt|@@userPrompt|@@user>"
    await alice.chat("P @@context", promptTemplate=template, context="C @@userPrompt")
    content = (await sent(model))["messages"][-1]["content"]
    assert content == "<C @@userPrompt|P @@context|P @@context|@@user>"
    await alice.chat("P", promptTemplate=template)
    assert (await sent(model))["messages"][-1]["content"] == "<|P|P|@@user>"


@pytest.mark.parametrize(
    ("template", "context"), [("no marker", None), ("@@context", "c"), ("@@userPrompt", "c")]
)
async def test_templates_that_would_lose_something(
    alice: Api, model: Simulator, template: str, context: str | None
) -> None:
    reply = await alice.chat("P", promptTemplate=template, context=context)
    reply.problem(400, "invalid_request", "promptTemplate")
    assert await model.requests() == []


async def test_what_is_stored_is_the_prompt_as_it_came(alice: Api, conversation: str) -> None:
    await alice.chat(
        " [simulate: say text=x] P\n",
        promptTemplate="T @@userPrompt @@context",
        context="secret",
        systemPrompt="S",
        conversationId=conversation,
    )
    stored = await alice.messages(conversation)
    assert stored == [("user", " [simulate: say text=x] P\n"), ("assistant", "x")]
    export = await alice.call("GET", f"/conversations/{conversation}/export")
    assert "secret" not in export.text


async def test_system_prompt_of_the_caller(alice: Api, model: Simulator) -> None:
    await alice.chat("P", systemPrompt="Be brief @@userPrompt.")
    assert (await sent(model))["messages"][0]["content"] == "Be brief @@userPrompt."


async def test_options_pass(alice: Api, model: Simulator) -> None:
    options = {
        "top_p": 0.5,
        "stop": ["END"],
        "seed": 7,
        "presence_penalty": 1,
        "frequency_penalty": -1.5,
        "response_format": {"type": "text"},
        "tool_choice": None,
    }
    reply = await alice.chat("P", options=options, temperature=0, maxCompletionTokens=99)
    assert reply.status == 200, reply.text
    body = await sent(model)
    del options["tool_choice"]
    assert {name: body[name] for name in options} == options
    assert (body["temperature"], body["max_completion_tokens"]) == (0, 99)
    assert "max_tokens" not in body


async def test_random_seed_is_the_seed(alice: Api, model: Simulator) -> None:
    await alice.chat("P", options={"random_seed": 3})
    body = await sent(model)
    assert body["seed"] == 3
    assert "random_seed" not in body


async def test_a_deployment_by_either_name(alice: Api, model: Simulator) -> None:
    await alice.chat("P", deploymentName="small")
    assert (await sent(model))["model"] == "small"
    reply = await alice.chat("P", model="small", deploymentName="small")
    assert reply.events[0]["model"] == "small"
    both = await alice.chat("P", model="small", deploymentName="chat")
    both.problem(400, "invalid_request", "deploymentName")
