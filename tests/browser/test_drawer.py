"""The local drawer: what a developer sees of a turn in it, and breaks with it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from local.simulator import Simulator
from local.web import Web
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat

HELD = '[simulate: say text="one two three four"] [simulate: hold after=2]'
LONG = "[simulate: tokens n=30]"

type OpenDrawer = Callable[..., Awaitable["Drawer"]]


class Drawer:
    """The drawer in a tab."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.tab = chat.page.get_by_role("button", name="Local", exact=True)
        self.panel = chat.page.get_by_role("region", name="Local drawer")
        self.said = self.panel.get_by_role("status")
        self.armed = self.panel.locator(".drawer-armed")
        # The drawer has a button to stop workers, too.
        chat.stop = chat.page.locator("#stop")

    def button(self, name: str) -> Locator:
        return self.panel.get_by_role("button", name=name, exact=True)

    def part(self, name: str) -> Locator:
        return self.panel.get_by_role("region", name=name, exact=True)

    def fact(self, name: str) -> Locator:
        return self.panel.locator(".drawer-facts div", has_text=name).locator("dd")

    async def open(self) -> None:
        await self.tab.click()
        await expect(self.panel).to_be_visible()
        await expect(self.panel.locator("summary").first).to_be_visible()

    async def arm(self, group: str, title: str) -> None:
        summary = self.panel.locator("summary", has_text=group)
        await summary.click()
        await self.button(title).click()
        await summary.click()


@pytest.fixture
def drawer(chat: Chat) -> Drawer:
    return Drawer(chat)


async def test_it_is_collapsed_and_opens_closes_and_is_remembered_by_keyboard(
    drawer: Drawer, model: Simulator
) -> None:
    page = drawer.chat.page
    await expect(drawer.tab).to_have_attribute("aria-expanded", "false")
    await expect(drawer.panel).to_be_hidden()
    await drawer.chat.ask(HELD)
    await model.wait_for(state="held")

    await drawer.tab.focus()
    await page.keyboard.press("Enter")
    await expect(drawer.tab).to_have_attribute("aria-expanded", "true")
    await expect(drawer.panel).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(drawer.button("Close the drawer")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(drawer.button("Cut the connection")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(drawer.panel).to_be_hidden()
    await expect(drawer.tab).to_be_focused()
    # The key was the drawer's: the page would have stopped the answer.
    await model.wait_for(state="held")
    await expect(drawer.chat.stop).to_be_visible()

    await page.keyboard.press("Enter")
    await page.reload()
    await expect(drawer.panel).to_be_visible()
    await expect(drawer.chat.box).to_be_focused()
    await drawer.button("Close the drawer").click()
    await page.reload()
    await expect(drawer.tab).to_be_visible()
    await expect(drawer.panel).to_be_hidden()
    await model.release()
    await drawer.chat.finished()
    assert drawer.chat.complaints == []


async def test_a_fault_is_armed_seen_and_gone_by_keyboard_alone(drawer: Drawer) -> None:
    page = drawer.chat.page
    await drawer.open()
    summary = drawer.panel.locator("summary", has_text="How it breaks off")
    await summary.focus()
    await page.keyboard.press("Enter")
    fault = drawer.button("Length limit after 10 tokens")
    await expect(fault).to_have_attribute("aria-pressed", "false")
    await fault.focus()
    await page.keyboard.press("Enter")
    await expect(drawer.armed).to_contain_text("Armed: Length limit after 10 tokens")
    await expect(fault).to_have_attribute("aria-pressed", "true")
    await expect(fault).to_be_focused()

    await drawer.chat.ask(LONG)
    await expect(drawer.chat.notice).to_contain_text("limit of its length")
    await expect(drawer.armed).to_contain_text("Nothing is armed.")
    await expect(fault).to_have_attribute("aria-pressed", "false")
    await expect(drawer.fact("Model asked")).to_have_text("once: length")
    assert drawer.chat.complaints == []


async def test_an_armed_fault_is_disarmed(drawer: Drawer, model: Simulator) -> None:
    await drawer.open()
    await drawer.arm("How it breaks off", "Cut after 12 tokens")
    await expect(drawer.armed).to_contain_text("Armed: Cut after 12 tokens")
    await drawer.button("Disarm").click()
    await expect(drawer.armed).to_contain_text("Nothing is armed.")
    await expect(drawer.armed).to_be_focused()
    await drawer.chat.ask('[simulate: say text="all of it"]')
    await expect(drawer.chat.answers).to_have_text(["all of it"])
    await drawer.chat.finished()
    await expect(drawer.chat.notice).to_have_count(0)


async def test_the_last_turn_in_figures(drawer: Drawer, model: Simulator) -> None:
    await drawer.open()
    await drawer.chat.ask('First [simulate: say text="one two"]')
    await drawer.chat.finished()
    await drawer.chat.ask('Second [simulate: say text="three four five"]')
    await drawer.chat.finished()

    for name in ("First event after", "First text after", "In all"):
        await expect(drawer.fact(name)).to_contain_text("s")
    await expect(drawer.fact("Outcome")).to_have_text("stop")
    await expect(drawer.fact("Model asked")).to_have_text("once: stop")
    await expect(drawer.fact("Usage")).to_contain_text("3 written")
    await expect(drawer.fact("Connections")).to_have_text("1")
    tokens = drawer.panel.get_by_role("table", name="Tokens by part")
    await expect(tokens.get_by_role("row", name="History, 2 messages")).to_be_visible()
    answer = tokens.get_by_role("row").filter(has=drawer.chat.page.get_by_role("rowheader"))
    await expect(answer.last).to_contain_text("Answer")
    await expect(answer.last.get_by_role("cell").first).to_have_text("3")
    store = drawer.panel.get_by_role("table", name="Store requests: 1 read, 2 writes")
    await expect(store.get_by_role("rowheader")).to_have_text(
        [
            "read head and newest messages",
            "begin: a transaction of 6 rows",
            "end: merge of the answer",
        ]
    )
    await expect(store.get_by_role("cell", name="PATCH")).to_be_visible()
    assert drawer.chat.complaints == []


async def test_the_messages_sent_are_shown_as_text_and_copied(
    drawer: Drawer, model: Simulator
) -> None:
    page = drawer.chat.page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    hostile = '<img src=x onerror="alert(1)"> **not bold** [simulate: say text="fine"]'
    await drawer.open()
    await drawer.chat.ask(hostile)
    await drawer.chat.finished()

    sent = drawer.part("Messages sent")
    await expect(sent).to_contain_text("2 messages to chat.")
    await sent.locator("summary", has_text="user").click()
    await expect(sent.locator("li pre").last).to_have_text(hostile)
    await expect(sent.locator("img, strong")).to_have_count(0)
    await sent.locator("summary", has_text="Parameters").click()
    await expect(sent.locator("pre").last).to_contain_text('"temperature": 0.7')
    await drawer.button("Copy as JSON").click()
    await expect(drawer.said).to_have_text("2 messages copied.")
    [record] = await model.requests()
    copied = await page.evaluate("() => navigator.clipboard.readText()")
    assert json.loads(copied) == record.body["messages"]
    assert drawer.chat.complaints == []


async def test_a_held_answer_is_let_go_on(drawer: Drawer, model: Simulator) -> None:
    await drawer.open()
    await drawer.arm("When it says it", "Hold after 8 tokens")
    await drawer.chat.ask(LONG)
    await model.wait_for(state="held")
    await drawer.button("Let a held answer go on").click()
    await expect(drawer.said).to_have_text("1 answer let go on.")
    await drawer.chat.finished()
    await drawer.button("Let a held answer go on").click()
    await expect(drawer.said).to_have_text("No answer is held.")


async def test_a_cut_in_mid_answer_heals(drawer: Drawer, model: Simulator) -> None:
    page = drawer.chat.page
    await drawer.open()
    await drawer.chat.ask(HELD)
    await model.wait_for(state="held")
    await expect(drawer.chat.answer).to_have_text("one two")

    async with page.expect_request(lambda request: "/stream?after=" in request.url):
        await drawer.button("Cut the connection").click()
    await expect(drawer.said).to_have_text("Cut 1 stream.")
    await model.release()

    await drawer.chat.finished()
    await expect(drawer.chat.answers).to_have_text(["one two three four"])
    await expect(drawer.fact("Connections")).to_have_text("2, 1 of them cut")
    await drawer.button("Cut the connection").click()
    await expect(drawer.said).to_contain_text("nothing to cut")
    assert len(await model.requests()) == 1
    assert drawer.chat.complaints == []


async def test_a_worker_killed_in_mid_answer_is_noticed_at_once(
    drawer: Drawer, model: Simulator
) -> None:
    page = drawer.chat.page
    await drawer.open()
    worker = drawer.panel.locator(".drawer-worker")
    await expect(worker).to_contain_text("Worker 0, process")
    before = await worker.locator("span").text_content()
    await drawer.chat.ask(HELD)
    await model.wait_for(state="held")
    await expect(drawer.chat.answer).to_have_text("one two")

    # Long before the 25 s of silence after which the page gives a connection up.
    attached = page.expect_request(lambda r: "/stream?after=" in r.url, timeout=15_000)
    async with attached:
        await drawer.button("Kill worker 0").click()
    await expect(drawer.said).to_contain_text("Worker 0 was killed")
    await expect(worker).not_to_have_text(str(before))
    await expect(worker).to_contain_text("process")
    await expect(drawer.chat.answer).to_have_text("one two")


@pytest.mark.parametrize("width", [390, 800, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_and_covers_neither_composer_nor_itself(
    open_chat: OpenChat, width: int, scheme: Any
) -> None:
    drawer = Drawer(await open_chat(width=width))
    page = drawer.chat.page
    await page.emulate_media(color_scheme=scheme)
    await expect(drawer.tab).to_be_visible()
    tab, composer = await drawer.tab.bounding_box(), await drawer.chat.box.bounding_box()
    assert tab
    assert composer
    assert tab["y"] + tab["height"] < composer["y"]
    await drawer.open()
    panel = await drawer.panel.bounding_box()
    assert panel
    assert panel["x"] >= 24
    assert panel["x"] + panel["width"] <= width
    widths = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    content, screen = await page.evaluate(widths)
    assert content <= screen
    if width >= 1280:
        composer = await drawer.chat.box.bounding_box()
        assert composer
        assert composer["x"] + composer["width"] <= panel["x"]
    inner = "(e) => e.scrollWidth <= e.clientWidth"
    assert await drawer.panel.evaluate(inner)
    assert drawer.chat.complaints == []


async def test_roles_and_names(drawer: Drawer) -> None:
    await drawer.open()
    await expect(drawer.panel.get_by_role("heading", level=3)).to_have_text(
        ["Pull the plug", "The last turn", "Messages sent"]
    )
    controls = await drawer.tab.get_attribute("aria-controls")
    assert controls == await drawer.panel.get_attribute("id")
    for summary in await drawer.panel.locator(".drawer-faults summary").all():
        await summary.click()
    buttons = await drawer.panel.get_by_role("button").all()
    assert len(buttons) >= 26
    described = drawer.button("Stall after 8 tokens")
    about = await described.get_attribute("aria-describedby")
    await expect(drawer.chat.page.locator(f"#{about}")).to_contain_text("stands still")
    unnamed = """(panel) => [...panel.querySelectorAll("button, summary")].filter(
      (e) => !(e.getAttribute("aria-label") ?? e.textContent).trim()).length"""
    assert await drawer.panel.evaluate(unnamed) == 0


async def test_what_the_stack_cannot_do_is_said(drawer: Drawer) -> None:
    await drawer.open()
    refuse = '{"detail": "The Functions host does not answer."}'
    await drawer.chat.page.route(
        "**/api/local/workers/**",
        lambda route: route.fulfill(
            status=502, body=refuse, headers={"content-type": "application/problem+json"}
        ),
    )
    await drawer.button("Kill worker 0").click()
    await expect(drawer.said).to_have_text("The Functions host does not answer.")


async def test_the_drawer_guards_itself_through_the_web_emulator(chat: Chat, web: Web) -> None:
    statuses = await chat.page.evaluate("""async () => {
      const ask = async (init) => (await fetch("/api/local/cut", init)).status;
      return [
        await ask({ method: "POST" }),
        await ask({ method: "POST", headers: { "x-local-drawer": "1" } }),
      ];
    }""")
    assert statuses == [403, 200]
    request = chat.page.context.request
    rebound = await request.get(
        f"{web.url}/api/local/state", headers={"host": f"evil.example:{web.port}"}
    )
    assert rebound.status == 403
