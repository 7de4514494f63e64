"""Conversations: the list, one of them, its messages, a new title, deletion, export."""

from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import Api

SAY = '[simulate: say text="yes"]'


async def items(api: Api, path: str, limit: int) -> list[Any]:
    """Everything of a paged list, by pages of this size."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = (await api.call("GET", f"{path}?limit={limit}{cursor}")).json()
        assert set(page) == {"items", "nextCursor"}
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        assert page["items"]
        cursor = f"&cursor={page['nextCursor']}"


async def test_the_list_is_newest_first(alice: Api, bob: Api) -> None:
    names = [f"c{number}" for number in range(5)]
    for name in names:
        await alice.chat(f"About {name}\nmore", conversationId=name)
    await alice.chat(SAY, conversationId="c1")
    for limit in (1, 2, 3, 100):
        listed = await items(alice, "/conversations", limit)
        assert [item["id"] for item in listed] == ["c1", "c4", "c3", "c2", "c0"]
    assert [item["messageCount"] for item in listed] == [4, 2, 2, 2, 2]
    assert listed[0]["title"] == "About c1"
    assert set(listed[0]) == {"id", "title", "createdAt", "updatedAt", "messageCount"}
    assert listed[0]["createdAt"] < listed[1]["createdAt"] < listed[0]["updatedAt"]
    assert listed[0]["createdAt"].endswith("Z")
    assert (await bob.call("GET", "/conversations")).json() == {"items": [], "nextCursor": None}


async def test_anonymous_callers_have_no_list(api: Api) -> None:
    (await api.call("GET", "/conversations")).problem(401, "unauthenticated")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "x", "", "٣", "1e2", "9" * 30])
async def test_bad_limits(alice: Api, limit: str) -> None:
    await alice.chat(SAY, conversationId="c")
    for path in ("/conversations", "/conversations/c/messages"):
        reply = await alice.call("GET", f"{path}?limit={limit}")
        reply.problem(400, "invalid_request", "limit")


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "%00", "é", "dixjLCE", "MS4y.", "LTEuLTE", "OTk5OTk5OTk5OTk5OS4x" * 20]
)
async def test_bad_cursors(alice: Api, cursor: str) -> None:
    await alice.chat(SAY, conversationId="c")
    for path in ("/conversations", "/conversations/c/messages"):
        reply = await alice.call("GET", f"{path}?cursor={cursor}")
        reply.problem(400, "invalid_request", "cursor")


async def test_messages_by_pages(alice: Api, conversation: str) -> None:
    for number in range(4):
        await alice.chat(f'[simulate: say text="a{number}"]', conversationId=conversation)
    await alice.chat(
        "[simulate: say text=a5]",
        conversationId=conversation,
        turnId="t5",
    )
    await alice.chat("[simulate: say text=a6]", conversationId=conversation, replaces="t5")
    path = f"/conversations/{conversation}/messages"
    whole = await items(alice, path, 100)
    assert [m["content"] for m in whole if m["role"] == "assistant"] == [
        "a6",
        "a3",
        "a2",
        "a1",
        "a0",
    ]
    assert [m["role"] for m in whole] == ["assistant", "user"] * 5
    for limit in (1, 2, 3, 4, 5, 7, 10):
        assert await items(alice, path, limit) == whole
    answer, question = whole[0], whole[1]
    assert set(question) == {"role", "content", "turnId", "createdAt"}
    assert answer["turnId"] == question["turnId"]
    assert (answer["state"], answer["finishReason"]) == ("ended", "stop")
    assert answer["usage"]["estimated"] is False


async def test_a_running_answer_is_listed(api: Api, model: Simulator, conversation: str) -> None:
    prompt = f"{SAY} [simulate: hold after=1]"
    async with api.chatting(prompt, conversationId=conversation) as stream:
        await model.wait_for(state="held")
        page = (await api.call("GET", f"/conversations/{conversation}/messages")).json()
        assert page["items"][0]["state"] == "running"
        assert "finishReason" not in page["items"][0]
        await model.release()
        await stream.rest()


async def test_thoughts_and_what_went_wrong_can_be_read_later(
    alice: Api, conversation: str
) -> None:
    thoughts = '[simulate: reasoning text="Let me see … 🙂"]'
    await alice.chat(f"{thoughts} {SAY}", conversationId=conversation, turnId="t1")
    broken = await alice.chat(
        f'{thoughts} [simulate: say text="one two"] [simulate: error after=1]',
        conversationId=conversation,
        turnId="t2",
    )
    [event] = [event for event in broken.events if event["type"] == "error"]
    error = {name: event[name] for name in ("code", "message", "retryable")}
    await alice.chat(SAY, conversationId=conversation)

    path = f"/conversations/{conversation}"
    exported = (await alice.call("GET", f"{path}/export")).json()["messages"]
    for listed in (await items(alice, f"{path}/messages", 100), exported[::-1]):
        plain, failed, thoughtful = (m for m in listed if m["role"] == "assistant")
        assert (thoughtful["content"], thoughtful["reasoning"]) == ("yes", "Let me see … 🙂")
        assert "error" not in thoughtful
        assert (failed["content"], failed["reasoning"]) == ("one", "Let me see … 🙂")
        assert (failed["error"], failed["finishReason"]) == (error, "error")
        assert plain.keys().isdisjoint({"reasoning", "error"})
        for question in (m for m in listed if m["role"] == "user"):
            assert set(question) == {"role", "content", "turnId", "createdAt"}


async def test_the_thoughts_of_a_running_answer_are_listed(
    api: Api, model: Simulator, conversation: str
) -> None:
    prompt = f'[simulate: reasoning text="Hm."] {SAY} [simulate: hold after=1]'
    path = f"/conversations/{conversation}/messages"
    async with api.chatting(prompt, conversationId=conversation) as stream:
        await model.wait_for(state="held")
        while "reasoning" not in (answer := (await api.call("GET", path)).json()["items"][0]):
            assert answer["state"] == "running"  # until the first checkpoint
        assert (answer["state"], answer["reasoning"]) == ("running", "Hm.")
        await model.release()
        await stream.rest()


async def test_a_new_title(alice: Api, conversation: str) -> None:
    await alice.chat(SAY, conversationId=conversation)
    path = f"/conversations/{conversation}"
    before = (await alice.call("GET", path)).json()
    for title in ("x", "Grüße 🙂" + "a" * 193):
        changed = await alice.call("PATCH", path, {"title": title})
        assert changed.status == 200
        assert changed.json() == before | {"title": title}
        assert (await alice.call("GET", path)).json()["title"] == title
        listed = (await alice.call("GET", "/conversations")).json()["items"]
        assert [item["title"] for item in listed] == [title]
    await alice.chat(SAY, conversationId=conversation)
    assert (await alice.call("GET", path)).json()["title"] == title


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "  \n"}, "title"),
        ({"title": "a" * 201}, "title"),
        ({"title": 7}, "title"),
        ({"title": None}, "title"),
        ({}, None),
        ({"title": "x", "owner": "y"}, "owner"),
        ([], None),
    ],
)
async def test_bad_titles(alice: Api, body: object, field: str | None) -> None:
    await alice.chat(SAY, conversationId="c")
    reply = await alice.call("PATCH", "/conversations/c", body)
    reply.problem(400, "invalid_request", field)
    listed = (await alice.call("GET", "/conversations")).json()["items"]
    assert [item["title"] for item in listed] == [SAY]
    untyped = await alice.call("PATCH", "/conversations/c", raw=b"{}", content_type="text/plain")
    untyped.problem(415, "unsupported_media_type")


async def test_the_title_is_the_first_line(alice: Api) -> None:
    await alice.chat("\n \n  Two   words\tmore \nsecond", conversationId="c")
    assert (await alice.call("GET", "/conversations/c")).json()["title"] == "Two words more"
    await alice.chat("🙂" * 500, conversationId="d")
    assert (await alice.call("GET", "/conversations/d")).json()["title"] == "🙂" * 200


async def test_export(alice: Api, conversation: str) -> None:
    await alice.chat(
        SAY, conversationId=conversation, turnId="t1", systemPrompt="hidden", context="hidden"
    )
    await alice.chat("[simulate: say text=b]", conversationId=conversation, replaces="t1")
    path = f"/conversations/{conversation}"
    reply = await alice.call("GET", f"{path}/export")
    assert reply.headers["content-type"] == "application/json"
    assert "attachment" in reply.headers["content-disposition"]
    assert conversation in reply.headers["content-disposition"]
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert body["conversation"] == (await alice.call("GET", path)).json()
    shown = [(m["content"], m.get("replaced")) for m in body["messages"]]
    assert shown == [(SAY, True), ("yes", True), ("[simulate: say text=b]", None), ("b", None)]
    assert "hidden" not in reply.text
