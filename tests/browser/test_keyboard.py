"""Everything without a mouse, and the focus is never lost."""

from playwright.async_api import Locator, expect

from local.simulator import Simulator
from local.storage_meter import Meter
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.seeding import Seed, seed
from tests.browser.test_list import TITLE, ask_three

FOCUSED = """() => {
  const it = document.activeElement;
  return it.getAttribute("aria-label") ?? it.labels?.[0]?.textContent ?? it.textContent.trim();
}"""


async def focused(chat: Chat) -> str:
    name: str = await chat.page.evaluate(FOCUSED)
    return " ".join(name.split())


async def tab_to(chat: Chat, wanted: Locator, key: str = "Tab") -> None:
    """Presses Tab until the focus is there, as far as there is anything to go to."""
    for _ in range(60):
        if await wanted.evaluate("(it) => it === document.activeElement"):
            return
        await chat.page.keyboard.press(key)
    raise AssertionError(f"Tab does not lead to {wanted}, but to {await focused(chat)}")


async def test_the_order_of_tabs(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Kay Order")
    await ask_three(chat, model)
    await tab_to(chat, chat.page.get_by_role("link", name="To the question box"), "Shift+Tab")
    order = [await focused(chat)]
    while order[-1] != "Local":
        await chat.page.keyboard.press("Tab")
        order.append(await focused(chat))
    assert order == [
        "To the question box",
        "Close the list",
        "New chat",
        *("third", "Rename", "Delete", "second", "Rename", "Delete", "first", "Rename", "Delete"),
        "Sign out",
        "Theme: the system's",
        "Edit the question",
        "Copy the answer",
        "Ask again",
        "Usage",
        "Your question",
        "Local",
    ]
    assert chat.complaints == []


async def test_the_skip_link_leads_to_the_box(chat: Chat) -> None:
    await expect(chat.box).to_be_focused()
    skip = chat.page.get_by_role("link", name="To the question box")
    await tab_to(chat, skip, "Shift+Tab")
    await expect(skip).to_be_in_viewport()
    await chat.page.keyboard.press("Enter")
    await expect(chat.box).to_be_focused()
    await chat.page.keyboard.type("Hello")
    await expect(chat.box).to_have_value("Hello")
    assert chat.complaints == []


async def test_a_whole_conversation_by_keyboard(chat: Chat, model: Simulator) -> None:
    keyboard = chat.page.keyboard
    await tab_to(
        chat, chat.page.get_by_role("button", name="Which settings are there?"), "Shift+Tab"
    )
    await keyboard.press("Enter")
    await chat.finished()
    await expect(chat.questions).to_have_text(["Which settings are there?"])
    await expect(chat.box).to_be_focused()

    await model.script({"kind": "say", "text": "```js\n" + "wide" * 80 + "\n```\n\none two"})
    await keyboard.type("Write code")
    await keyboard.press("Enter")
    await chat.finished()
    await expect(chat.box).to_be_focused()
    await tab_to(chat, chat.page.get_by_role("button", name="Usage").last, "Shift+Tab")
    await keyboard.press("Space")
    await expect(chat.page.locator(".usage:visible")).to_have_count(1)
    await tab_to(chat, chat.page.get_by_role("button", name="Copy the answer").last, "Shift+Tab")
    await keyboard.press("Enter")
    await expect(chat.page.locator("#announcer")).to_have_text("Copied.")
    block = chat.page.get_by_role("group", name="Code, js")
    await tab_to(chat, block, "Shift+Tab")
    await keyboard.press("ArrowRight")
    await chat.page.wait_for_function("() => document.activeElement.scrollLeft > 0")
    await tab_to(chat, chat.page.get_by_role("button", name="Copy code"), "Shift+Tab")
    await keyboard.press("Enter")
    copied = chat.page.get_by_role("button", name="Copy code")
    await expect(copied).to_have_text("Copied")
    await expect(copied).to_be_focused()

    await tab_to(chat, chat.page.get_by_role("button", name="Ask again").last)
    await model.script({"kind": "say", "text": "again"})
    await keyboard.press("Enter")
    await chat.finished()
    await expect(chat.answer).to_have_text("again")
    await expect(chat.box).to_be_focused()
    assert chat.complaints == []


async def test_stopping_leaves_the_focus_in_the_box(chat: Chat, model: Simulator) -> None:
    held = '[simulate: say text="one two"] [simulate: hold after=1]'
    await chat.ask(held)
    await model.wait_for(state="held")
    await tab_to(chat, chat.stop)
    await chat.page.keyboard.press("Enter")
    await chat.finished()
    await expect(chat.box).to_be_focused()
    await tab_to(chat, chat.page.get_by_role("button", name="Try again"), "Shift+Tab")
    await chat.page.keyboard.press("Enter")
    await model.wait_for(state="held")
    await expect(chat.box).to_be_focused()
    await chat.page.keyboard.press("Escape")
    await chat.finished()
    await expect(chat.box).to_be_focused()
    assert chat.complaints == []


async def test_changing_a_question_leaves_the_focus_where_one_goes_on(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "yes"}, times=None)
    await chat.asked("First")
    edit = chat.page.get_by_role("button", name="Edit the question")
    editor = chat.page.get_by_role("textbox", name="Change the question")
    await tab_to(chat, edit, "Shift+Tab")
    await chat.page.keyboard.press("Enter")
    await expect(editor).to_be_focused()
    await chat.page.keyboard.press("Escape")
    await expect(edit).to_be_focused()
    await chat.page.keyboard.press("Enter")
    await tab_to(chat, chat.page.get_by_role("button", name="Cancel"))
    await chat.page.keyboard.press("Enter")
    await expect(edit).to_be_focused()
    await chat.page.keyboard.press("Enter")
    await chat.page.keyboard.type(" changed")
    await tab_to(chat, chat.page.locator("form.edit").get_by_role("button", name="Ask again"))
    await chat.page.keyboard.press("Enter")
    await expect(chat.questions).to_have_text(["First changed"])
    await chat.finished()
    await expect(chat.box).to_be_focused()
    assert chat.complaints == []


async def test_the_list_by_keyboard(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Kay List")
    keyboard = chat.page.keyboard
    await ask_three(chat, model)
    link = {name: chat.list.get_by_role("link", name=name) for name in ("first", "second", "third")}
    await tab_to(chat, link["third"], "Shift+Tab")
    for key, name in [("ArrowDown", "second"), ("ArrowDown", "first"), ("ArrowUp", "second")]:
        await keyboard.press(key)
        await expect(link[name]).to_be_focused()
    await keyboard.press("Enter")
    await expect(chat.questions).to_have_text(["second"])

    await link["second"].focus()
    await keyboard.press("F2")
    await expect(chat.list.get_by_role("textbox", name=TITLE)).to_be_focused()
    await keyboard.type("2nd")
    await keyboard.press("Enter")
    renamed = chat.list.get_by_role("link", name="2nd")
    await expect(renamed).to_be_focused()
    await keyboard.press("F2")
    await keyboard.type("no")
    await keyboard.press("Escape")
    await expect(renamed).to_be_focused()
    await tab_to(chat, chat.row("2nd").get_by_role("button", name="Rename"))
    await keyboard.press("Enter")
    await keyboard.type("two")
    await keyboard.press("Enter")
    await expect(chat.list.get_by_role("link", name="two")).to_be_focused()

    await keyboard.press("Delete")
    await expect(link["first"]).to_be_focused()
    await keyboard.press("Control+z")
    await expect(chat.list.get_by_role("link", name="two")).to_have_count(1)
    await expect(link["first"]).to_be_focused()
    # The last one hands on to the one above it, and the only one to the way to a new chat.
    await keyboard.press("Delete")
    await expect(chat.list.get_by_role("link", name="two")).to_be_focused()
    await tab_to(chat, chat.row("two").get_by_role("button", name="Delete"))
    await keyboard.press("Enter")
    await expect(link["third"]).to_be_focused()
    await keyboard.press("Delete")
    await expect(chat.new).to_be_focused()
    await keyboard.press("Enter")
    await expect(chat.box).to_be_focused()
    assert chat.complaints == []


async def test_undo_by_its_button_leads_back_to_the_row(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user="Kay Undo", clock=True)
    await ask_three(chat, model)
    for title, other in [("second", "first"), ("third", "second")]:
        link = chat.list.get_by_role("link", name=title)
        await link.focus()
        await chat.page.keyboard.press("Delete")
        await expect(chat.list.get_by_role("link", name=other)).to_be_focused()
        undo = chat.toast.get_by_role("button", name="Undo")
        await tab_to(chat, undo)
        await chat.page.clock.fast_forward(60_000)
        await expect(undo).to_be_focused()
        await chat.page.keyboard.press("Enter")
        await expect(link).to_be_focused()
    assert chat.complaints == []


async def test_older_conversations_by_keyboard(open_chat: OpenChat, meter: Meter) -> None:
    seeds = [Seed(f"k{number}", f"number {number}", began=9_000 - number) for number in range(60)]
    await seed(meter, "Kay Older", seeds)
    chat = await open_chat(user="Kay Older")
    more = chat.list.get_by_role("button", name="Show older ones")
    await more.focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.listed).to_have_count(60)
    await expect(chat.list.get_by_role("link", name="number 50")).to_be_focused()
    assert chat.complaints == []


async def test_earlier_messages_by_keyboard(open_chat: OpenChat, meter: Meter) -> None:
    await seed(meter, "Kay Earlier", [Seed("k", "Kept", turns=27)])
    chat = await open_chat(user="Kay Earlier", path="/#c=k")
    button = chat.page.get_by_role("button", name="Show earlier messages")
    await expect(chat.questions).to_have_count(25)
    await button.focus()
    await expect(chat.questions).to_have_count(27)
    await expect(button).to_be_hidden()
    assert await chat.page.evaluate("document.activeElement !== document.body")
    assert chat.complaints == []


async def test_the_list_on_a_narrow_screen(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Kay Narrow", width=600)
    keyboard = chat.page.keyboard
    await model.script({"kind": "say", "text": "yes"}, times=None)
    await chat.asked("first")
    opener = chat.page.get_by_role("button", name="Conversations")
    close = chat.page.get_by_role("button", name="Close the list")
    await tab_to(chat, opener, "Shift+Tab")
    await keyboard.press("Enter")
    await expect(close).to_be_focused()
    await expect(chat.page.locator("#page")).to_have_js_property("inert", True)
    await keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await expect(chat.list).to_be_hidden()
    await keyboard.press("Enter")
    await expect(close).to_be_focused()
    await keyboard.press("Enter")
    await expect(opener).to_be_focused()

    await keyboard.press("Enter")
    await tab_to(chat, chat.list.get_by_role("link", name="first"))
    await keyboard.press("Enter")
    await expect(chat.list).to_be_hidden()
    await expect(opener).to_be_focused()
    await keyboard.press("Enter")
    await tab_to(chat, chat.new)
    await keyboard.press("Enter")
    await expect(chat.list).to_be_hidden()
    await expect(chat.box).to_be_focused()
    assert chat.complaints == []


async def test_escape_closes_the_list_before_it_stops_an_answer(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(width=600)
    await chat.ask('[simulate: say text="one two"] [simulate: hold after=1]')
    await model.wait_for(state="held")
    await chat.press("Conversations")
    await expect(chat.page.get_by_role("button", name="Close the list")).to_be_focused()
    await chat.page.keyboard.press("Escape")
    await expect(chat.list).to_be_hidden()
    await expect(chat.stop).to_be_visible()
    assert [record.state for record in await model.requests()] == ["held"]
    await chat.page.keyboard.press("Escape")
    await chat.finished()
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    assert chat.complaints == []
