"""What a turn costs, and what one instance takes."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from local.simulator import Simulator
from local.storage import Storage
from tests.contracts.between import Between, standing_between
from tests.e2e.client import TEXT, Api
from tests.e2e.conftest import StartApi

SAY = "[simulate: say text=x]"
HELD = f"{SAY} [simulate: hold after=1]"


@pytest.fixture
async def between(emulator: Storage) -> AsyncIterator[Between]:
    """A server in front of the store that counts requests, and fails on demand."""
    async with standing_between(emulator.url.removesuffix("/devstoreaccount1")) as server:
        yield server


async def test_a_turn_costs_one_read_and_two_writes(
    start_api: StartApi, emulator: Storage, between: Between, conversation: str
) -> None:
    connection = emulator.connection_string.replace(f":{emulator.port}/", f":{between.port}/")
    async with start_api(CHAT_STORAGE=connection) as api:
        await api.call("GET", "/health?probe=ready")
        fields = {"conversationId": conversation}
        for number in range(30):
            between.requests.clear()
            assert (await api.chat(SAY, TEXT, **fields, turnId=f"t{number}")).text == "x"
            methods = Counter(request.split()[0] for request in between.requests)
            assert methods["GET"] == 1, between.requests
            assert methods.total() == 3, between.requests
        between.requests.clear()
        assert (await api.chat(SAY, TEXT, **fields, turnId="t0")).text == "x"
        assert len(between.requests) <= 5
        between.requests.clear()
        assert (await api.chat(SAY, store=False)).answer == "x"
        assert between.requests == []


async def test_a_store_that_fails_is_told_before_the_model_is_asked(
    start_api: StartApi, emulator: Storage, between: Between, model: Simulator, conversation: str
) -> None:
    connection = emulator.connection_string.replace(f":{emulator.port}/", f":{between.port}/")
    async with start_api(CHAT_STORAGE=connection) as api:
        await api.call("GET", "/health?probe=ready")
        faults: list[int | str] = [503, 403, 200, "refused"]
        for fault in faults:
            between.fault = fault
            reply = await api.chat(SAY, conversationId=conversation)
            reply.problem(503, "store_unavailable")
            assert "secret of the vendor" not in reply.text
        assert await model.requests() == []
        between.fault = None
        assert (await api.chat(SAY, conversationId=conversation)).answer == "x"
        assert len(await api.messages(conversation)) == 2


async def test_an_instance_that_is_full(
    start_api: StartApi, model: Simulator, conversation: str
) -> None:
    changes = {"CHAT_MAX_CONCURRENT_TURNS": "1", "CHAT_HISTORY_MAX_MESSAGES": "2"}
    async with start_api(**changes) as api:
        fields = {"conversationId": conversation, "turnId": "t"}
        async with api.chatting(HELD, **fields) as stream:
            await model.wait_for(state="held")
            for other in ({}, {"store": False}):
                full = await api.chat(SAY, TEXT, **other)
                full.problem(429, "overloaded")
                assert int(full.headers["retry-after"]) >= 1
            async with api.chatting(HELD, **fields) as joined:
                await model.release()
                assert (await joined.rest())[-1]["finishReason"] == "stop"
            await stream.rest()
        assert (await api.chat(HELD, TEXT, **fields)).text == "x"
        await two_more(api, conversation)
        sent = (await model.requests())[-1].body["messages"]
        assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]


async def two_more(api: Api, conversation: str) -> None:
    for _ in range(2):
        assert (await api.chat(SAY, TEXT, conversationId=conversation)).text == "x"


async def test_a_last_turn_beyond_the_window_is_cut_at_its_front(
    start_api: StartApi, model: Simulator, conversation: str
) -> None:
    async with start_api(CHAT_HISTORY_MAX_TOKENS="60") as api:
        prompt = "begin " + "word " * 300 + '[simulate: say text="the answer"]'
        for text in (SAY, prompt, "last"):
            await api.chat(text, TEXT, conversationId=conversation)
        sent = (await model.requests())[-1].body["messages"]
        assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
        assert len(sent[1]["content"]) < 300
        assert prompt.endswith(sent[1]["content"].removeprefix("…"))
        assert sent[2]["content"] == "the answer"
