"""What is done with a turn: stopped, tried again, changed and run again."""

import asyncio

from playwright.async_api import Locator, Route, expect

from local.simulator import Simulator
from tests.browser.chat import Chat, refused
from tests.browser.conftest import OpenChat

SAY = '[simulate: say text="one two three"]'
HELD = f"{SAY} [simulate: hold after=2]"


def editor(chat: Chat) -> Locator:
    return chat.page.get_by_role("textbox", name="Change the question")


async def test_stop_ends_the_model_and_keeps_what_was_said(chat: Chat, model: Simulator) -> None:
    await chat.ask(HELD)
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two")

    await chat.stop.click()

    await model.wait_for(state="aborted")
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    await expect(chat.answer).to_have_text("one two")
    await expect(chat.box).to_be_focused()
    await chat.reload()
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    await expect(chat.answers).to_have_text(["one two"])
    assert chat.complaints == []


async def test_escape_stops_from_wherever_the_focus_is(chat: Chat, model: Simulator) -> None:
    await chat.ask(HELD)
    await model.wait_for(state="held")
    await chat.page.keyboard.press("Escape")
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    await model.script({"kind": "say", "text": "one two"}, {"kind": "hold", "after": 1})
    await chat.ask("Once more")
    await model.wait_for(state="held")
    await chat.new.focus()
    await chat.page.keyboard.press("Escape")
    await model.wait_for(state="aborted", count=2)
    await chat.finished()
    await expect(chat.answer).to_have_text("one")
    assert chat.complaints == []


async def test_stop_before_the_first_word(chat: Chat, model: Simulator) -> None:
    await chat.ask(f"{SAY} [simulate: hold before]")
    await model.wait_for(state="held")
    await expect(chat.page.get_by_role("img", name="Waiting for the answer")).to_be_visible()
    await chat.stop.click()
    await model.wait_for(state="aborted")
    await chat.finished()
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    await expect(chat.page.get_by_role("img", name="Waiting for the answer")).to_have_count(0)
    await expect(chat.answers).to_have_text([""])
    assert chat.complaints == []


async def test_stop_before_the_question_has_arrived_stops_it_when_it_does(
    chat: Chat, model: Simulator
) -> None:
    go = asyncio.Event()

    async def later(route: Route) -> None:
        await go.wait()
        await route.continue_()

    await chat.page.route("**/api/chat", later)
    async with chat.page.expect_response("**/stop"):
        await chat.ask(HELD)
        await chat.stop.click()
    async with chat.page.expect_response("**/stop"):
        go.set()
    await chat.finished()
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    # There was nothing to stop at first.
    assert chat.complaints == [refused(404, "Not Found")]


async def test_a_stop_that_fails_can_be_pressed_again(chat: Chat, model: Simulator) -> None:
    await chat.ask(HELD)
    await model.wait_for(state="held")
    await chat.page.route("**/stop", lambda route: route.abort())
    await chat.stop.click()
    await expect(chat.page.locator("#announcer")).to_have_text(
        "The answer could not be stopped. Try again."
    )
    await chat.page.unroute("**/stop")
    await chat.stop.click()
    await model.wait_for(state="aborted")
    await chat.finished()


async def test_a_stopped_answer_can_be_asked_again_in_its_place(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "one"}, {"kind": "hold", "after": 1})
    await chat.ask("Hello")
    await model.wait_for(state="held")
    await chat.stop.click()

    await model.script({"kind": "say", "text": "two"})
    await chat.press("Try again")

    await expect(chat.answers).to_have_text(["two"])
    await chat.finished()
    await model.script({"kind": "say", "text": "three"})
    await chat.press("Ask again")
    await expect(chat.answers).to_have_text(["three"])
    await chat.finished()
    await chat.reload()
    await expect(chat.answers).to_have_text(["three"])
    await expect(chat.questions).to_have_text(["Hello"])
    assert chat.complaints == []


async def test_an_error_in_mid_answer_is_said_and_tried_again(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "one two"}, {"kind": "error", "after": 1})
    await chat.ask("Something good")
    await chat.finished()
    await expect(chat.answers).to_have_text(["one"])
    words = await chat.notice.locator("p").inner_text()
    assert "model" in words
    await chat.reload()
    await expect(chat.notice.locator("p")).to_have_text(words)
    await model.script({"kind": "say", "text": "one two"})
    await chat.press("Try again")
    await chat.finished()
    await expect(chat.answers).to_have_text(["one two"])
    await expect(chat.notice).to_have_count(0)
    assert chat.complaints == []


async def test_who_is_to_wait_sees_for_how_long(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(clock=True)
    busy = {"kind": "status", "code": 429, "retry_after": 20}
    await model.script(busy, times=None)
    await chat.ask("Something good")
    again = chat.notice.get_by_role("button", name="Try again")
    await expect(again).to_have_text("Try again in 20 s")
    await expect(again).to_be_disabled()
    await chat.page.clock.pause_at(await chat.page.evaluate("Date.now() / 1000 + 1"))
    await chat.page.clock.fast_forward(10_000)
    await expect(again).to_have_text("Try again in 9 s")
    await expect(again).to_be_disabled()
    await chat.page.clock.fast_forward(10_000)
    await expect(again).to_have_text("Try again")
    await chat.page.clock.resume()

    await model.clear_script()
    await model.script({"kind": "say", "text": "yes"})
    await again.click()
    await chat.finished()
    await expect(chat.answers).to_have_text(["yes"])
    await expect(chat.questions).to_have_text(["Something good"])
    assert chat.complaints == [refused(429, "Too Many Requests")]


async def test_a_question_that_the_filter_refuses_goes_back_into_the_box(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "filtered_prompt"})
    await chat.box.fill("Something bad")
    await chat.box.press("Enter")
    await expect(chat.notice).to_contain_text("content filter refused this question")
    await expect(chat.box).to_have_value("Something bad")
    await expect(chat.notice.get_by_role("button")).to_have_count(0)

    await model.script({"kind": "say", "text": "yes"})
    await chat.ask("Something good")
    await chat.finished()
    await expect(chat.questions).to_have_text(["Something good"])
    await expect(chat.answers).to_have_text(["yes"])
    assert chat.complaints == [refused(400, "Bad Request")]


async def test_the_last_question_is_changed_and_run_again(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "yes"}, times=None)
    await chat.asked("First")
    await chat.asked("Second")
    edits = chat.page.get_by_role("button", name="Edit the question")
    await expect(edits).to_have_count(1)
    await chat.questions.last.hover()
    await edits.click()
    await expect(editor(chat)).to_have_value("Second")
    await expect(editor(chat)).to_be_focused()
    await chat.press("Cancel")
    await expect(chat.questions).to_have_text(["First", "Second"])

    await edits.click()
    await editor(chat).fill("Changed")
    await chat.press("Ask again", chat.page.locator("form.edit"))
    await expect(chat.questions).to_have_text(["First", "Changed"])
    await chat.finished()
    await expect(chat.answers).to_have_text(["yes", "yes"])
    await expect(chat.box).to_be_focused()
    [*_, record] = await model.requests()
    said = [message["content"] for message in record.body["messages"][1:]]
    assert said == ["First", "yes", "Changed"]

    await chat.reload()
    await expect(chat.questions).to_have_text(["First", "Changed"])
    await expect(chat.answers).to_have_text(["yes", "yes"])
    assert chat.complaints == []


async def test_arrow_up_in_the_empty_box_changes_the_last_question(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "yes"}, times=None)
    await chat.asked("First")
    await chat.box.fill("not empty")
    await chat.box.press("ArrowUp")
    await expect(editor(chat)).to_have_count(0)
    await chat.box.fill("")
    await chat.box.press("ArrowUp")
    await expect(editor(chat)).to_be_focused()
    await editor(chat).press("Shift+Enter")
    await editor(chat).type("and more")
    await editor(chat).press("Enter")
    await expect(chat.questions).to_have_text(["First\nand more"], use_inner_text=True)
    await chat.finished()
    await expect(chat.answers).to_have_text(["yes"])
    assert len(await model.requests()) == 2
    assert chat.complaints == []


async def test_a_changed_question_that_is_refused_leaves_the_turn_as_it_was(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "yes"})
    await chat.asked("Something good")
    await model.script({"kind": "filtered_prompt"})
    await chat.box.press("ArrowUp")
    await editor(chat).fill("Something bad")
    await editor(chat).press("Enter")
    await expect(chat.notice).to_contain_text("content filter refused this question")
    await expect(chat.questions.first).to_have_text("Something good")
    await expect(chat.answers.first).to_have_text("yes")
    await expect(chat.box).to_have_value("Something bad")

    await chat.reload()
    await expect(chat.questions).to_have_text(["Something good"])
    await expect(chat.answers).to_have_text(["yes"])
    await expect(chat.box).to_have_value("Something bad")
    assert chat.complaints == [refused(400, "Bad Request")]


async def test_a_changed_question_replaces_in_another_tab_as_well(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "yes"}, times=None)
    await chat.asked("First")
    other = await chat.another_tab()
    await chat.box.press("ArrowUp")
    await editor(chat).fill("Changed")
    await editor(chat).press("Enter")
    for tab in (chat, other):
        await expect(tab.questions).to_have_text(["Changed"])
        await tab.finished()
        await expect(tab.answers).to_have_text(["yes"])
        assert tab.complaints == []
