"""The list of conversations: its order, other titles, older ones, other tabs."""

import re
import time
from datetime import datetime, timedelta

from playwright.async_api import expect

from local.simulator import Simulator
from local.storage_meter import Meter
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.seeding import Seed, seed

TITLE = "The conversation's title"


async def ask_three(chat: Chat, model: Simulator) -> None:
    """Makes the conversations "first", "second" and "third", of which the last one is open."""
    await model.script({"kind": "say", "text": "yes"}, times=None)
    for number, question in enumerate(("first", "second", "third")):
        if number:
            await chat.new.click()
        await chat.asked(question)
    await expect(chat.listed).to_have_text(["third", "second", "first"])


async def test_the_newest_is_first_and_a_question_makes_it_the_newest(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user="Liz Order")
    await expect(chat.list).to_have_text("Your conversations will be here.")
    await ask_three(chat, model)
    await expect(chat.list.get_by_role("heading")).to_have_text(["Today"])
    await expect(chat.list.locator("[aria-current=page]")).to_have_text("third")

    await chat.list.get_by_role("link", name="first").click()
    await expect(chat.questions).to_have_text(["first"])
    await expect(chat.list.locator("[aria-current=page]")).to_have_text("first")
    await expect(chat.page.locator("#title")).to_have_text("first")
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    await chat.asked("more")
    await expect(chat.listed).to_have_text(["first", "third", "second"])

    await chat.reload()
    await expect(chat.listed).to_have_text(["first", "third", "second"])
    await expect(chat.list.locator("[aria-current=page]")).to_have_text("first")
    assert chat.complaints == []


async def test_a_title_is_changed_kept_and_given_up(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Liz Title")
    box = chat.list.get_by_role("textbox", name=TITLE)
    await ask_three(chat, model)

    await chat.press("Rename", chat.row("third"))
    await expect(box).to_have_value("third")
    await box.fill("  Three little words ")
    await box.press("Enter")
    await expect(chat.listed).to_have_text(["Three little words", "second", "first"])
    await expect(chat.page.locator("#title")).to_have_text("Three little words")
    await expect(chat.page).to_have_title(re.compile("^Three little words · "))

    await chat.press("Rename", chat.row("Three little words"))
    await box.fill("no")
    await box.press("Escape")
    await expect(box).to_have_count(0)
    await expect(chat.listed.first).to_have_text("Three little words")
    await chat.press("Rename", chat.row("Three little words"))
    await box.fill(" ")
    await box.press("Enter")
    await expect(chat.listed.first).to_have_text("Three little words")

    await chat.row("second").hover()
    await chat.press("Rename", chat.row("second"))
    await box.fill("kept by leaving")
    async with chat.page.expect_response(lambda response: response.request.method == "PATCH"):
        await chat.box.click()
    await expect(box).to_have_count(0)
    await expect(chat.box).to_be_focused()

    await chat.reload()
    await expect(chat.listed).to_have_text(["Three little words", "kept by leaving", "first"])
    await expect(chat.page.locator("#title")).to_have_text("Three little words")
    assert chat.complaints == []


async def test_a_title_that_cannot_be_changed_is_the_old_one_again(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user="Liz Refused")
    await ask_three(chat, model)
    other = await chat.another_tab("/")
    await chat.page.context.set_offline(True)
    await chat.press("Rename", chat.row("third"))
    await chat.list.get_by_role("textbox", name=TITLE).fill("never")
    await chat.page.keyboard.press("Enter")
    await expect(chat.toast).to_contain_text("It could not be renamed. The backend cannot be")
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    await expect(chat.page.locator("#title")).to_have_text("third")
    await chat.page.context.set_offline(False)
    await expect(other.listed).to_have_text(["third", "second", "first"])


async def test_an_answer_that_arrives_does_not_disturb_a_title_that_is_being_changed(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user="Liz Busy")
    await ask_three(chat, model)
    await chat.ask('now [simulate: say text="one two"] [simulate: hold after=1]')
    await model.wait_for(state="held")
    await chat.row("second").hover()
    await chat.press("Rename", chat.row("second"))
    box = chat.list.get_by_role("textbox", name=TITLE)
    await box.fill("2nd")
    await model.clear_script()
    await model.release()
    await chat.finished()
    await expect(box).to_have_value("2nd")
    await expect(box).to_be_focused()
    await box.press("Enter")
    await expect(chat.listed).to_have_text(["third", "2nd", "first"])
    assert chat.complaints == []


async def test_older_ones_are_shown_on_demand_under_their_age(
    open_chat: OpenChat, meter: Meter
) -> None:
    midday = datetime.now().astimezone().replace(hour=12, minute=0)
    ages = {"Yesterday": 1, "The last seven days": 4, "The last thirty days": 20, "Older": 60}
    moments = [int((midday - timedelta(days=days)).timestamp() * 1000) for days in ages.values()]
    seeds = [
        Seed(f"conversation{number}", f"number {number}", began=moments[number // 15] - number)
        for number in range(60)
    ]
    await seed(meter, "Liz Old", seeds)
    chat = await open_chat(user="Liz Old")
    names = [f"number {number}" for number in range(60)]
    await expect(chat.listed).to_have_text(names[:50])
    await expect(chat.list.get_by_role("heading")).to_have_text(list(ages))

    await chat.press("Show older ones")
    await expect(chat.listed).to_have_text(names)
    await expect(chat.list.get_by_role("heading")).to_have_text(list(ages))
    await expect(chat.list.get_by_role("button", name="Show older ones")).to_have_count(0)
    await chat.list.get_by_role("link", name="number 59").click()
    await expect(chat.questions).to_have_text(["Question 0?"])
    assert chat.complaints == []


async def test_older_ones_that_cannot_be_read_can_be_asked_for_again(
    open_chat: OpenChat, meter: Meter
) -> None:
    now = int(time.time() * 1000)
    seeds = [Seed(f"c{n}", f"number {n}", began=now - n * 1000) for n in range(51)]
    await seed(meter, "Liz Offline", seeds)
    chat = await open_chat(user="Liz Offline")
    await chat.page.context.set_offline(True)
    await chat.press("Show older ones")
    again = chat.list.get_by_role("button", name="They could not be loaded. Try again")
    await expect(again).to_be_visible()
    await chat.page.context.set_offline(False)
    await again.click()
    await expect(chat.listed).to_have_count(51)


async def test_a_list_that_cannot_be_read_says_so(open_chat: OpenChat) -> None:
    chat = await open_chat(user="Liz Fails")
    await chat.page.route("**/api/conversations?*", lambda route: route.abort())
    await chat.page.reload()
    await expect(chat.list).to_contain_text("The conversations could not be loaded.")
    await chat.page.unroute("**/api/conversations?*")
    await chat.press("Try again", chat.list)
    await expect(chat.list).to_have_text("Your conversations will be here.")
    assert chat.complaints == ["error: Failed to load resource: net::ERR_FAILED"]


async def test_another_tab_sees_what_changes(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Liz Tabs")
    await ask_three(chat, model)
    other = await chat.another_tab("/")
    await chat.new.click()
    await chat.asked("fourth")
    await expect(other.listed).to_have_text(["fourth", "third", "second", "first"])
    await chat.press("Rename", chat.row("fourth"))
    await chat.list.get_by_role("textbox", name=TITLE).fill("4")
    await chat.page.keyboard.press("Enter")
    await expect(other.listed).to_have_text(["4", "third", "second", "first"])
    assert chat.complaints + other.complaints == []


async def test_a_renamed_conversation_has_its_new_title_in_every_tab_that_shows_it(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_chat(user="Liz Heading")
    await ask_three(chat, model)
    other = await chat.another_tab()
    await expect(other.page.locator("#title")).to_have_text("third")
    await chat.press("Rename", chat.row("third"))
    await chat.list.get_by_role("textbox", name=TITLE).fill("3")
    await chat.page.keyboard.press("Enter")
    await expect(other.listed).to_have_text(["3", "second", "first"])
    await expect(other.page.locator("#title")).to_have_text("3")
    assert chat.complaints + other.complaints == []


async def test_the_list_can_be_put_away_and_stays_so(chat: Chat) -> None:
    await expect(chat.list).to_be_visible()
    opener = chat.page.locator("#open-sidebar")
    await expect(opener).to_be_hidden()
    await chat.press("Close the list")
    await expect(chat.list).to_be_hidden()
    await expect(opener).to_be_focused()
    await chat.reload()
    await expect(chat.list).to_be_hidden()
    await expect(chat.page.locator("#new-here")).to_be_visible()
    await opener.click()
    await expect(chat.list).to_be_visible()
    assert chat.complaints == []
