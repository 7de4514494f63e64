"""What a user does with the page: ask, watch the answer arrive, ask on, begin anew."""

import re

import pytest
from playwright.async_api import expect

from local.simulator import Simulator
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat, Theme

SCROLLED = "document.documentElement.scrollTop"
FROM_THE_END = """(() => {
  const { scrollHeight, clientHeight, scrollTop } = document.documentElement;
  return Math.round(scrollHeight - clientHeight - scrollTop);
})()"""


async def test_an_answer_arrives_in_steps_and_is_remembered(chat: Chat, model: Simulator) -> None:
    say = '[simulate: say text="one two **three** four five six"]'
    holds = "[simulate: hold after=2] [simulate: hold after=5]"
    await chat.ask(f"Count, please. {say} {holds}")
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two")
    await expect(chat.stop).to_be_visible()
    await model.release()
    await expect(chat.answer).to_have_text("one two three")
    await expect(chat.answer.locator("strong")).to_have_text("three")
    await model.wait_for(state="held")

    await model.release()
    await chat.finished()
    await expect(chat.answer).to_have_text("one two three four five six")

    await chat.asked("What did I say before?")
    await expect(chat.answer.locator("blockquote")).to_contain_text("Count, please.")
    await expect(chat.questions).to_have_count(2)

    await chat.reload()
    await expect(chat.answer.locator("blockquote")).to_contain_text("Count, please.")
    await expect(chat.questions).to_have_count(2)
    await expect(chat.answers).to_have_count(2)
    await expect(chat.answers.first).to_have_text("one two three four five six")
    assert len(await model.requests()) == 2
    assert chat.complaints == []


async def test_what_arrives_is_followed_unless_the_reader_has_scrolled_up(
    chat: Chat, model: Simulator
) -> None:
    text = "\\n\\n".join(f"paragraph{n} more." for n in range(60))
    to_newest = chat.page.get_by_role("button", name="To the newest words")
    await chat.ask(
        f'[simulate: say text="{text}"] [simulate: hold after=60] [simulate: hold after=90]'
    )
    await model.wait_for(state="held")
    await expect(chat.answer).to_contain_text("paragraph2")
    await expect(to_newest).to_be_hidden()
    assert await chat.page.evaluate(FROM_THE_END) <= 1

    await chat.page.mouse.move(600, 300)
    await chat.page.mouse.wheel(0, -300)
    await expect(to_newest).to_be_visible()
    before = await chat.page.evaluate(SCROLLED)
    said = len(await chat.answer.inner_text())
    await model.release()
    await expect(chat.answer).not_to_have_text(re.compile(rf"^.{{0,{said}}}$", re.DOTALL))
    await model.wait_for(state="held")
    assert await chat.page.evaluate(SCROLLED) == before

    await to_newest.click()
    await expect(to_newest).to_be_hidden()
    await model.release()
    await chat.finished()
    await expect(chat.answer).to_contain_text("paragraph59")
    assert await chat.page.evaluate(FROM_THE_END) <= 1
    assert chat.complaints == []


async def test_the_suggested_questions_are_answered_from_the_documents(chat: Chat) -> None:
    suggestions = await chat.page.locator("#welcome li button").all_text_contents()
    assert len(suggestions) == 4
    for number, suggestion in enumerate(suggestions, 1):
        await chat.page.get_by_role("button", name=suggestion).click()
        await expect(chat.answer).to_contain_text("Source:")
        await chat.finished()
        await expect(chat.questions).to_have_text([suggestion])
        if number < len(suggestions):
            await chat.new.click()
    assert chat.complaints == []


async def test_a_new_chat_leaves_two_ways_back(open_chat: OpenChat) -> None:
    """By the browser's Back, and by the list at the side."""
    chat = await open_chat(user="Nora")
    await chat.press("Which faults can the simulator play?")
    await expect(chat.answer).to_contain_text("Source:")
    await chat.finished()

    await chat.new.click()
    await expect(chat.answers).to_have_count(0)
    await expect(chat.page.locator("#welcome")).to_be_visible()
    await expect(chat.page).to_have_title("Streaming chat")
    await chat.asked('[simulate: say text="another"]')
    await expect(chat.answers).to_have_text(["another"])

    await chat.page.go_back()
    await expect(chat.page.locator("#welcome")).to_be_visible()
    await chat.page.go_back()
    await expect(chat.answer).to_contain_text("Source:")
    await expect(chat.questions).to_have_count(1)
    await expect(chat.page).to_have_title(re.compile("^Which faults can the simulator play"))
    await chat.new.click()
    await chat.list.get_by_role("link", name="Which faults can the simulator play?").click()
    await expect(chat.answer).to_contain_text("Source:")
    await expect(chat.questions).to_have_count(1)
    assert chat.complaints == []


async def test_an_input_methods_enter_does_not_ask(chat: Chat) -> None:
    await chat.box.fill("に")
    await chat.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await chat.box.press("Shift+Enter")
    await expect(chat.box).to_have_value("に\n")
    await expect(chat.questions).to_have_count(0)
    assert chat.complaints == []


async def test_what_is_being_typed_survives_a_reload(chat: Chat) -> None:
    await expect(chat.send).to_be_disabled()
    await chat.box.fill("Half a quest")
    await chat.reload()
    await expect(chat.box).to_have_value("Half a quest")
    await expect(chat.send).to_be_enabled()
    await chat.box.fill("   ")
    await chat.box.press("Enter")
    await expect(chat.questions).to_have_count(0)
    assert chat.complaints == []


async def test_everything_fits_a_narrow_screen(open_chat: OpenChat) -> None:
    chat = await open_chat(width=360)
    wide = "wide" * 50
    await chat.asked(
        f'{wide} [simulate: say text="# {wide}\\n\\n```\\n{wide}\\n```\\n\\n'
        f'| {wide} | b |\\n|---|---|\\n| c | d |\\n\\n`{wide}`"]'
    )
    await expect(chat.page.locator(".answer table")).to_be_visible()
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    for width in (360, 320):
        await chat.page.set_viewport_size({"width": width, "height": 800})
        content, screen = await chat.page.evaluate(widths)
        assert content <= screen == width
    await expect(chat.list).to_be_hidden()
    await chat.press("Conversations")
    await expect(chat.list).to_be_visible()
    content, screen = await chat.page.evaluate(widths)
    assert content <= screen
    assert chat.complaints == []


@pytest.mark.parametrize("system", ["light", "dark"])
async def test_the_theme_is_the_systems_until_one_is_chosen(
    open_chat: OpenChat, system: Theme
) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(253, 253, 252)", "dark": "rgb(19, 23, 22)"}
    chat = await open_chat(theme=system)
    button = chat.page.locator("#theme")
    assert await chat.page.evaluate(ground) == colours[system]
    await expect(button).to_have_accessible_name("Theme: the system's")
    for chosen in ("light", "dark"):
        await button.click()
        await expect(button).to_have_accessible_name(f"Theme: {chosen}")
        assert await chat.page.evaluate(ground) == colours[chosen]
        await chat.reload()
        await expect(button).to_have_accessible_name(f"Theme: {chosen}")
        assert await chat.page.evaluate(ground) == colours[chosen]
    await button.click()
    await expect(button).to_have_accessible_name("Theme: the system's")
    assert await chat.page.evaluate(ground) == colours[system]
    assert chat.complaints == []
