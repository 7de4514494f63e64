"""What the drawer says of the stack and of the last turn, and what it breaks."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from local.drawer import LocalParts, proxy_with_drawer
from local.ports import HOST, free_ports
from local.simulator.behaviour import Say
from tests.local.drawer.conftest import ROOT, SECONDS, Local

HELD = '[simulate: say text="one two three four"] [simulate: hold after=2]'


def events(body: str) -> list[dict[str, Any]]:
    lines = (line for line in body.splitlines() if line.startswith("data:"))
    return [json.loads(line.removeprefix("data:")) for line in lines]


async def until(response: Any, text: bytes) -> bytes:
    """What came until this text was there."""
    seen = b""
    while text not in seen:
        chunk = await response.content.readany()
        assert chunk, seen
        seen += chunk
    return seen


async def test_the_state_of_the_stack(local: Local):
    state = await local.get("state")
    assert (state["model"], state["store"], state["host"]) == ("simulator", "emulator", "local")
    [worker] = state["workers"]
    assert worker == {"index": 0, "pid": local.host.workers[0], "ready": True}
    assert state["armed"] == []
    groups = list(dict.fromkeys(fault["group"] for fault in state["faults"]))
    assert groups == ["When it says it", "How it breaks off", "What it refuses", "How it writes"]


async def test_an_armed_fault_is_used_up_by_the_next_question(local: Local):
    await local.do("POST", "faults/length")
    first = events(await local.ask("[simulate: tokens n=20]"))
    assert first[-1]["finishReason"] == "length"
    assert (await local.get("state"))["armed"] == []
    assert events(await local.ask("Hello"))[-1]["finishReason"] == "stop"


async def test_one_fault_is_armed_at_a_time_and_can_be_disarmed(local: Local):
    await local.do("POST", "faults/cut")
    await local.do("POST", "faults/length")
    assert [one["name"] for one in (await local.get("state"))["armed"]] == ["length"]
    assert await local.do("DELETE", "faults") == {"armed": []}
    assert events(await local.ask("[simulate: tokens n=20]"))[-1]["finishReason"] == "stop"


async def test_what_another_program_has_queued_is_shown_without_a_name(local: Local):
    await local.simulator.script(Say("x"))
    [other] = (await local.get("state"))["armed"]
    assert other["name"] is None
    assert "another program" in other["title"]


async def test_an_unknown_fault_is_refused_with_those_that_there_are(local: Local):
    told = await local.do("POST", "faults/flood", status=404)
    assert "cut-reset" in told["detail"]


async def test_a_held_answer_is_let_go_on(local: Local):
    response = await local.asking(HELD)
    await local.simulator.wait_for(state="held")
    assert await local.do("POST", "release") == {"released": 1}
    assert '"one two three four"' in await response.text()
    assert await local.do("POST", "release") == {"released": 0}


async def test_the_last_turn_in_full(local: Local):
    told = {"conversationId": "a-turn-in-full", "context": [{"title": "Tea", "content": "Green."}]}
    await local.ask('First [simulate: say text="one two"]', conversationId="a-turn-in-full")
    prompt = 'Second [simulate: say text="three four five"] [simulate: reasoning text="I think"]'
    body = events(await local.ask(prompt, turnId="the-second", temperature=0.3, **told))
    last = await local.get("last")

    turn = last["turn"]
    assert (turn["conversationId"], turn["turnId"]) == ("a-turn-in-full", "the-second")
    assert (turn["status"], turn["connections"], turn["cut"]) == (200, 1, 0)
    assert turn["began"] < turn["ended"]
    assert turn["prompt"] == prompt

    model = last["model"]
    [_, record] = await local.simulator.requests()
    assert model["messages"] == record.body["messages"]
    assert [m["role"] for m in model["messages"]] == ["system", "user", "assistant", "user"]
    assert model["messages"][-1]["content"].endswith(prompt)
    assert model["parameters"]["temperature"] == 0.3
    assert "messages" not in model["parameters"]
    assert (model["asked"], model["outcome"], model["state"]) == (1, "stop", "finished")
    parts = {part["name"]: part for part in model["tokens"]}
    assert list(parts) == [
        *("system", "history", "context", "question", "framing", "reasoning", "answer"),
    ]
    assert parts["history"]["messages"] == 2
    assert (parts["reasoning"]["tokens"], parts["answer"]["tokens"]) == (2, 3)
    usage = body[-1]["usage"]
    prompt_parts = ("system", "history", "context", "question", "framing")
    assert sum(parts[name]["tokens"] for name in prompt_parts) == usage["promptTokens"]
    assert usage["completionTokens"] == 5
    assert parts["context"]["tokens"] > 3
    assert len(model["messageTokens"]) == 4

    store = last["store"]
    assert (store["reads"], store["writes"]) == (1, 2)
    assert [request["what"] for request in store["requests"]] == [
        "read head and newest messages",
        "begin: a transaction of 6 rows",
        "end: merge of the answer",
    ]
    assert [request["status"] for request in store["requests"]] == [200, 202, 204]


async def test_a_turn_that_made_the_backend_ask_again_says_so(local: Local):
    await local.do("POST", "faults/status-500")
    assert events(await local.ask("Hello"))[-1]["finishReason"] == "stop"
    model = (await local.get("last"))["model"]
    assert (model["asked"], model["outcomes"]) == (2, ["status 500", "stop"])


async def test_a_refused_turn_and_the_same_one_tried_again(local: Local):
    ids = {"conversationId": "refused-and-again", "turnId": "the-only-one"}
    await local.do("POST", "faults/status-503")
    await local.ask("Hello", **ids)
    last = await local.get("last")
    assert last["turn"]["status"] == 503
    assert last["model"]["outcomes"] == ["status 503"]
    await local.ask("Hello", **ids)
    last = await local.get("last")
    assert (last["turn"]["status"], last["model"]["outcomes"]) == (200, ["stop"])


async def test_what_never_reached_the_model_is_shown_too(local: Local):
    response = await local.client.post(f"{local.url}/api/chat", data=b"{")
    async with response:
        assert response.status >= 400
    last = await local.get("last")
    assert last["turn"]["status"] == response.status
    assert last["model"] == {"asked": 0}
    assert last["store"]["requests"] == []


async def test_a_turn_without_a_history_asks_nothing_of_the_store(local: Local):
    await local.ask("Hello", store=False)
    last = await local.get("last")
    assert last["model"]["asked"] == 1
    assert last["store"] == {"reads": 0, "writes": 0, "requests": []}


async def test_two_turns_at_once_are_told_apart(local: Local):
    first = await local.asking(f"First {HELD}", conversationId="the-first-of-two")
    await local.simulator.wait_for(state="held")
    await local.ask("Second", conversationId="the-second-of-two")
    last = await local.get("last")
    assert last["turn"]["conversationId"] == "the-second-of-two"
    assert last["model"]["asked"] == 1
    assert last["model"]["messages"][-1]["content"] == "Second"
    assert (last["store"]["reads"], last["store"]["writes"]) == (1, 2)
    await local.do("POST", "release")
    await first.read()


async def test_a_cut_stream_ends_and_the_turn_is_attached_to_again(local: Local):
    ids = {"conversationId": "cut-and-healed", "turnId": "the-turn"}
    response = await local.asking(HELD, **ids)
    seen = await until(response, b" two")
    assert await local.do("POST", "cut") == {"cut": 1}
    # Ended well, but without an `end`: who follows the turn attaches again.
    rest = await asyncio.wait_for(response.read(), SECONDS)
    position = events((seen + rest).decode())[-1]["position"]
    assert all(event["type"] != "end" for event in events((seen + rest).decode()))
    stream = f"{local.url}/api/conversations/cut-and-healed/turns/the-turn/stream?after="
    async with local.client.get(f"{stream}nonsense") as refused:
        assert refused.status == 400
    assert (await local.get("last"))["turn"]["ended"] is None

    await local.do("POST", "release")
    url = f"{stream}{position}"
    async with local.client.get(url, headers={"accept": "text/event-stream"}) as again:
        left = events(await again.text())
    assert "".join(event.get("text", "") for event in left) == " three four"
    assert left[-1]["finishReason"] == "stop"
    last = await local.get("last")
    assert (last["turn"]["connections"], last["turn"]["cut"]) == (3, 1)
    assert last["turn"]["ended"] is not None
    assert last["model"]["asked"] == 1
    assert (last["store"]["writes"]) >= 2
    assert await local.do("POST", "cut") == {"cut": 0}


async def test_a_cut_stream_of_any_other_form_is_broken_off(local: Local):
    response = await local.asking(HELD, accept="application/octet-stream")
    await until(response, b" two")
    assert await local.do("POST", "cut") == {"cut": 1}
    with pytest.raises(ClientPayloadError):
        await response.read()
    await local.do("POST", "release")


async def test_a_turn_that_is_not_the_last_one_can_be_followed_and_cut(local: Local):
    ids = {"conversationId": "an-older-turn", "turnId": "the-old-one"}
    await local.ask('[simulate: say text="old"]', **ids)
    await local.ask("Hello")
    url = f"{local.url}/api/conversations/an-older-turn/turns/the-old-one/stream"
    async with local.client.get(url, headers={"accept": "text/event-stream"}) as response:
        assert '"old"' in await response.text()
    assert (await local.get("last"))["turn"]["connections"] == 1


@pytest.mark.parametrize("way", ["kill", "terminate"])
async def test_a_worker_that_ends_in_mid_answer_ends_the_stream(local: Local, way: str):
    response = await local.asking(HELD)
    await until(response, b" two")
    [before] = local.host.workers
    told = await local.do("POST", f"workers/0/{way}")
    assert [worker["index"] for worker in told["workers"]] == [0]
    body = (await asyncio.wait_for(response.read(), SECONDS)).decode()
    if way == "kill":
        assert all(event["type"] != "end" for event in events(body))
    await local.host.ready()
    assert local.host.workers != (before,)
    assert (await local.get("state"))["workers"][0]["ready"]


async def test_a_worker_that_there_is_not(local: Local):
    told = await local.do("POST", "workers/7/kill", status=404)
    assert "7" in told["detail"]


async def test_the_panels_files(local: Local):
    panel = sorted((ROOT / "local" / "drawer" / "panel").iterdir())
    assert {"drawer.js", "drawer.css"} <= {file.name for file in panel}
    for file in panel:
        async with local.client.get(f"{local.url}/api/local/{file.name}") as response:
            assert response.status == 200
            kind = "text/css" if file.suffix == ".css" else "text/javascript"
            assert response.content_type == kind
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.read() == file.read_bytes()


async def test_where_the_users_own_model_and_store_are_used(local: Local):
    parts = LocalParts(local.host.url, "func", None, None)
    async with proxy_with_drawer(parts) as proxy:
        own = Local(proxy, local.client, local.simulator, local.host)
        state = await own.get("state")
        assert (state["model"], state["store"], state["host"]) == ("own", "own", "func")
        assert (state["workers"], state["armed"]) == ([], [])
        assert await own.get("last") == {"turn": None}
        assert "model of your own" in (await own.do("POST", "faults/cut", status=409))["detail"]
        assert "model of your own" in (await own.do("POST", "release", status=409))["detail"]
        assert "--host local" in (await own.do("POST", "workers/0/kill", status=409))["detail"]
        assert await own.do("DELETE", "faults") == {"armed": []}
        await own.ask("Hello")
        last = await own.get("last")
        assert last["turn"]["status"] == 200
        assert (last["model"], last["store"]) == (None, None)


async def test_parts_that_are_down_are_said(local: Local):
    nowhere = f"http://{HOST}:{next(free_ports())}"
    for parts, who in (
        (LocalParts(nowhere, "local", local.simulator.url, None), "The Functions host"),
        (LocalParts(local.host.url, "local", nowhere, None), "The model simulator"),
    ):
        async with (
            proxy_with_drawer(parts) as proxy,
            local.client.get(f"{proxy}/api/local/state") as response,
        ):
            assert response.status == 502
            assert response.content_type == "application/problem+json"
            told = await response.json(content_type=None)
            assert told["detail"].startswith(f"{who} does not answer")
