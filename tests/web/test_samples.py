"""Every sample of docs/client.md and of the package's README runs, against the real backend."""

import re
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import PACKAGE, ROOT, Stack
from tests.web.samples import Running, Sample, running_sample, samples
from tests.web.tsc import compile_to_javascript

SAMPLES = {sample.name: sample for sample in samples(ROOT / "docs" / "client.md")}
ADDRESSES = ("http://127.0.0.1:4280/api", "https://APP.azurewebsites.net/api")
SAY = {"kind": "say", "text": "one two three"}
HOLD = {"kind": "hold", "after": 1}

type RunSample = Callable[..., AbstractAsyncContextManager[Running]]
"""`async with run_sample("Heading 1", kept={…})`: the sample of that name, while it runs."""


@pytest.fixture
def conversation() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def run_sample(project: Path, stack: Stack, conversation: str) -> RunSample:
    def run(name: str, **given: Any) -> AbstractAsyncContextManager[Running]:
        sample = SAMPLES[name]
        assert sample.kind == "js"
        given = {"url": stack.url, "conversationId": conversation, **given}
        return running_sample(at(stack, sample), project, given)

    return run


def at(stack: Stack, sample: Sample) -> str:
    """The sample's code with its addresses replaced by the stack's."""
    code = sample.code
    for address in ADDRESSES:
        code = code.replace(address, stack.url)
    assert set(re.findall(r"https?://[^\"]+", code)) <= {stack.url}
    return code


async def ended(run_sample: RunSample, name: str, **given: Any) -> Running:
    """The sample of that name, run to its end."""
    async with run_sample(name, **given) as sample:
        await sample.end()
    return sample


async def test_install(run_sample: RunSample) -> None:
    assert (await ended(run_sample, "Install 1")).shown == ["default"]


async def test_a_turn(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY)
    assert "".join((await ended(run_sample, "Run a turn 1")).shown) == "one two three"


async def test_tools(run_sample: RunSample, stack: Stack) -> None:
    call = {"kind": "tool", "name": "weather", "arguments": '{"city": "Rome"}'}
    await stack.model.script(call, call)
    await stack.model.script(SAY)
    assert "".join((await ended(run_sample, "Tools 1")).shown) == "one two three"
    [_, asked] = await stack.model.requests()
    assert [m["role"] for m in asked.body["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert asked.body["messages"][-1]["content"] == "18 °C, sunny"


async def test_attaching_to_the_turn_that_runs(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY, HOLD)
    async with run_sample("Run a turn 1") as before:
        await before.until("one")
    async with run_sample("Attach and resume 1") as after:
        await after.until("one")
        await stack.model.release()
        await after.end()
    assert "".join(after.shown) == "one two three"
    assert (await ended(run_sample, "Attach and resume 1")).shown == []


async def test_resuming_after_a_reload(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY, HOLD)
    async with run_sample("Attach and resume 2") as before:
        await before.until("one")
    async with run_sample("Attach and resume 3", kept=before.kept) as after:
        await after.until("one")
        await stack.model.release()
        await after.end()
    assert after.shown[0].strip() == "one"
    assert "".join(after.shown) == "one two three"
    assert after.kept == {}
    assert len(await stack.model.requests()) == 1


async def test_nothing_to_resume(run_sample: RunSample) -> None:
    assert (await ended(run_sample, "Attach and resume 2")).kept == {}
    assert (await ended(run_sample, "Attach and resume 3")).shown == []


async def test_stopping(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY, HOLD)
    assert (await ended(run_sample, "Stop, or only leave 1")).shown == ["cancelled"]


async def test_leaving(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY, HOLD)
    assert "".join((await ended(run_sample, "Stop, or only leave 2")).shown).strip() == "one"
    await stack.model.wait_for(state="held")


async def test_without_a_history(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY)
    assert (await ended(run_sample, "Without a history 1")).shown == ["one two three"]


async def test_conversations(run_sample: RunSample, stack: Stack, conversation: str) -> None:
    await stack.model.script(SAY)
    await ended(run_sample, "Run a turn 1")
    listed = await ended(run_sample, "Conversations 1")
    assert any(line.startswith("What is a position?, 20") for line in listed.shown)
    read = await ended(run_sample, "Conversations 2")
    assert read.shown[:2] == ["user: What is a position?", "assistant: one two three"]
    assert re.fullmatch(r"Rome: \d{3} bytes of JSON", read.shown[2])
    again = await ended(run_sample, "Conversations 1")
    assert len(again.shown) == len(listed.shown) - 1


async def test_errors(run_sample: RunSample) -> None:
    code, field = (await ended(run_sample, "Errors 1")).shown
    assert code == "invalid_request"
    assert field.startswith("userPrompt: ")


async def test_sign_in(run_sample: RunSample) -> None:
    assert (await ended(run_sample, "Sign-in 1")).shown == ["default"]


async def test_reconnecting(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY)
    assert "".join((await ended(run_sample, "Reconnecting 1")).shown) == "one two three"


async def test_node(run_sample: RunSample, stack: Stack) -> None:
    await stack.model.script(SAY)
    assert (await ended(run_sample, "Node.js 1")).printed == "one two three"


async def test_typescript(project: Path, stack: Stack) -> None:
    await stack.model.script(SAY)
    code = await compile_to_javascript(at(stack, SAMPLES["TypeScript 1"]), project)
    async with running_sample(code, project, {"url": stack.url}) as sample:
        await sample.end()
    assert sample.printed == "stop\n"


async def test_the_packages_own_sample(project: Path, stack: Stack) -> None:
    [sample] = samples(PACKAGE / "README.md")
    await stack.model.script(SAY)
    async with running_sample(at(stack, sample), project, {"url": stack.url}) as running:
        await running.end()
    assert re.fullmatch(r"Conversation \w+\none.*three\nEnded: stop\n", running.printed, re.S)


def test_every_sample_has_its_test() -> None:
    tested = Path(__file__).read_text("utf-8")
    assert [name for name in SAMPLES if f'"{name}"' not in tested] == []
