"""Fail-over at the socket: silence, time, and whom nobody can reach."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest

from shared.errors import ContextLengthExceeded, InvalidRequest, ModelUnavailable, RateLimited
from shared.events import Answering, Delta, Finish, ModelEvent
from shared.messages import ModelRequest, ModelService
from shared.models.failover import FailOver, fitting
from shared.models.rests import Rests
from tests.models.support import HELLO, SSE, STOP, answer, asking, error, opened, serving

WELL = SSE + HELLO + STOP


@asynccontextmanager
async def chained(*urls: str, budget: float = 4.0, silence: float = 180) -> AsyncIterator[FailOver]:
    """The services at these addresses, each the fallback of the one before."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(opened(url, name=f"N{n}", model=f"model-{n}"))
            for n, url in enumerate(urls)
        ]
        yield FailOver(clients, silence=silence, budget=budget)


async def told(model: FailOver, request: ModelRequest | None = None) -> list[ModelEvent]:
    async with model.ask(request or asking()) as stream:
        return [event async for batch in stream for event in batch]


def second_of(url: str) -> Answering:
    """What is told where the second connection, at that address, answers."""
    port = int(url.rpartition(":")[2])
    return Answering("model-1", ModelService("azure.ai.openai", "127.0.0.1", port))


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address that takes no connection and refuses none: its queue is full."""
    with socket.socket() as bound, socket.socket() as first, socket.socket() as second:
        bound.bind(("127.0.0.1", 0))
        bound.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(bound.getsockname())
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def test_one_that_cannot_be_reached_in_time(nowhere: str) -> None:
    async with serving(WELL) as service, chained(nowhere, service.url, budget=0.4) as model:
        assert await told(model) == [second_of(service.url), Delta("Hello"), Finish("stop")]


async def test_where_none_can_be_reached_that_is_told_within_the_budget(nowhere: str) -> None:
    loop = asyncio.get_running_loop()
    async with chained(nowhere, nowhere, budget=0.4) as model:
        began = loop.time()
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            await told(model)
        assert loop.time() - began < 2


async def test_a_fallback_is_asked_as_its_connection_says() -> None:
    async with (
        serving(error(500)) as first,
        serving(WELL) as second,
        chained(first.url, second.url) as model,
    ):
        await told(model, asking(model="mine", chosen=frozenset({"model"})))
    assert [body["model"] for body in first.bodies] == ["mine"]
    assert [body["model"] for body in second.bodies] == ["model-1"]


async def test_what_a_fallback_cannot_read_counts_for_nothing() -> None:
    busy = error(429)
    short = error(400, code="context_length_exceeded")
    async with serving(busy) as first, serving(short) as second:
        async with chained(first.url, second.url) as model:
            with pytest.raises(RateLimited):
                await told(model)
        assert (len(first.bodies), len(second.bodies)) == (1, 1)
        async with chained(second.url, first.url) as model:
            with pytest.raises(ContextLengthExceeded):
                await told(model)
        assert len(first.bodies) == 1


def test_the_apps_own_parameters_are_left_out_where_a_kind_does_not_take_them() -> None:
    own = {"temperature": 0.7, "safe_prompt": True}
    assert fitting("openai", asking(parameters=own)).parameters == {"temperature": 0.7}
    chosen = asking(parameters=own, chosen=frozenset({"safe_prompt"}))
    assert fitting("openai", chosen) == chosen


async def test_a_field_of_the_callers_that_a_fallback_does_not_know() -> None:
    request = asking(parameters={"safe_prompt": True}, chosen=frozenset({"safe_prompt"}))
    async with serving(WELL) as first, chained(first.url, first.url) as model:
        with pytest.raises(InvalidRequest, match="safe_prompt"):
            await told(model, request)
        assert first.bodies == []
        model._chain[0].rests.rest("chat", asyncio.get_running_loop().time() + 60)
        with pytest.raises(RateLimited):
            await told(model, request)
        assert first.bodies == []


async def test_one_that_rests_is_told_where_its_fallback_is_not_asked() -> None:
    busy = answer(429, b"", retry_after="7")
    async with serving(busy, WELL) as first, serving(error(400, code="x", param="stop")) as second:
        async with chained(first.url, second.url) as model:
            request = asking(parameters={"stop": "x"}, chosen=frozenset({"stop"}))
            for _ in range(2):  # the second time it is not even asked
                with pytest.raises(RateLimited) as busy_told:
                    await told(model, request)
                assert busy_told.value.retry_after == pytest.approx(7, abs=1)
        assert (len(first.bodies), len(second.bodies)) == (1, 2)


async def test_leaving_lets_the_model_go() -> None:
    half = SSE.replace(b"Connection: close\r\n", b"Content-Length: 9999\r\n") + HELLO
    async with (
        serving(error(500)) as first,
        serving(half) as second,
        chained(first.url, second.url) as model,
        model.ask(asking()) as stream,
    ):
        reading = aiter(stream)
        assert list(await anext(reading)) == [second_of(second.url)]
        assert list(await anext(reading)) == [Delta("Hello")]


async def test_leaving_before_anything_was_asked() -> None:
    async with (
        serving(WELL) as first,
        serving(WELL) as second,
        chained(first.url, second.url) as model,
        model.ask(asking()),
    ):
        pass
    assert first.bodies == second.bodies == []


def test_rests_are_bounded() -> None:
    rests = Rests(models=2)
    for number, model in enumerate(("a", "b", "a", "c")):
        rests.rest(model, number)
    assert [rests.until(model) for model in "abc"] == [2, float("-inf"), 3]


async def test_one_whose_stream_ends_before_anything_was_said() -> None:
    for nothing in (SSE, SSE + b"data: [DONE]\n\n"):
        async with (
            serving(nothing) as first,
            serving(WELL) as second,
            chained(first.url, second.url) as model,
        ):
            assert await told(model) == [second_of(second.url), Delta("Hello"), Finish("stop")]


async def test_one_that_sends_its_headers_late_is_waited_for() -> None:
    """As a model that thinks: it is paid for, whoever is asked besides."""
    async with (
        serving(WELL) as first,
        serving(WELL) as second,
        chained(first.url, second.url, budget=0.1) as model,
    ):
        first.door.clear()
        telling = asyncio.ensure_future(told(model))
        await first.asked.wait()
        await asyncio.sleep(0.2)  # for longer than the budget
        first.door.set()
        assert await telling == [Delta("Hello"), Finish("stop")]
        assert second.bodies == []


async def test_what_is_left_until_the_response_begins_bounds_the_budget() -> None:
    refusal = error(503)
    async with (
        serving(refusal) as first,
        serving(refusal) as second,
        chained(first.url, second.url, budget=60) as model,
    ):
        with pytest.raises(ModelUnavailable):  # less than the first pause
            await told(model, msgspec.structs.replace(asking(), within=0.05))
        assert len(first.bodies) == 1
