"""Owners are strictly apart; what is deleted is gone for good; ids that nobody can guess."""

import asyncio
from typing import Any

from local.simulator import Simulator
from tests.e2e.client import SSE, Api, end_of

SAY = '[simulate: say text="yes"]'

ROUTES = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("GET", "/messages"),
    ("GET", "/export"),
    ("GET", "/turns/t"),
    ("GET", "/turns/t/stream"),
    ("POST", "/turns/t/stop"),
]


async def everything(api: Api, conversation: str) -> list[Any]:
    """What every route says about a conversation."""
    replies = []
    for method, path in ROUTES:
        body = {"title": "x"} if method == "PATCH" else None
        reply = await api.call(method, f"/conversations/{conversation}{path}", body)
        replies.append((reply.status, reply.body))
    return replies


async def test_another_owners_is_as_if_it_did_not_exist(alice: Api, bob: Api) -> None:
    await alice.chat(SAY, conversationId="c", turnId="t")
    nobody = await everything(bob, "nonesuch")
    assert {status for status, _ in nobody} == {404}
    assert await everything(bob, "c") == nobody
    assert len(await alice.messages("c")) == 2
    own = await bob.chat("[simulate: echo]", conversationId="c", turnId="t")
    assert own.events[0]["new"] is True
    assert SAY not in own.answer
    assert len(await alice.messages("c")) == 2
    assert (await alice.messages("c"))[1] == ("assistant", "yes")


async def test_deleted_is_gone_for_good(alice: Api, model: Simulator) -> None:
    await alice.chat(SAY, conversationId="c", turnId="t")
    await alice.chat(SAY, conversationId="d")
    assert (await alice.call("DELETE", "/conversations/c")).status == 204
    nobody = await everything(alice, "nonesuch")
    assert await everything(alice, "c") == nobody
    asked = len(await model.requests())
    again: list[dict[str, Any]] = [{}, {"turnId": "t"}, {"turnId": "u"}, {"replaces": "t"}]
    for fields in again:
        (await alice.chat(SAY, conversationId="c", **fields)).problem(404, "not_found")
    assert len(await model.requests()) == asked
    listed = (await alice.call("GET", "/conversations")).json()["items"]
    assert [item["id"] for item in listed] == ["d"]


async def test_deleting_cancels_what_runs(alice: Api, model: Simulator) -> None:
    prompt = '[simulate: say text="one two"] [simulate: hold after=1]'
    async with alice.chatting(prompt, conversationId="c", turnId="t") as stream:
        await stream.until_text("one")
        await model.wait_for(state="held")
        assert (await alice.call("DELETE", "/conversations/c")).status == 204
        await model.wait_for(state="aborted")
        assert end_of(await stream.rest())["finishReason"] == "cancelled"
    assert await everything(alice, "c") == await everything(alice, "nonesuch")


async def test_many_deletions_at_once(alice: Api) -> None:
    await alice.chat(SAY, conversationId="c")
    calls = [alice.call("DELETE", "/conversations/c") for _ in range(5)]
    statuses = sorted(reply.status for reply in await asyncio.gather(*calls))
    assert set(statuses) <= {204, 404}
    assert statuses[0] == 204


async def test_anonymous_ids_must_be_unguessable(api: Api, model: Simulator) -> None:
    short = await api.chat(SAY, conversationId="a" * 15)
    short.problem(400, "invalid_request", "conversationId")
    without = await api.chat(SAY, turnId="t")
    without.problem(400, "invalid_request", "conversationId")
    assert await model.requests() == []
    assert (await api.chat(SAY, conversationId="a" * 16)).status == 200
    assert len(await model.requests()) == 1


async def test_a_retry_finds_its_conversation(alice: Api, bob: Api, model: Simulator) -> None:
    first = await alice.chat(SAY, turnId="t")
    again = await alice.chat(SAY, turnId="t")
    assert again.headers["x-conversation-id"] == first.headers["x-conversation-id"]
    assert again.end == first.end
    assert len(await model.requests()) == 1
    other = await bob.chat(SAY, turnId="t")
    assert other.headers["x-conversation-id"] != first.headers["x-conversation-id"]
    second = await alice.chat(SAY, turnId="u", accept=SSE)
    assert second.headers["x-conversation-id"] != first.headers["x-conversation-id"]
