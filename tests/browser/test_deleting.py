"""Deleting a conversation: at once in sight, undone for some seconds, and then for good."""

from playwright.async_api import Request, expect

from local.simulator import Simulator
from tests.browser.chat import Chat, refused
from tests.browser.conftest import OpenChat
from tests.browser.test_list import ask_three

OVER = 9_000


async def open_three(open_chat: OpenChat, model: Simulator, user: str) -> Chat:
    chat = await open_chat(user=user, clock=True)
    await ask_three(chat, model)
    return chat


def deletions(chat: Chat) -> list[Request]:
    """What the page asks to be deleted from now on."""
    seen: list[Request] = []
    chat.page.on("request", lambda it: seen.append(it) if it.method == "DELETE" else None)
    return seen


async def delete(chat: Chat, title: str) -> None:
    await chat.row(title).hover()
    await chat.press("Delete", chat.row(title))


async def gone(chat: Chat) -> None:
    """Lets the time for undoing be over, and waits for the deletion."""
    async with chat.page.expect_response(lambda it: it.request.method == "DELETE"):
        await chat.page.clock.fast_forward(OVER)


async def test_without_undo_it_is_deleted_when_the_time_is_over(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Over")
    seen = deletions(chat)
    address = await chat.row("second").get_by_role("link").get_attribute("href")
    await delete(chat, "second")
    await expect(chat.listed).to_have_text(["third", "first"])
    await expect(chat.toast).to_contain_text("“second” was deleted.")
    await chat.page.clock.fast_forward(6_000)
    await expect(chat.toast).to_be_visible()
    assert seen == []

    await gone(chat)
    await expect(chat.toast).to_have_count(0)
    await expect(chat.listed).to_have_text(["third", "first"])
    await expect(chat.questions).to_have_text(["third"])
    assert chat.complaints == []
    await chat.page.goto(f"{chat.url}/{address}")
    await chat.reload()
    await expect(chat.listed).to_have_text(["third", "first"])
    await expect(chat.notice).to_contain_text("does not exist")
    assert set(chat.complaints) == {refused(404, "Not Found")}


async def test_undo_by_the_button(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_three(open_chat, model, "Del Undo")
    seen = deletions(chat)
    await delete(chat, "second")
    await expect(chat.listed).to_have_text(["third", "first"])
    await chat.press("Undo")
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    await expect(chat.toast).to_have_count(0)
    await chat.page.clock.fast_forward(OVER)
    await chat.reload()
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    assert seen == []
    assert chat.complaints == []


async def test_undo_by_control_z_takes_the_newest_back_first(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Keys")
    await delete(chat, "second")
    await delete(chat, "first")
    await expect(chat.listed).to_have_text(["third"])
    await expect(chat.toast).to_have_count(2)
    # What is typed is undone by the box itself.
    await chat.box.fill("half a question")
    await chat.box.press("Control+z")
    await expect(chat.toast).to_have_count(2)
    await chat.box.fill("")
    await chat.page.keyboard.press("Control+z")
    await expect(chat.listed).to_have_text(["third", "first"])
    await chat.page.keyboard.press("Control+z")
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    await expect(chat.toast).to_have_count(0)
    assert chat.complaints == []


async def test_the_time_stands_still_while_the_toast_is_pointed_at(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Hold")
    seen = deletions(chat)
    await delete(chat, "second")
    await chat.toast.hover()
    await chat.page.clock.fast_forward(60_000)
    await expect(chat.toast).to_be_visible()
    assert seen == []
    await chat.box.hover()
    await gone(chat)
    await expect(chat.toast).to_have_count(0)
    assert chat.complaints == []


async def test_the_one_that_is_open_makes_way_and_comes_back(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Open")
    open_now = chat.page.url
    await delete(chat, "third")
    await expect(chat.listed).to_have_text(["second", "first"])
    await expect(chat.page.locator("#welcome")).to_be_visible()
    await expect(chat.questions).to_have_count(0)
    assert chat.conversation == ""
    await chat.press("Undo")
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    await expect(chat.questions).to_have_text(["third"])
    assert chat.page.url == open_now

    await delete(chat, "third")
    await gone(chat)
    await expect(chat.page.locator("#welcome")).to_be_visible()
    await expect(chat.listed).to_have_text(["second", "first"])
    assert chat.complaints == []


async def test_one_that_is_answering_is_stopped_with_it(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Running")
    await model.clear_script()
    await chat.ask('more [simulate: say text="one two"] [simulate: hold after=1]')
    await model.wait_for(state="held")
    await delete(chat, "third")
    await expect(chat.stop).to_be_hidden()
    await gone(chat)
    await model.wait_for(state="aborted")
    await expect(chat.listed).to_have_text(["second", "first"])
    assert chat.complaints == []


async def test_leaving_the_page_before_the_time_is_over_deletes(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Leave")
    await delete(chat, "second")
    await delete(chat, "first")
    await chat.reload()
    await expect(chat.listed).to_have_text(["third"])
    # No tab knows of it but by the store.
    await chat.page.evaluate("sessionStorage.clear()")
    await chat.reload()
    await expect(chat.listed).to_have_text(["third"])


async def test_a_deletion_that_is_refused_shows_it_again(
    open_chat: OpenChat, model: Simulator
) -> None:
    chat = await open_three(open_chat, model, "Del Refused")
    await delete(chat, "second")
    await chat.page.context.set_offline(True)
    await chat.page.clock.fast_forward(OVER)
    await expect(chat.toast).to_contain_text("It could not be deleted. The backend cannot be")
    await expect(chat.listed).to_have_text(["third", "second", "first"])
    await chat.page.context.set_offline(False)
    await delete(chat, "second")
    await gone(chat)
    await expect(chat.listed).to_have_text(["third", "first"])


async def test_another_tab_shows_it_no_longer(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_three(open_chat, model, "Del Tabs")
    other = await chat.another_tab()
    await expect(other.questions).to_have_text(["third"])
    await delete(chat, "third")
    await gone(chat)
    await expect(other.listed).to_have_text(["second", "first"])
    await expect(other.questions).to_have_count(0)
    await expect(other.page.locator("#welcome")).to_be_visible()
    assert chat.complaints + other.complaints == []
