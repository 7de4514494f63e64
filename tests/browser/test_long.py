"""A conversation of 10,000 messages: only what is looked at is loaded, laid out and touched."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, Route, expect

from local.simulator import Simulator
from local.simulator.tokens import pieces_of
from local.storage_meter import Meter
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.seeding import Seed, seed

USER = "Ida Long"
TURNS = 5_000
PAGE = 25
"""Turns in one page of messages."""
TOP_OF = "(it) => Math.round(it.getBoundingClientRect().top)"
COLLECT = """() => {
  window.touched = new Set();
  const note = (node) => touched.add(
    (node.nodeType === 1 ? node : node.parentElement).closest(".message") ?? node);
  new MutationObserver((records) => records.forEach(({ target, addedNodes }) => {
    note(target);
    addedNodes.forEach(note);
  })).observe(document.getElementById("messages"),
    { subtree: true, childList: true, characterData: true, attributes: true });
}"""
TOUCHED = """() => [...touched].filter((it) => it.id !== "messages")
  .map((it) => [...document.querySelectorAll(".message")].toReversed().indexOf(it))"""
VISIBILITY = """(its) => its.map((it) => getComputedStyle(it).contentVisibility)"""
SKIPPED = (
    """(its) => its.filter((it) => !it.checkVisibility({ contentVisibilityAuto: true })).length"""
)


@asynccontextmanager
async def held_back(page: Page, url: str) -> AsyncIterator[asyncio.Event]:
    """Lets no request to `url` go before the event is set."""
    let_go = asyncio.Event()

    async def later(route: Route) -> None:
        await let_go.wait()
        await route.continue_()

    await page.route(url, later)
    yield let_go


@pytest.fixture(scope="module")
async def long(meter: Meter) -> None:
    await seed(meter, USER, [Seed("long", "A long conversation", TURNS)])


async def earlier(chat: Chat, count: int) -> None:
    """Scrolls up until so many turns are there."""
    while await chat.questions.count() < count:
        there = await chat.questions.count()
        await chat.page.evaluate("scrollTo(0, 0)")
        await expect(chat.questions).to_have_count(there + PAGE)


@pytest.mark.usefixtures("long")
async def test_one_page_of_messages_is_asked_for_and_the_next_ones_by_scrolling_up(
    open_chat: OpenChat,
) -> None:
    chat = await open_chat(user=USER)
    asked: list[str] = []
    chat.page.on("request", lambda it: asked.append(it.url) if "/messages?" in it.url else None)
    await chat.list.get_by_role("link", name="A long conversation").click()
    await expect(chat.questions.last).to_have_text(f"Question {TURNS - 1}?")
    await expect(chat.page.locator(".message")).to_have_count(2 * PAGE)
    await expect(chat.questions.last).to_be_in_viewport()
    assert len(asked) == 1
    assert asked[0].endswith("/messages?limit=50")

    await chat.page.mouse.move(600, 300)
    first = chat.questions.first
    await expect(first).to_have_text(f"Question {TURNS - PAGE}?")
    handle = await first.element_handle()
    assert handle
    await chat.page.mouse.wheel(0, -1_000_000)
    await expect(chat.questions).to_have_count(2 * PAGE)
    await expect(first).to_have_text(f"Question {TURNS - 2 * PAGE}?")
    assert len(asked) == 2
    assert "cursor=" in asked[1]
    assert chat.complaints == []


@pytest.mark.usefixtures("long")
async def test_what_is_read_stays_in_its_place_while_earlier_messages_come(
    open_chat: OpenChat,
) -> None:
    chat = await open_chat(user=USER, path="/#c=long")
    await expect(chat.questions.last).to_have_text(f"Question {TURNS - 1}?")
    async with held_back(chat.page, "**/messages?*cursor=*") as let_go:
        await chat.page.evaluate("scrollTo(0, 200)")
        read = chat.page.get_by_text(f"Question {TURNS - PAGE + 1}?", exact=True)
        await expect(read).to_be_in_viewport()
        before = await read.evaluate(TOP_OF)
        let_go.set()
    await expect(chat.questions).to_have_count(2 * PAGE)
    assert abs(await read.evaluate(TOP_OF) - before) <= 1
    assert chat.complaints == []


@pytest.mark.usefixtures("long")
async def test_an_answer_touches_nothing_of_a_thousand_messages_but_itself(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user=USER, path="/#c=long")
    await expect(chat.questions.last).to_have_text(f"Question {TURNS - 1}?")
    await earlier(chat, 500)
    messages = chat.page.locator(".message")
    await expect(messages).to_have_count(1000)
    batches = chat.page.locator(".batch.settled")
    await expect(batches).to_have_count(500 // PAGE)
    assert set(await batches.evaluate_all(VISIBILITY)) == {"auto"}
    assert await messages.evaluate_all(SKIPPED) > 800

    text = "one **two** three\n\n- four\n- five\n\nsix seven eight"
    holds = [{"kind": "hold", "after": after} for after in (1, len(pieces_of(text)) - 1)]
    await model.script({"kind": "say", "text": text}, *holds)
    await chat.ask("And now?")
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one")
    await chat.page.evaluate(COLLECT)
    await model.release()
    await model.wait_for(state="held")
    await expect(chat.answer).to_contain_text("seven")
    # Counted from the end: the answer itself.
    assert await chat.page.evaluate(TOUCHED) == [0]
    await model.release()
    await chat.finished()
    await expect(chat.answer).to_contain_text("six seven eight")
    # And its question, which can now be changed.
    assert set(await chat.page.evaluate(TOUCHED)) == {0, 1}
    await expect(chat.answer).to_be_in_viewport()
    [record] = await model.requests()
    assert len(record.body["messages"]) < 50
    assert chat.complaints == []
