"""Switching between conversations, deleting them, asking again."""

import re
from typing import Any

import aiohttp
import pytest

from local.host import Host
from local.simulator import Simulator
from tests.console.conftest import OpenScreen
from tests.e2e.client import SSE, Api


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_conversations_are_listed_and_opened(open_screen: OpenScreen, signed_in: str) -> None:
    async with open_screen(url=signed_in) as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="about Rome"] Rome?')
        await screen.until("^about Rome$")
        await screen.prompted()
        screen.enter("/new")
        await screen.until("^A new conversation has begun")
        screen.enter('[simulate: say text="about Oslo"] Oslo?')
        await screen.until("^about Oslo$")
        await screen.prompted()
        screen.enter("/list 2")
        await screen.until(r"^\* 1     now  \[simulate: say text=\"about Oslo\"\] Oslo\?$")
        await screen.until(r"^  2     now  \[simulate: say text=\"about Rome\"\] Rome\?$")
        screen.enter("/open 2")
        await screen.until(r"^Conversation: \[simulate: say text=\"about Rome\"\] Rome\?$")
        await screen.until("^> .*Rome\\?\n+^about Rome$", count=2)
        await screen.prompted()
        screen.enter("/open 3")
        await screen.until("^There is no number 3: the list has 1 to 2.$")
        screen.enter("/open nothing-of-that-name")
        await screen.until("There is no such conversation")
        screen.enter("exit")
        assert await screen.ended() == 0
        rome = (await screen.until("[0-9a-f]{32}$")).strip()
    async with open_screen(url=signed_in) as screen:
        await screen.prompted()
        screen.enter(f"/open {rome}")
        await screen.until("^about Rome$")


async def test_who_cannot_list_sees_the_conversations_of_the_session(
    open_screen: OpenScreen,
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter("/list")
        await screen.until("^There are no conversations yet.$")
        for name in ("one", "two"):
            screen.enter(f'[simulate: say text="answer {name}"]')
            await screen.until(f"^answer {name}$")
            await screen.prompted()
            screen.enter("/new")
            await screen.prompted()
        screen.enter("/list")
        await screen.until(r"^  1     now  .*answer two.*$\n^  2     now  .*answer one.*$")
        await screen.until("^Only those of this session: ", count=2)
        screen.enter("/open 2")
        await screen.until("^answer one$", count=2)


async def test_a_conversation_is_cleared_for_good(
    open_screen: OpenScreen, anonymous: Host, session: aiohttp.ClientSession, model: Simulator
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter("/clear")
        await screen.until("^There was nothing to delete. A new conversation has begun.$")
        screen.enter('[simulate: say text="to be forgotten"]')
        await screen.until("^to be forgotten$")
        await screen.prompted()
        [record] = await model.requests()
        screen.enter("/clear")
        await screen.until("^The conversation is deleted for good. A new one has begun.$")
        screen.enter('[simulate: say text="after"]')
        await screen.until("^after$")
        screen.enter("/list")
        await screen.until("^\\* 1 .*after")
        assert not re.search("^. 2 ", screen.text, re.MULTILINE)
    _, record = await model.requests()
    assert len(record.body["messages"]) == 2, "system prompt and question"


async def test_the_last_question_is_asked_again_in_the_place_of_its_answer(
    open_screen: OpenScreen, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "bad"})
    await model.script({"kind": "say", "text": "good"})
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter("/retry")
        await screen.until("^There is no question yet")
        screen.enter("the question")
        await screen.until("^bad$")
        await screen.prompted()
        screen.enter("/retry")
        await screen.until("^good$")
        await screen.prompted()
        screen.enter("exit")
        await screen.ended()
        told = await screen.until("[0-9a-f]{32}$")
    async with open_screen("--conversation", told) as screen:
        await screen.until("^> the question$\n+^good$")
        assert "bad" not in screen.text


async def test_asking_again_after_a_refusal(open_screen: OpenScreen, model: Simulator) -> None:
    await model.script({"kind": "status", "code": 429, "retry_after": 60})
    await model.script({"kind": "say", "text": "now"})
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter("the question")
        await screen.until("Try again in ")
        await screen.prompted()
        screen.enter("/retry")
        await screen.until("^now$")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/nonsense", "^There is no command /nonsense. There are /new, /clear, /list, "),
        ("/", "^There is no command /. There are "),
        ("/list many", "^/list takes a number of conversations, 1 to 100.$"),
        ("/list 101", "^/list takes a number of conversations, 1 to 100.$"),
        ("/open", "^/open takes a number of the last /list, or a conversation's id.$"),
        ("/open 1", "^There was no list yet: "),
        ("/open a b", "^A conversation's id has 1 to 64 letters, digits, - and _.$"),
        ("/help", "^/clear        delete this conversation for good"),
    ],
)
async def test_words_for_what_cannot_be_done(
    open_screen: OpenScreen, line: str, words: str
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter(line)
        await screen.until(words)
        await screen.prompted()


async def test_a_path_is_no_command(open_screen: OpenScreen, model: Simulator) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('/etc/hosts [simulate: say text="a file"]')
        await screen.until("^a file$")


async def test_an_answer_that_still_runs_is_seen_to_its_end(
    open_screen: OpenScreen, signed_in: str, session: aiohttp.ClientSession, model: Simulator
) -> None:
    tools = [{"type": "function", "function": {"name": "find", "parameters": {}}}]
    prompt = (
        '[simulate: say text="a b"] [simulate: hold after=1]'
        '[simulate: tool name="find" arguments="{}"]'
    )
    body = {
        "conversationId": "running",
        "options": {"tools": tools},
        "context": [
            {"content": "c", "title": "T", "url": "https://e.com/t"},
            {"content": "d", "id": "7"},
        ],
    }
    async with Api(session, signed_in).chatting(prompt, accept=SSE, **body) as stream:
        await stream.until_text("a")
        async with open_screen("--conversation", "running", url=signed_in) as screen:
            await screen.until("^a$")
            await model.release()
            await screen.until("^a b$")
            await screen.until(r"^Tool call: find\(\{\}\)$")
            await screen.until(r"^Sources$\n^\[1\] T https://e.com/t$\n^\[2\] 7$")
            await screen.until("^The model asks for the tool find, which the console cannot run.")
            await screen.prompted()


async def test_calls_and_their_results_are_said_of_earlier_answers(
    open_screen: OpenScreen, signed_in: str, session: aiohttp.ClientSession, model: Simulator
) -> None:
    function = {"name": "find", "parameters": {}}
    fields: dict[str, Any] = {
        "conversationId": "tools",
        "options": {"tools": [{"type": "function", "function": function}]},
    }
    api = Api(session, signed_in)
    call = {"kind": "tool", "name": "find", "arguments": '{"what":"tea"}'}
    await model.script(call)
    reply = await api.chat("Find tea", **fields)
    [made] = [event["id"] for event in reply.events if event["type"] == "tool_call"]
    async with open_screen("--conversation", "tools", url=signed_in) as screen:
        await screen.until(r'^Tool call: find\(\{"what":"tea"\}\)$')
        await screen.until("^The model asks for the tool find, which")
        await screen.prompted()
    await model.script({"kind": "say", "text": "Green tea."})
    results = {"toolResults": [{"id": made, "content": "green,\n black"}]}
    assert (await api.call("POST", "/chat", fields | results)).status == 200
    async with open_screen("--conversation", "tools", url=signed_in) as screen:
        await screen.until(r"^Tool call: find")
        await screen.until(r"^Tool result: green, black$")
        await screen.until(r"^Green tea\.$")
        await screen.prompted()
        assert "which the console cannot run" not in screen.text
        screen.enter("/retry")
        await screen.until("^There is no question yet that could be asked again.")


async def test_ends_are_said_of_earlier_answers_too(
    open_screen: OpenScreen, anonymous: Host, session: aiohttp.ClientSession, model: Simulator
) -> None:
    conversation = "0123456789abcdef" * 2
    prompt = '[simulate: say text="a b"] [simulate: hold after=1]'
    api = Api(session, anonymous.url)
    async with api.chatting(
        prompt, accept=SSE, conversationId=conversation, onDisconnect="cancel"
    ) as stream:
        await stream.until_text("a")
    await model.wait_for(state="aborted")
    async with open_screen("--conversation", conversation) as screen:
        await screen.until("^The answer was ended because nobody was connected any more.")
