"""docs/ai-chat.md and docs/ui-chat.md: every sample runs as it stands, but for the address."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.simulator import Simulator
from tests.clients.node_scripts import run_program, run_script
from tests.web.samples import samples

DOCS = Path(__file__).resolve().parents[2] / "docs"
ADDRESS = "http://127.0.0.1:4280/api"
SAMPLES = {
    sample.name: sample.code
    for page in ("ai-chat.md", "ui-chat.md")
    for sample in samples(DOCS / page)
}
SAID = {
    "A completion 1": "one two three\n",
    "A streamed conversation 1": "one two threeone two three",
    "Without a framework 1": "one two three\n",
    "Plain text 1": "one two three\n",
}
SHOW = """
const found = await load(given.base, given.id);
process.stdout.write(JSON.stringify({ found, made: toUiMessages(given.items) }));
"""


def code_of(name: str, backend: str) -> str:
    return SAMPLES[name].replace(ADDRESS, backend)


@pytest.mark.parametrize("name", SAID)
async def test_a_sample(backend: str, model: Simulator, name: str) -> None:
    assert ADDRESS in SAMPLES[name]
    for _ in range(2):
        await model.script({"kind": "say", "text": "one two three"})
    assert await run_program(code_of(name, backend)) == SAID[name]


async def test_the_sample_that_stops(backend: str, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "one two three"}, {"kind": "hold", "after": 1})
    printed = await run_program(code_of("Resume and stop 1", backend))
    assert printed == "cancelled\n"


async def test_the_last_message_alone(backend: str, conversation: str, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "one two three"})
    code = SAMPLES["What is sent 1"].replace('"/api/ui-chat"', json.dumps(f"{backend}/ui-chat"))
    code += f"""
    const messages = ["q1", "q2"].map((id) =>
      ({{ id, role: "user", parts: [{{ type: "text", text: id }}] }}));
    const chatId = {json.dumps(conversation)};
    const sent = await transport.sendMessages({{ chatId, messages, trigger: "submit-message" }});
    for await (const part of sent) if (part.type === "start") console.log(part.messageId);
    """
    assert await run_program(code) == "q2-answer\n"


async def test_a_conversation_on_load(backend: str, conversation: str, model: Simulator) -> None:
    chat = await run_script(
        "ui_chat",
        "send",
        {"url": backend, "id": conversation, "prompts": ['[simulate: say text="Hi"] a', "b"]},
    )
    items = [
        answer("t2", "It is sunny."),
        {"role": "tool", "turnId": "t2", "toolCallId": "call", "content": '{"sky":"blue"}'},
        answer(
            "t1",
            "",
            reasoning="Hm",
            toolCalls=[{"id": "call", "name": "weather", "arguments": '{"city":"Rome"}'}],
        ),
        {"role": "user", "turnId": "t1", "content": "Weather?"},
    ]
    given = {"base": backend, "id": conversation, "items": items}
    code = SAMPLES["A conversation on load 1"]
    program = f"{code}\nconst given = {json.dumps(given)};\n{SHOW}"
    result = json.loads(await run_program(program))
    keep = ("id", "role", "parts")
    assert [{name: message[name] for name in keep} for message in result["found"]] == [
        {name: message[name] for name in keep} for message in chat["messages"]
    ]
    [question, made] = result["made"]
    assert question["id"] == "t1"
    assert made["id"] == "t1-answer"
    assert made["parts"] == [
        {"type": "step-start"},
        {"type": "reasoning", "text": "Hm"},
        {
            "type": "tool-weather",
            "toolCallId": "call",
            "state": "output-available",
            "input": {"city": "Rome"},
            "output": {"sky": "blue"},
        },
        {"type": "step-start"},
        {"type": "text", "text": "It is sunny.", "state": "done"},
    ]


def answer(turn: str, content: str, **more: Any) -> dict[str, Any]:
    ended = {"state": "ended", "finishReason": "stop"}
    return {"role": "assistant", "turnId": turn, "content": content} | ended | more


def test_every_sample_has_its_test() -> None:
    tested = Path(__file__).read_text("utf-8")
    assert [name for name in SAMPLES if f'"{name}"' not in tested] == []
