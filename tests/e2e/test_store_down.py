"""A store that is down, comes back, or was never there."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from local.ports import free_ports
from local.simulator import Simulator
from local.storage import running_storage
from tests.e2e.client import Api, end_of
from tests.e2e.conftest import StartApi

SAY = "[simulate: say text=x]"


async def test_down_and_back(
    start_api: StartApi, model: Simulator, conversation: str, tmp_path: Path
) -> None:
    port = next(free_ports())
    fields = {"conversationId": conversation}
    async with AsyncExitStack() as stack:
        async with running_storage(tmp_path, port=port) as storage:
            assert storage.port == port
            starting = start_api(CHAT_STORAGE=storage.connection_string)
            api = await stack.enter_async_context(starting)
            assert (await api.chat(SAY, **fields)).answer == "x"
        asked = len(await model.requests())
        # Whoever asks is told soon, and no model is asked.
        reply = await api.chat(SAY, **fields)
        reply.problem(503, "store_unavailable")
        assert "devstoreaccount1" not in reply.text
        read = await api.call("GET", f"/conversations/{conversation}")
        read.problem(503, "store_unavailable")
        assert len(await model.requests()) == asked
        ready = await api.call("GET", "/health?probe=ready")
        assert ready.status == 503
        [failure] = ready.json()["failures"]
        assert (failure["part"], failure["code"]) == ("store", "store_unavailable")
        assert "CHAT_STORAGE" in failure["detail"]
        assert (await api.call("GET", "/health")).status == 200
        assert (await api.chat(SAY, store=False)).answer == "x"
        async with running_storage(tmp_path, port=port) as storage:
            assert storage.port == port
            assert (await api.chat(SAY, **fields)).answer == "x"
            assert len(await api.messages(conversation)) == 4


async def test_a_deletion_that_fails_stops_nothing(
    start_api: StartApi, model: Simulator, conversation: str, tmp_path: Path
) -> None:
    port = next(free_ports())
    prompt = '[simulate: say text="one two"] [simulate: hold after=1]'
    async with AsyncExitStack() as stack:
        async with running_storage(tmp_path, port=port) as storage:
            starting = start_api(CHAT_STORAGE=storage.connection_string)
            api = await stack.enter_async_context(starting)
            stream = await stack.enter_async_context(
                api.chatting(prompt, conversationId=conversation)
            )
            await stream.until_text("one")
        reply = await api.call("DELETE", f"/conversations/{conversation}")
        reply.problem(503, "store_unavailable")
        async with running_storage(tmp_path, port=port):
            await model.release()
            end = end_of(await stream.rest())
            assert (end["finishReason"], end["result"]) == ("stop", {"response": "one two"})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"CHAT_STORAGE": "nonsense"}, "CHAT_STORAGE"),
        (
            {"CHAT_STORAGE": None, "CHAT_STORAGE__tableServiceUri": "nowhere"},
            "CHAT_STORAGE__tableServiceUri",
        ),
    ],
)
async def test_a_store_that_is_set_up_wrongly(
    start_api: StartApi, model: Simulator, changes: dict[str, str | None], named: str
) -> None:
    async with start_api(**changes) as api:
        reply = await api.chat(SAY)
        assert named in reply.problem(500, "misconfigured")["detail"]
        ready = await api.call("GET", "/health?probe=ready")
        assert ready.status == 503
        assert named in ready.text
        assert await model.requests() == []


async def test_the_functions_own_storage_serves_as_well(
    start_api: StartApi, settings: dict[str, str], api: Api, conversation: str
) -> None:
    changes = {
        "CHAT_STORAGE": None,
        "AzureWebJobsStorage": settings["CHAT_STORAGE"],
        "CHAT_STORAGE_TABLE": "another",
    }
    async with start_api(**changes) as other:
        await other.chat(SAY, conversationId=conversation)
        assert len(await other.messages(conversation)) == 2
    gone = await api.call("GET", f"/conversations/{conversation}")
    gone.problem(404, "not_found")
