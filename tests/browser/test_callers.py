"""Who may do what: signed in, not signed in, and where nobody signs in at all."""

import re
from urllib.parse import quote

from playwright.async_api import expect

from local.simulator import Simulator
from local.web import Web
from tests.browser.chat import Chat, logged_in, refused
from tests.browser.conftest import OpenChat
from tests.browser.test_list import TITLE, ask_three

KEPT_HERE = "Kept in this browser only, as this chat has no sign-in."
# The web emulator's log-in page complains of the libraries that it is not let load.
LOG_IN_PAGE = re.compile(r"ERR_FAILED|\$ is not defined")
UNAUTHORIZED = refused(401, "Unauthorized")


async def test_who_has_signed_in_has_conversations_of_their_own(chat: Chat) -> None:
    sign_in = chat.page.get_by_role("link", name="Sign in")
    await chat.asked('[simulate: say text="for the developer only"]')
    conversation = chat.page.url
    back = quote(conversation.removeprefix(chat.url), safe="")
    await sign_in.click()
    await chat.page.wait_for_url(f"{chat.url}/.auth/login/github?post_login_redirect_uri={back}")

    # The log-in's own page needs the Internet, and is not let there.
    await chat.page.context.add_cookies([logged_in("Ada Lovelace", chat.url)])
    await chat.page.goto(conversation)

    await expect(chat.page.locator("#account .name")).to_have_text("Ada Lovelace")
    await expect(chat.notice).to_contain_text("does not exist, or belongs to somebody else")
    await expect(chat.notice.get_by_role("button", name="New chat")).to_be_visible()
    await expect(chat.answers).to_have_count(0)
    await expect(chat.list).to_have_text("Your conversations will be here.")
    of_the_page = [complaint for complaint in chat.complaints if not LOG_IN_PAGE.search(complaint)]
    # The conversation and its messages.
    assert of_the_page == [refused(404, "Not Found")] * 2
    await chat.page.get_by_role("link", name="Sign out").click()
    await expect(sign_in).to_be_visible()
    await chat.page.goto(conversation)
    await expect(chat.answers).to_have_text(["for the developer only"])


async def test_who_is_not_signed_in_is_asked_to_and_loses_no_question(
    open_chat: OpenChat, signed_out_web: Web
) -> None:
    chat = await open_chat(signed_out_web.url)
    await expect(chat.list).to_have_text("Sign in to see your conversations.Sign in")
    await chat.box.fill("My question")
    await chat.box.press("Enter")
    await expect(chat.notice).to_contain_text("Please sign in to chat. Your question is kept")
    await expect(chat.box).to_have_value("My question")
    await expect(chat.stop).to_be_hidden()
    back = quote("/", safe="")
    for place in (chat.notice, chat.list):
        link = place.get_by_role("link", name="Sign in")
        await expect(link).to_have_attribute(
            "href", f"/.auth/login/github?post_login_redirect_uri={back}"
        )
    await chat.reload()
    await expect(chat.box).to_have_value("My question")
    await chat.page.goto(f"{chat.url}/#c=somebody-elses")
    await chat.reload()
    await expect(chat.notice).to_contain_text("Please sign in to read this conversation.")
    # `make run` alone serves the drawer.
    assert set(chat.complaints) == {UNAUTHORIZED, refused(404, "Not Found")}


async def test_where_nobody_signs_in_the_browser_keeps_the_list_and_says_so(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url, clock=True)
    await expect(chat.list).to_contain_text(KEPT_HERE)
    await expect(chat.list).to_contain_text("Your conversations will be here.")
    await expect(chat.page.get_by_role("link", name="Sign in")).to_have_count(0)
    await ask_three(chat, model)
    await chat.row("first").hover()
    await chat.press("Rename", chat.row("first"))
    await chat.list.get_by_role("textbox", name=TITLE).fill("1st")
    await chat.page.keyboard.press("Enter")
    await expect(chat.listed).to_have_text(["third", "second", "1st"])
    await chat.row("second").hover()
    await chat.press("Delete", chat.row("second"))
    async with chat.page.expect_response(lambda it: it.request.method == "DELETE"):
        await chat.page.clock.fast_forward(9_000)

    await chat.reload()
    await expect(chat.listed).to_have_text(["third", "1st"])
    await expect(chat.list).to_contain_text(KEPT_HERE)
    await chat.list.get_by_role("link", name="1st").click()
    await expect(chat.questions).to_have_text(["first"])
    await expect(chat.page.locator("#title")).to_have_text("1st")
    other = await chat.another_tab("/")
    await expect(other.listed).to_have_text(["third", "1st"])
    await chat.asked("again")
    await expect(other.listed).to_have_text(["1st", "third"])
    # What else should it be told: that there is no list.
    assert set(chat.complaints + other.complaints) == {UNAUTHORIZED}


async def test_where_nobody_signs_in_the_address_is_the_key(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    await ask_three(chat, model)
    path = f"/#c={chat.conversation}"
    stranger = await open_chat(open_web.url)
    await expect(stranger.list).to_contain_text("Your conversations will be here.")
    friend = await open_chat(open_web.url, path=path)
    await expect(friend.questions).to_have_text(["third"])
    await expect(friend.listed).to_have_text(["third"])
    await friend.reload()
    await expect(friend.listed).to_have_text(["third"])


async def test_where_nobody_signs_in_what_was_deleted_elsewhere_leaves_the_list(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    await ask_three(chat, model)
    await chat.evaluate("await new client.ChatClient().remove(given)", chat.conversation)
    await chat.reload()
    await expect(chat.notice).to_contain_text("does not exist")
    await expect(chat.listed).to_have_text(["second", "first"])
    assert set(chat.complaints) == {UNAUTHORIZED, refused(404, "Not Found")}
