"""No violation that axe-core finds, in both themes, on wide and narrow screens."""

from typing import Any

from playwright.async_api import expect

from local.simulator import Simulator
from local.web import Web
from tests.browser.chat import Chat
from tests.browser.conftest import ROOT, OpenChat
from tests.browser.test_list import TITLE, ask_three

WIDTHS = (1280, 768, 360)
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# Everything that axe knows and that is a rule, not an experiment.
RUN = """async () => {
  // The page hears of another width with the next frame.
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) =>
    [id, ...nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)}: ${failureSummary}`)]);
}"""
EVERYTHING = (
    "# A heading\n\nText with `code`, a [link](https://docs.example.com/) and [1], [3].\n\n"
    "> A quote.\n\n- one\n- two\n\n```python\n# wide\ndef f(x):\n    return f'{x} and 42'\n```\n\n"
    "| a | b |\n|---|---|\n| c | d |\n\n" + "A long paragraph. " * 40
)
DOCUMENTS = [
    {"id": "1", "title": "Opening hours", "content": "x", "url": "https://docs.example.com/hours"},
    {"id": "2", "title": "The map", "content": "y"},
    {"content": "z", "url": "https://docs.example.com/plain"},
]
FIND = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


async def check(chat: Chat, widths: tuple[int, ...] = WIDTHS) -> None:
    """Looks at what is shown now, in both themes and at every width."""
    # By the debugger, past the page's policy.
    await chat.page.evaluate(AXE.read_text("utf-8"))
    found: list[Any] = []
    for width in widths:
        await chat.page.set_viewport_size({"width": width, "height": 800})
        for theme in ("light", "dark"):
            await chat.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found += [(width, theme, *it) for it in await chat.page.evaluate(RUN)]
    assert found == [], "\n".join(map(str, found))


async def test_the_welcome_page(chat: Chat) -> None:
    await check(chat)
    assert chat.complaints == []


async def test_while_an_answer_is_awaited_and_written(chat: Chat, model: Simulator) -> None:
    await model.script(
        {"kind": "reasoning", "text": "Hm."},
        {"kind": "say", "text": EVERYTHING},
        {"kind": "hold", "after": 0},
        {"kind": "hold", "after": 60},
    )
    await chat.ask("Everything, please.")
    await model.wait_for(state="held")
    await expect(chat.page.locator(".answer summary")).to_have_text("Thinking …")
    await check(chat)
    await model.release()
    await model.wait_for(state="held")
    await expect(chat.answer.locator("pre")).to_be_visible()
    await check(chat)
    await model.release()
    await chat.finished()
    assert chat.complaints == []


async def test_an_answer_with_everything(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    await model.script(
        {"kind": "reasoning", "text": "Hm. " * 300},
        {"kind": "say", "text": EVERYTHING},
        {"kind": "tool", "name": "find", "arguments": '{"what": "tea"}'},
    )
    await chat.begin("Everything", context=DOCUMENTS, options={"tools": [FIND]})
    await chat.finished()
    await expect(chat.answer.locator(".hljs-keyword").first).to_be_visible()
    await expect(chat.notice).to_contain_text("this page has none")
    for summary in await chat.page.locator(".answer summary").all():
        await summary.click()
    await chat.press("Usage")
    await check(chat)


async def test_an_error_an_edit_and_the_toast(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Axel Error", clock=True)
    await ask_three(chat, model)
    await model.clear_script()
    await model.script({"kind": "say", "text": "one two"}, {"kind": "error", "after": 1})
    await chat.asked("Fail")
    await expect(chat.notice.get_by_role("button", name="Try again")).to_be_visible()
    await chat.row("first").hover()
    await chat.press("Delete", chat.row("first"))
    await expect(chat.toast).to_be_visible()
    # Pointed at, it stays.
    await chat.toast.hover()
    await check(chat)
    await chat.page.set_viewport_size({"width": 1280, "height": 800})
    await chat.box.press("ArrowUp")
    await expect(chat.page.get_by_role("textbox", name="Change the question")).to_be_focused()
    await check(chat)
    assert chat.complaints == []


async def test_a_title_that_is_being_changed(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Axel Rename")
    await ask_three(chat, model)
    await chat.press("Rename", chat.row("third"))
    await expect(chat.list.get_by_role("textbox", name=TITLE)).to_be_focused()
    await check(chat, (1280,))
    assert chat.complaints == []


async def test_the_open_list_on_a_narrow_screen(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Axel Narrow", width=768)
    await model.script({"kind": "say", "text": "yes"})
    await chat.asked("first")
    await chat.press("Conversations")
    await expect(chat.list).to_be_visible()
    await check(chat, (768, 360))
    assert chat.complaints == []


async def test_the_open_drawer(chat: Chat) -> None:
    await chat.press("Local")
    await expect(chat.page.get_by_role("region", name="Local drawer")).to_be_visible()
    await check(chat)
    assert chat.complaints == []
