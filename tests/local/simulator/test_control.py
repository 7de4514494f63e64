"""The control API: script, journal, waiting, release, reset; and the command."""

import asyncio
import ssl
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from local.certificates import make_certificate
from local.simulator import Simulator, SimulatorError, running_simulator
from local.simulator.behaviour import Cut, Say
from tests.local.simulator.support import AZURE_DATED, OPENAI, ask, body_of, opened, tell


async def texts(simulator: Simulator, *prompts: str) -> list[str]:
    return [(await tell(simulator, prompt)).text() for prompt in prompts]


async def test_script_is_used_once_and_in_order(simulator: Simulator) -> None:
    await simulator.script(Say("one"))
    await simulator.script({"kind": "say", "text": "two"}, times=2)
    found = await texts(simulator, "Hi", "Hi", "Hi", "[simulate: say text=own]")
    assert found == ["one", "two", "two", "own"]


async def test_script_goes_to_those_that_match(simulator: Simulator) -> None:
    await simulator.script(Say("tea"), contains="tea", times=None)
    await simulator.script(Say("other"), deployment="reasoning")
    assert await texts(simulator, "with tea", "[simulate: say text=x]", "no tea?") == [
        *("tea", "x", "tea"),
    ]
    assert (await tell(simulator, "Hi", model="reasoning")).text() == "other"


async def test_script_wins_over_directives(simulator: Simulator) -> None:
    await simulator.script(Say("a b c"), Cut(after=2))
    reply = await tell(simulator, '[simulate: say text="x y z"]')
    assert (reply.text(), reply.broken) == ("a b", True)


async def test_a_refused_request_uses_nothing_up(simulator: Simulator) -> None:
    await simulator.script(Say("mine"))
    assert (await tell(simulator, "Hi", model="reasoning", max_tokens=5)).status == 400
    assert (await tell(simulator, "Hi", model="reasoning")).text() == "mine"


async def test_the_journal_keeps_what_was_sent(simulator: Simulator) -> None:
    body = body_of("Grüße", temperature=0.2)
    headers = {"api-key": "hidden", "traceparent": "00-1", "user-agent": "me"}
    await ask(simulator, body, path=AZURE_DATED.format("chat"), headers=headers)
    await ask(simulator, b"{", path=OPENAI)
    first, second = await simulator.requests()
    assert (first.number, first.style, first.deployment) == (1, "azure-dated", "chat")
    assert (first.state, first.outcome, first.api_version) == ("finished", "stop", "2024-10-21")
    assert first.body == body
    assert first.authentication.kind == "key"
    assert (first.headers["traceparent"], first.headers["user-agent"]) == ("00-1", "me")
    assert "hidden" not in repr(first)
    assert (second.style, second.deployment, second.body) == ("openai", None, None)
    assert [record.number for record in await simulator.requests(after=1)] == [2]


async def test_the_journal_is_bounded(simulator: Simulator) -> None:
    for _ in range(205):
        await ask(simulator, b"{")
    records = await simulator.requests()
    assert [records[0].number, records[-1].number, len(records)] == [6, 205, 200]


async def test_waiting_that_is_in_vain(simulator: Simulator) -> None:
    with pytest.raises(TimeoutError, match="aborted"):
        await simulator.wait_for(state="aborted", timeout=0.01)


async def test_waiting_for_several(simulator: Simulator) -> None:
    waiting = asyncio.create_task(simulator.wait_for(state="finished", count=2, after=1))
    await tell(simulator, "Hi")
    await tell(simulator, "Hi")
    assert not waiting.done()
    await tell(simulator, "Hi")
    assert [record.number for record in await waiting] == [2, 3]


async def test_reset_forgets_and_releases(simulator: Simulator) -> None:
    await simulator.script(Say("never"))
    async with opened(
        simulator, body_of("[simulate: hold after=0]", model="reasoning")
    ) as response:
        await simulator.wait_for(state="held")
        await simulator.script(Say("never"))
        await simulator.reset()
        assert (await response.read()).endswith(b"[DONE]\n\n")
    assert await simulator.requests() == []
    assert "never" not in (await tell(simulator, "Hi")).text()
    [record] = await simulator.requests()
    assert record.number == 2


async def test_the_script_can_be_looked_at_and_forgotten_alone(simulator: Simulator) -> None:
    await simulator.script(Say("tea"), contains="tea", times=None)
    await simulator.script(Say("a b c"), Cut(after=2), contains="milk", times=2)
    await tell(simulator, "milk")
    first, second = await simulator.scripted()
    assert (first.behaviour, first.match.contains, first.times) == ((Say("tea"),), "tea", None)
    assert (second.behaviour, second.times) == ((Say("a b c"), Cut(after=2)), 1)
    async with opened(simulator, body_of("[simulate: hold after=0] water")) as response:
        await simulator.wait_for(state="held")
        await simulator.clear_script()
        assert await simulator.scripted() == []
        [held] = await simulator.requests(state="held")
        assert len(await simulator.requests()) == 2
        await simulator.release()
        await response.read()
    assert held.ended_at is None


async def test_the_journal_knows_when_requests_came_and_went(simulator: Simulator) -> None:
    before = time.time_ns() // 1_000_000
    await tell(simulator, '[simulate: say text="a b"] [simulate: reasoning text="I think"]')
    await tell(simulator, "[simulate: say text=x]", model="reasoning", stream=False)
    first, second = await simulator.requests(since=before)
    assert (first.chunks, first.reasoning_tokens) == (2, 2)
    assert second.reasoning_tokens == 64
    assert first.ended_at is not None
    assert before <= first.received_at <= first.ended_at <= second.received_at
    assert await simulator.requests(since=before + 3_600_000) == []


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("script", b'{"behaviour": {"kind": "cat"}}', "unknown kind 'cat'"),
        ("script", b'{"behaviour": {"kind": "cut", "n": 1}}', "unknown field `n`"),
        ("script", b'{"behavior": {}}', "behavior"),
        ("script", b'{"behaviour": {"kind": "echo"}, "times": 0}', ">= 1"),
        ("script", b"{", "Input data was truncated"),
        ("release", b'{"name": "x"}', "unknown field `name`"),
    ],
)
async def test_bad_control_requests(
    simulator: Simulator, path: str, body: bytes, message: str
) -> None:
    reply = await ask(simulator, body, path=f"/simulator/{path}")
    assert reply.status == 400
    assert message in reply.json()["error"]["message"]


async def test_bad_control_queries(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        for query in ("state=gone", "after=x", "count=-1"):
            url = f"{simulator.url}/simulator/requests/wait?{query}"
            async with session.get(url) as response:
                assert response.status == 400, query
                assert "must" in (await response.json())["error"]["message"]


async def test_the_script_is_bounded(simulator: Simulator) -> None:
    for _ in range(1000):
        await simulator.script(Say("x"))
    with pytest.raises(SimulatorError, match="reset it first"):
        await simulator.script(Say("x"))


async def test_a_closed_client_says_so() -> None:
    with pytest.raises(SimulatorError, match="async with"):
        await Simulator("http://127.0.0.1:1").requests()


async def test_deployments_by_name(documents: Path) -> None:
    async with running_simulator(
        deployments={"gpt-x": "chat", "chat": "reasoning"}, documents=documents
    ) as simulator:
        assert (await tell(simulator, "Hi", model="gpt-x", max_tokens=5)).status == 200
        assert (await tell(simulator, "Hi", model="chat", max_tokens=5)).status == 400


async def test_the_command_serves_over_tls(tmp_path: Path, documents: Path) -> None:
    certificate = make_certificate(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.simulator", "--token-ms", "0", "--first-token-ms", "0"),
        *("--cert", str(certificate.certificate), "--key", str(certificate.key)),
        *("--deployments", "mine=chat", "--documents", str(documents)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().strip()
        url = line.removeprefix("model simulator ready at ")
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=certificate.env()["SSL_CERT_FILE"])
        async with Simulator(url, certificate=certificate.certificate) as simulator:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
                session.post(
                    f"{url}/openai/v1/chat/completions",
                    json=body_of('[simulate: say text="Safe."]', model="mine"),
                    headers={"api-key": "k"},
                ) as response,
            ):
                assert b'"Safe"' in await response.read()
            assert (await simulator.requests())[0].outcome == "stop"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--deployments", "x=y"), "write name=kind"),
        (("--cert", "c.pem"), "--cert and --key belong together"),
        (("--token-ms", "-1"), "must be between 0 and 3600000"),
    ],
)
async def test_bad_arguments(arguments: tuple[str, ...], message: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.simulator", *arguments), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert message in errors.decode()


async def test_a_taken_port_is_said(simulator: Simulator) -> None:
    port = simulator.url.rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.simulator", "--port", port), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "model simulator: " in errors.decode()
    assert port in errors.decode()
