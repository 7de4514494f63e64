"""Where a connection fails before its first event, the next one is asked: who, and how often.

Every test has a chain of connections of its own, as a model that said 429 is left alone for long.
"""

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.ports import free_ports
from local.simulator import Simulator, running_simulator
from local.simulator.behaviour import Behaviour, Say, StatusCode
from tests.e2e.client import JSON, TEXT, Api, Event, Reply
from tests.e2e.conftest import StartApi

KEY = "the-key"
CHAINS = 48
SAY = '[simulate: say text="one two three"]'
FIELDS = "connection model options"


@dataclass(frozen=True)
class Chain:
    """Three connections, each the fallback of the one before, and the deployments behind them."""

    simulator: Simulator
    number: int

    @property
    def name(self) -> str:
        """The first connection's."""
        return f"A{self.number}"

    @property
    def models(self) -> list[str]:
        return [f"{letter}-{self.number}" for letter in "abc"]

    async def script(
        self, which: int, *behaviours: Behaviour | dict[str, Any], times: int | None = 1
    ) -> None:
        """What the model of that place in the chain does next."""
        await self.simulator.script(*behaviours, times=times, deployment=self.models[which])

    async def asked(self) -> list[tuple[str, str | None]]:
        """Which of the three was asked, in order, and how that ended."""
        return [
            ("abc"[self.models.index(record.deployment)], record.outcome)
            for record in await self.simulator.requests()
            if record.deployment in self.models
        ]


def settings_of(simulator: Simulator) -> dict[str, str]:
    names, settings = [], {}
    for number, (place, after) in itertools.product(range(CHAINS), (("A", "B"), ("B", "C"), "C ")):
        name = f"{place}{number}"
        names.append(name)
        settings[f"{name}__endpoint"] = simulator.url
        settings[f"{name}__apiKey"] = KEY
        settings[f"{name}__model"] = f"{place.lower()}-{number}"
        if after != " ":
            settings[f"{name}__fallback"] = f"{after}{number}"
    return settings | {"CHAT_CONNECTIONS": " ".join(names), "CHAT_CALLER_FIELDS": FIELDS}


@pytest.fixture(scope="module")
async def chained() -> AsyncIterator[Simulator]:
    names = [f"{letter}-{number}" for letter in "abc" for number in range(CHAINS)]
    # Those of the last chain's fallbacks think, and refuse what such models do.
    kinds = dict.fromkeys(names, "chat") | {f"b-{CHAINS - 1}": "reasoning"}
    async with running_simulator(deployments=kinds, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
async def caller(start_api: StartApi, chained: Simulator) -> AsyncIterator[Api]:
    async with start_api(**settings_of(chained)) as api:
        yield api


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return iter(range(CHAINS - 1))


@pytest.fixture
def chain(chained: Simulator, numbers: Iterator[int]) -> Chain:
    """One that nobody has used."""
    return Chain(chained, next(numbers))


async def ask(api: Api, chain: Chain, prompt: str = SAY, *form: str, **fields: Any) -> Reply:
    return await api.chat(prompt, *form, connection=chain.name, **fields)


def start_of(reply: Reply) -> Event:
    assert reply.status == 200, reply.text
    return reply.events[0]


FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"kind": "status", "code": 429}, "status 429"),
    ({"kind": "status", "code": 429, "retry_after": 30}, "status 429"),
    ({"kind": "status", "code": 408}, "status 408"),
    ({"kind": "status", "code": 500}, "status 500"),
    ({"kind": "status", "code": 503, "retry_after": 60}, "status 503"),
    ({"kind": "status", "code": 504}, "status 504"),
    ({"kind": "html", "code": 502}, "html 502"),
    ({"kind": "html", "code": 200}, "html 200"),
    ({"kind": "error"}, "error"),
    ({"kind": "error", "code": "rate_limit_exceeded"}, "error"),
    ({"kind": "cut"}, "cut"),
    ({"kind": "cut", "reset": True}, "cut"),
    ({"kind": "junk"}, "stop"),
]


@pytest.mark.parametrize(("failure", "outcome"), FAILURES)
async def test_the_next_one_answers_and_the_start_says_so(
    caller: Api, chain: Chain, conversation: str, failure: dict[str, Any], outcome: str
) -> None:
    await chain.script(0, failure)
    fields = {"conversationId": conversation, "turnId": "t"}
    reply = await ask(caller, chain, **fields)
    assert start_of(reply)["model"] == chain.models[1]
    assert reply.answer == "one two three"
    assert reply.end["finishReason"] == "stop"
    asked = await chain.asked()
    assert [who for who, _ in asked] == ["a", "b"]
    assert asked[1][1] == "stop"
    assert asked[0][1] in (outcome, "aborted")
    # It is remembered: a repeated request, whoever attaches, and the next turn's window.
    again = await ask(caller, chain, **fields)
    assert (again.events[0], again.end) == (reply.events[0], reply.end)
    path = f"/conversations/{conversation}/turns/t/stream"
    attached = await caller.call("GET", path, accept="text/event-stream")
    assert attached.events[0]["model"] == chain.models[1]
    assert len(await chain.asked()) == 2


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ({"kind": "status", "code": 400}, 502, "model_refused"),
        ({"kind": "status", "code": 401}, 502, "model_refused"),
        ({"kind": "status", "code": 403}, 502, "model_refused"),
        ({"kind": "status", "code": 404}, 502, "model_refused"),
        ({"kind": "filtered_prompt"}, 400, "content_filtered"),
    ],
)
async def test_what_is_refused_is_not_tried_elsewhere(
    caller: Api, chain: Chain, refusal: dict[str, Any], status: int, code: str
) -> None:
    await chain.script(0, refusal)
    (await ask(caller, chain)).problem(status, code)
    assert [who for who, _ in await chain.asked()] == ["a"]


async def test_a_fallback_that_is_set_up_wrongly_is_told(caller: Api, chain: Chain) -> None:
    await chain.script(0, StatusCode(code=500))
    await chain.script(1, StatusCode(code=401))
    problem = (await ask(caller, chain)).problem(502, "model_refused")
    assert f"B{chain.number}__apiKey" in problem["detail"]
    assert [who for who, _ in await chain.asked()] == ["a", "b"]


async def test_a_chain_is_gone_through_to_its_end(caller: Api, chain: Chain) -> None:
    await chain.script(0, StatusCode(code=429))
    await chain.script(1, StatusCode(code=503))
    reply = await ask(caller, chain)
    assert start_of(reply)["model"] == chain.models[2]
    assert [who for who, _ in await chain.asked()] == ["a", "b", "c"]


async def test_after_the_first_event_nobody_else_is_asked(caller: Api, chain: Chain) -> None:
    await chain.script(0, {"kind": "error", "after": 1})
    await chain.script(0, {"kind": "cut", "after": 1})
    reply = await ask(caller, chain)
    assert start_of(reply)["model"] == chain.models[0]
    assert (reply.answer, reply.end["finishReason"]) == ("one", "error")
    broken = await ask(caller, chain)
    assert (broken.answer, broken.end["finishReason"]) == ("one", "incomplete")
    assert [who for who, _ in await chain.asked()] == ["a", "a"]


async def test_one_that_said_429_is_left_alone_until_then(caller: Api, chain: Chain) -> None:
    await chain.script(0, StatusCode(code=429, retry_after=60))
    for _ in range(3):
        assert start_of(await ask(caller, chain))["model"] == chain.models[1]
    assert [who for who, _ in await chain.asked()] == ["a", "b", "b", "b"]
    # Another model of the connection is another deployment.
    assert start_of(await ask(caller, chain, model="chat"))["model"] == "chat"


async def test_it_is_asked_first_again_once_it_is_free(caller: Api, chain: Chain) -> None:
    await chain.script(0, StatusCode(code=429, retry_after_ms=1))
    assert start_of(await ask(caller, chain))["model"] == chain.models[1]
    assert start_of(await ask(caller, chain))["model"] == chain.models[0]


async def test_one_that_does_not_say_how_long_is_asked_first_by_the_next_turn(
    caller: Api, chain: Chain
) -> None:
    await chain.simulator.script(
        {"kind": "error", "code": "rate_limit_exceeded"}, deployment=chain.models[0]
    )
    assert start_of(await ask(caller, chain))["model"] == chain.models[1]
    assert start_of(await ask(caller, chain))["model"] == chain.models[0]


async def test_where_all_rest_the_one_that_is_free_soonest_is_told(
    caller: Api, chain: Chain
) -> None:
    for which, seconds in enumerate((90, 30, 60)):
        await chain.script(which, StatusCode(code=429, retry_after=seconds))
    first = await ask(caller, chain)
    first.problem(429, "rate_limited")
    assert 25 <= int(first.headers["retry-after"]) <= 30
    second = await ask(caller, chain)
    second.problem(429, "rate_limited")
    assert 25 <= int(second.headers["retry-after"]) <= 30
    assert [who for who, _ in await chain.asked()] == ["a", "b", "c"]


async def test_one_that_is_free_within_the_budget_is_waited_for(caller: Api, chain: Chain) -> None:
    for which, milliseconds in enumerate((60_000, 300, 60_000)):
        await chain.script(which, StatusCode(code=429, retry_after_ms=milliseconds))
    assert start_of(await ask(caller, chain))["model"] == chain.models[1]
    assert [who for who, _ in await chain.asked()] == ["a", "b", "c", "b"]


async def test_where_all_fail_they_are_asked_again_and_the_first_may_answer(
    caller: Api, chain: Chain
) -> None:
    for which in range(3):
        await chain.script(which, StatusCode(code=503))
    reply = await ask(caller, chain)
    asked = [who for who, _ in await chain.asked()]
    assert asked[:3] == ["a", "b", "c"]
    assert len(asked) == 4
    assert start_of(reply)["model"] == f"{asked[3]}-{chain.number}"


@pytest.mark.parametrize("store", [True, False])
async def test_a_failure_of_all_is_told_within_five_seconds(
    caller: Api, chain: Chain, store: bool, conversation: str
) -> None:
    for which in range(3):
        await chain.script(which, StatusCode(code=503), times=None)
    fields = {"conversationId": conversation} if store else {"store": False}
    began = time.monotonic()
    (await ask(caller, chain, **fields)).problem(503, "model_unavailable")
    assert time.monotonic() - began < 5
    asked = [who for who, _ in await chain.asked()]
    assert asked[:3] == ["a", "b", "c"]
    assert all(2 <= asked.count(who) <= 10 for who in "abc")
    if store:
        (await caller.call("GET", f"/conversations/{conversation}")).problem(404, "not_found")


async def test_one_that_sends_nothing_yet_is_waited_for(caller: Api, chain: Chain) -> None:
    """A model that thinks may send no headers: it is paid for, whoever is asked besides."""
    await chain.script(0, {"kind": "hold", "before": True}, Say("At last."))
    async with caller.chatting("P", connection=chain.name) as stream:
        start = await stream.until(lambda event: event["type"] == "start")  # after 5 s
        assert start["model"] == chain.models[0]
        await chain.simulator.release()
        await stream.until_text("At last.")
        await stream.rest()
    assert await chain.asked() == [("a", "stop")]


async def test_one_that_is_silent_for_longer_than_a_model_may(
    start_api: StartApi, chained: Simulator, chain: Chain
) -> None:
    settings = settings_of(chained) | {"CHAT_MODEL_TIMEOUT_SECONDS": "1"}
    await chain.script(0, {"kind": "stall"})
    await chain.script(1, {"kind": "stall", "before": True})
    async with start_api(**settings) as api:
        reply = await ask(api, chain)
        assert start_of(reply)["model"] == chain.models[2]
        for which in range(3):
            await chain.script(which, {"kind": "stall"})
        (await ask(api, chain)).problem(504, "model_timeout")
    assert [who for who, _ in await chain.asked()] == ["a", "b", "c"] * 2


async def test_one_that_thinks_for_long_is_waited_for(caller: Api, chain: Chain) -> None:
    await chain.script(0, {"kind": "hold"}, Say("At last."))
    async with caller.chatting("P", connection=chain.name) as stream:
        start = await stream.until(lambda event: event["type"] == "start")
        assert start["model"] == chain.models[0]
        await chain.simulator.release()
        await stream.until_text("At last.")
        await stream.rest()
    assert await chain.asked() == [("a", "stop")]


async def test_a_response_that_begins_before_the_answer_says_who_is_asked(
    caller: Api, chain: Chain
) -> None:
    await chain.script(0, StatusCode(code=503))
    await chain.script(1, {"kind": "hold"}, Say("At last."))
    async with caller.chatting("P", connection=chain.name) as stream:
        start = await stream.until(lambda event: event["type"] == "start")
        assert start["model"] == chain.models[1]
        await chain.simulator.release()
        await stream.until_text("At last.")
        await stream.rest()


async def test_a_connection_that_nobody_answers(start_api: StartApi, chained: Simulator) -> None:
    nobody = f"http://127.0.0.1:{next(free_ports())}"
    settings = {
        "AZURE_OPENAI_ENDPOINT": nobody,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "gone",
        "AZURE_OPENAI__fallback": "OTHER",
        "CHAT_CONNECTIONS": "OTHER",
        "OTHER__kind": "openai",
        "OTHER__endpoint": chained.openai_url,
        "OTHER__apiKey": KEY,
        "OTHER__model": "gpt-4o-mini",
    }
    async with start_api(**settings) as api:
        reply = await api.chat(SAY)
        assert start_of(reply)["model"] == "gpt-4o-mini"
        assert reply.answer == "one two three"
        whole = (await api.chat(SAY, JSON, store=False)).json()
        assert whole["response"] == "one two three"
        assert (await api.chat(SAY, TEXT)).text == "one two three"


async def test_without_a_history_too(caller: Api, chain: Chain) -> None:
    await chain.script(0, StatusCode(code=429, retry_after=60))
    reply = await ask(caller, chain, store=False)
    assert start_of(reply)["model"] == chain.models[1]
    assert reply.answer == "one two three"
    assert [who for who, _ in await chain.asked()] == ["a", "b"]


async def test_a_fallback_is_asked_for_its_own_model(caller: Api, chain: Chain) -> None:
    await chain.simulator.script(StatusCode(code=500), deployment="chat")
    reply = await ask(caller, chain, model="chat")
    assert start_of(reply)["model"] == chain.models[1]


async def test_what_a_fallback_does_not_take(caller: Api, chained: Simulator) -> None:
    """The app's own temperature is left out there; a caller's field makes it one that is not asked.

    By then it has been asked once, as only its answer tells.
    """
    thinks = Chain(chained, CHAINS - 1)
    await thinks.script(0, StatusCode(code=503))
    reply = await ask(caller, thinks)
    assert start_of(reply)["model"] == thinks.models[1]
    assert [who for who, _ in await thinks.asked()] == ["a", "b", "b"]
    await thinks.script(0, StatusCode(code=503))
    reply = await ask(caller, thinks, options={"top_p": 0.5})
    assert start_of(reply)["model"] == thinks.models[2]
    assert [who for who, _ in await thinks.asked()][3:] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"AZURE_OPENAI__fallback": "NOWHERE"}, "AZURE_OPENAI__fallback"),
        ({"OTHER__fallback": "AZURE_OPENAI", "AZURE_OPENAI__fallback": "OTHER"}, "OTHER__fallback"),
        ({"AZURE_OPENAI__fallback": "AZURE_OPENAI"}, "AZURE_OPENAI__fallback"),
        ({"AZURE_OPENAI__fallback": "OTHER", "OTHER__model": ""}, "OTHER__model"),
    ],
)
async def test_a_wrong_fallback_is_told_by_its_setting(
    start_api: StartApi, chained: Simulator, wrong: dict[str, str], named: str
) -> None:
    other = {
        "CHAT_CONNECTIONS": "OTHER",
        "OTHER__endpoint": chained.url,
        "OTHER__apiKey": KEY,
        "OTHER__model": "chat",
    }
    async with start_api(**other | wrong) as api:
        problem = (await api.chat(SAY)).problem(500, "misconfigured")
        ready = await api.call("GET", "/health?probe=ready")
    assert named in problem["detail"]
    assert ready.status == 503
    assert named in ready.text


async def test_a_fallback_of_another_kind(start_api: StartApi, chained: Simulator) -> None:
    settings = {
        "AZURE_OPENAI_ENDPOINT": chained.url,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
        "AZURE_OPENAI_API_KEY": KEY,
        "AZURE_OPENAI__fallback": "OTHER",
        "CHAT_CONNECTIONS": "OTHER",
        "CHAT_CALLER_FIELDS": "options",
        "OTHER__kind": "mistral",
        "OTHER__endpoint": f"{chained.url}/mistral/v1",
        "OTHER__apiKey": KEY,
        "OTHER__model": "magistral",
        "OTHER__fallback": "",
    }
    async with start_api(**settings) as api:
        await chained.script(StatusCode(code=503), deployment="chat", times=None)
        reply = await api.chat(SAY, options={"seed": 5})
        assert start_of(reply)["model"] == "magistral"
        assert reply.answer == "one two three"
        assert any(event["type"] == "reasoning" for event in reply.events)
        record = (await chained.requests())[-1]
        assert (record.body["random_seed"], record.body["temperature"]) == (5, 0.7)
        # What the first one does not take is refused, though its fallback would take it.
        refused = await api.chat(SAY, options={"prompt_mode": "reasoning"})
        refused.problem(400, "invalid_request", "options.prompt_mode")
        await chained.clear_script()
