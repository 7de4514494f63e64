"""It heals in view: reloads, lost connections, two tabs, a killed worker."""

import asyncio

import pytest
from playwright.async_api import expect

from local.host import Host
from local.simulator import Simulator
from local.web import Web
from tests.browser.chat import GUARD_MS, Chat, refused
from tests.browser.conftest import OpenChat
from tests.browser.relay import running_relay

SAY = '[simulate: say text="one two three four"]'
HELD_TWICE = f"{SAY} [simulate: hold after=2] [simulate: hold after=3]"
LOST = "The connection was lost. Trying again …"
UNTIL_STORED = """
const stored = async () => (await made.messages(given.conversation)).items[0].content;
const made = new client.ChatClient();
while ((await stored()) !== given.text);
"""


async def test_a_reload_in_mid_answer_goes_on(chat: Chat, model: Simulator) -> None:
    await chat.ask(HELD_TWICE)
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two")

    await chat.reload()
    await expect(chat.answers).to_have_text(["one two"])
    await expect(chat.stop).to_be_visible()
    await model.release()
    await expect(chat.answer).to_have_text("one two three")
    await model.wait_for(state="held")
    await chat.reload()
    await expect(chat.answers).to_have_text(["one two three"])
    await expect(chat.stop).to_be_visible()

    await model.release()
    await chat.finished()
    await expect(chat.answers).to_have_text(["one two three four"])
    await expect(chat.questions).to_have_count(1)
    assert len(await model.requests()) == 1
    assert chat.complaints == []


async def test_leaving_before_the_first_word_loses_nothing(chat: Chat, model: Simulator) -> None:
    await chat.ask(f"{SAY} [simulate: hold before]")
    await model.wait_for(state="held")

    await chat.reload()
    await expect(chat.questions).to_have_count(1)
    await model.release()

    await expect(chat.answers).to_have_text(["one two three four"])
    await chat.finished()
    assert len(await model.requests()) == 1
    assert chat.complaints == []


async def test_a_cut_connection_is_taken_up_where_it_was(
    open_chat: OpenChat, web: Web, model: Simulator
) -> None:
    async with running_relay(web.port) as relay:
        chat = await open_chat(relay.url)
        await chat.ask(HELD_TWICE)
        for text in ("one two", "one two three"):
            await model.wait_for(state="held")
            await expect(chat.answer).to_have_text(text)
            again = chat.page.expect_request(lambda request: "/stream?after=" in request.url)
            async with again:
                assert relay.cut() > 0
            await model.release()

        await chat.finished()
        await expect(chat.answers).to_have_text(["one two three four"])
        await expect(chat.notice).to_have_count(0)
        assert len(await model.requests()) == 1


async def test_a_question_whose_answer_got_lost_is_asked_once(
    open_chat: OpenChat, web: Web, model: Simulator
) -> None:
    async with running_relay(web.port) as relay:
        chat = await open_chat(relay.url)
        # Silent before its headers, so that the page has heard nothing yet.
        await chat.ask(f"{SAY} [simulate: hold before]")
        await model.wait_for(state="held")

        assert relay.cut() > 0
        await model.release()

        await chat.finished()
        await expect(chat.answers).to_have_text(["one two three four"])
        assert len(await model.requests()) == 1


async def test_offline_in_mid_answer_and_back(
    open_chat: OpenChat, web: Web, model: Simulator
) -> None:
    async with running_relay(web.port) as relay:
        chat = await open_chat(relay.url)
        offline = chat.page.get_by_text("You are offline.")
        await chat.ask(HELD_TWICE)
        await model.wait_for(state="held")
        await expect(chat.answer).to_have_text("one two")

        # The browser's switch lets go on what has begun: the relay ends that.
        await chat.page.context.set_offline(True)
        assert relay.cut() > 0
        await expect(offline).to_be_visible()
        await model.release()
        await model.wait_for(state="held")
        await expect(chat.notice).to_have_text(LOST)
        await expect(chat.answers).to_have_text(["one two"])
        await expect(chat.stop).to_be_visible()

        await chat.page.context.set_offline(False)
        await expect(offline).to_be_hidden()
        await expect(chat.answers).to_have_text(["one two three"])
        await expect(chat.notice).to_have_count(0)
        await model.release()
        await chat.finished()
        await expect(chat.answers).to_have_text(["one two three four"])
        assert len(await model.requests()) == 1


async def test_a_question_that_is_asked_offline_is_answered_once_back(
    chat: Chat, model: Simulator
) -> None:
    await chat.page.context.set_offline(True)
    await chat.ask(SAY)
    await expect(chat.notice).to_have_text(LOST)
    await chat.page.context.set_offline(False)
    await chat.finished()
    await expect(chat.answers).to_have_text(["one two three four"])
    await expect(chat.questions).to_have_count(1)
    await expect(chat.notice).to_have_count(0)
    assert len(await model.requests()) == 1


async def test_who_is_offline_for_long_is_told_so_and_goes_on_once_back(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(clock=True)
    given_up = "The connection was lost. The answer may still be on its way"
    await chat.page.context.set_offline(True)
    await chat.ask(SAY)
    await expect(chat.notice).to_have_text(LOST)
    async with asyncio.timeout(GUARD_MS / 1000):
        # From one attempt to the next, until the client makes no more.
        while given_up not in (await chat.notice.text_content() or ""):
            await chat.page.clock.fast_forward(9_000)
    await expect(chat.notice.get_by_role("button", name="Try again")).to_be_visible()

    await chat.page.context.set_offline(False)
    await expect(chat.answers).to_have_text(["one two three four"])
    await chat.finished()
    await expect(chat.notice).to_have_count(0)
    assert len(await model.requests()) == 1


@pytest.mark.parametrize("earlier", [0, 1])
async def test_a_question_that_never_arrived_is_sent_after_a_reload(
    chat: Chat, model: Simulator, earlier: int
) -> None:
    for _ in range(earlier):
        await chat.asked('[simulate: say text="zero"]')
        await expect(chat.answers).to_have_text(["zero"])
    async with chat.page.expect_event("requestfailed"):
        await chat.page.route("**/api/chat", lambda route: route.abort())
        await chat.ask(SAY)
    assert len(await model.requests()) == earlier

    await chat.page.unroute("**/api/chat")
    await chat.reload()

    await expect(chat.answers).to_have_text(["zero"] * earlier + ["one two three four"])
    await chat.finished()
    assert len(await model.requests()) == earlier + 1


async def test_two_tabs_follow_one_answer(chat: Chat, model: Simulator) -> None:
    first = '[simulate: say text="zero"]'
    await chat.asked(first)
    other = await chat.another_tab()
    await chat.ask(HELD_TWICE)
    await model.wait_for(state="held")
    for tab in (chat, other):
        await expect(tab.questions).to_have_text([first, HELD_TWICE])
        await expect(tab.answers).to_have_text(["zero", "one two"])
        await expect(tab.stop).to_be_visible()
    third = await chat.another_tab()
    await expect(third.answers).to_have_text(["zero", "one two"])

    await model.release()
    await model.wait_for(state="held")
    for tab in (chat, other, third):
        await expect(tab.answers).to_have_text(["zero", "one two three"])
    await other.stop.click()
    await model.wait_for(state="aborted")
    for tab in (chat, other, third):
        await tab.finished()
        await expect(tab.answers).to_have_text(["zero", "one two three"])
        await expect(tab.notice).to_contain_text("The answer was stopped.")
        assert tab.complaints == []
    assert len(await model.requests()) == 2


async def test_a_second_window_is_told_that_an_answer_is_being_written(
    chat: Chat, open_chat: OpenChat, model: Simulator
) -> None:
    """In another browser, which no other tab tells of it."""
    await chat.asked('[simulate: say text="one"]')
    other = await open_chat(path=f"/#c={chat.conversation}")
    await expect(other.answers).to_have_text(["one"])
    await chat.ask('[simulate: say text="two three"] [simulate: hold after=1]')
    await model.wait_for(state="held")

    await other.box.fill("And me?")
    await other.box.press("Enter")

    await expect(other.notice).to_contain_text("still being written")
    await expect(other.answers).to_have_text(["one", "two"])
    await expect(other.box).to_have_value("And me?")
    await model.release()
    await other.finished()
    await expect(other.answers).to_have_text(["one", "two three"])
    await expect(other.notice).to_have_count(0)
    assert chat.complaints == []
    assert other.complaints == [refused(409, "Conflict")]


async def test_a_conversation_that_was_left_is_finished_meanwhile(
    chat: Chat, model: Simulator
) -> None:
    await chat.asked('Another one [simulate: say text="zero"]')
    await chat.new.click()
    await chat.ask(f"The one that runs {HELD_TWICE}")
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two")
    running = chat.list.get_by_role("link", name="The one that runs").first
    live = chat.list.get_by_role("img", name="An answer is being written")

    await chat.list.get_by_role("link", name="Another one").first.click()
    await expect(chat.answers).to_have_text(["zero"])
    await expect(chat.stop).to_be_hidden()
    await expect(live).to_have_count(1)
    await chat.asked('Meanwhile [simulate: say text="two at once"]')
    await expect(chat.answers).to_have_text(["zero", "two at once"])

    await running.click()
    await expect(chat.answers).to_have_text(["one two"])
    await expect(chat.stop).to_be_visible()
    await model.release()
    await model.wait_for(state="held")
    await expect(chat.answers).to_have_text(["one two three"])

    await chat.new.click()
    await model.release()
    await expect(live).to_have_count(0)
    await expect(chat.answers).to_have_count(0)
    await running.click()
    await expect(chat.answers).to_have_text(["one two three four"])
    await expect(chat.stop).to_be_hidden()
    assert len(await model.requests()) == 3
    assert chat.complaints == []


async def test_a_worker_that_is_killed_in_mid_answer(
    chat: Chat, model: Simulator, host: Host
) -> None:
    """What was stored stays, and the page says that the rest is missing."""
    await model.script({"kind": "say", "text": "one two three"}, {"kind": "hold", "after": 2})
    await chat.ask("Hello")
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two")
    where = {"conversation": chat.conversation, "text": "one two"}
    await chat.evaluate(UNTIL_STORED, where)

    await host.kill()
    await expect(chat.notice).to_have_text(LOST)
    await host.ready()
    await expect(chat.notice).to_have_count(0)
    await expect(chat.answers).to_have_text(["one two"])
    await expect(chat.stop).to_be_visible()

    # The turn was the worker's for so long.
    broken = chat.notice.filter(has_text="The answer broke off before its end.")
    await expect(broken).to_be_visible(timeout=2 * GUARD_MS)
    await expect(chat.stop).to_be_hidden()
    await expect(chat.answers).to_have_text(["one two"])
    await model.script({"kind": "say", "text": "all of it"})
    await chat.press("Try again")
    await chat.finished()
    await expect(chat.answers).to_have_text(["all of it"])
    await chat.reload()
    await expect(chat.answers).to_have_text(["all of it"])
