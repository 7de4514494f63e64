"""What a user does with the page: ask, watch, reload, stop, go on."""

import base64
import json
from urllib.parse import quote

import pytest
from playwright._impl._api_structures import SetCookieParam
from playwright.async_api import expect

from local.principal import LOGIN_COOKIE
from local.simulator import Simulator
from local.web import Web
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.relay import running_relay


async def test_an_answer_arrives_in_steps_and_survives_a_reload(
    chat: Chat, model: Simulator
) -> None:
    say = '[simulate: say text="one two **three** four five six"] [simulate: hold after=5]'
    await chat.ask(f"Count, please. {say}")
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two three")
    await expect(chat.stop).to_be_visible()

    await chat.page.reload()
    await expect(chat.answer).to_have_text("one two three")
    await expect(chat.stop).to_be_visible()

    await model.release()
    await chat.finished()
    await expect(chat.answer).to_have_text("one two three four five six")
    await expect(chat.page.locator(".answer strong")).to_have_text("three")
    await expect(chat.page.locator(".usage")).to_contain_text("tokens")

    await chat.ask("What did I say before?")
    await expect(chat.answer.locator("blockquote")).to_contain_text("Count, please.")
    await chat.finished()
    await expect(chat.questions).to_have_count(2)

    await chat.page.reload()
    await expect(chat.answer.locator("blockquote")).to_contain_text("Count, please.")
    await expect(chat.questions).to_have_count(2)
    await expect(chat.answers.first).to_have_text("one two three four five six")
    await expect(chat.answers).to_have_count(2)
    assert len(await model.requests()) == 2
    assert chat.complaints == []


async def test_stop_ends_the_model_and_keeps_what_was_said(chat: Chat, model: Simulator) -> None:
    await chat.ask('[simulate: say text="one two three"] [simulate: hold after=2]')
    await model.wait_for(state="held")
    await expect(chat.answer).to_have_text("one two")

    await chat.stop.click()

    await model.wait_for(state="aborted")
    await expect(chat.notice).to_contain_text("The answer was stopped.")
    await expect(chat.answer).to_have_text("one two")
    await expect(chat.box).to_be_focused()
    assert chat.complaints == []


async def test_a_stopped_answer_can_be_asked_again_in_its_place(
    chat: Chat, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "one"}, {"kind": "hold", "after": 1})
    await chat.ask("Hello")
    await model.wait_for(state="held")
    await chat.stop.click()

    await model.script({"kind": "say", "text": "two"})
    await chat.page.get_by_role("button", name="Try again").click()

    await expect(chat.answers).to_have_text(["two"])
    await chat.finished()
    await chat.page.reload()
    await expect(chat.answers).to_have_text(["two"])
    await expect(chat.questions).to_have_text(["Hello"])


async def test_a_cut_connection_is_taken_up_where_it_was(
    open_chat: OpenChat, web: Web, model: Simulator
) -> None:
    async with running_relay(web.port) as relay:
        chat = await open_chat(relay.url)
        await chat.ask('[simulate: say text="one two three four"] [simulate: hold after=2]')
        await model.wait_for(state="held")
        await expect(chat.answer).to_have_text("one two")

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
        await chat.ask('[simulate: say text="one two"] [simulate: hold before]')
        await model.wait_for(state="held")

        assert relay.cut() > 0
        await model.release()

        await chat.finished()
        await expect(chat.answers).to_have_text(["one two"])
        assert len(await model.requests()) == 1


async def test_leaving_before_the_first_word_loses_nothing(chat: Chat, model: Simulator) -> None:
    await chat.ask('[simulate: say text="one two"] [simulate: hold before]')
    await model.wait_for(state="held")

    await chat.page.reload()
    await expect(chat.questions).to_have_count(1)
    await model.release()

    await expect(chat.answers).to_have_text(["one two"])
    await chat.finished()
    assert len(await model.requests()) == 1


@pytest.mark.parametrize("earlier", [0, 1])
async def test_a_question_that_never_arrived_is_sent_after_a_reload(
    chat: Chat, model: Simulator, earlier: int
) -> None:
    for _ in range(earlier):
        await chat.ask('[simulate: say text="zero"]')
        await expect(chat.answers).to_have_text(["zero"])
        await chat.finished()
    async with chat.page.expect_event("requestfailed"):
        await chat.page.route("**/api/chat", lambda route: route.abort())
        await chat.ask('[simulate: say text="one two"]')
    assert len(await model.requests()) == earlier

    await chat.page.unroute("**/api/chat")
    await chat.page.reload()

    await expect(chat.answers).to_have_text(["zero"] * earlier + ["one two"])
    await chat.finished()
    assert len(await model.requests()) == earlier + 1


async def test_a_second_window_is_told_that_an_answer_is_being_written(
    chat: Chat, model: Simulator
) -> None:
    await chat.ask('[simulate: say text="one"]')
    await chat.finished()
    other = Chat(await chat.page.context.new_page(), chat.page.url)
    await other.open()
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


async def test_errors_are_said_in_words_with_what_to_do(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "filtered_prompt"})
    await chat.ask("Something bad")
    await expect(chat.notice).to_contain_text("content filter refused this question")
    await expect(chat.box).to_have_value("Something bad")

    await model.script({"kind": "say", "text": "one two"}, {"kind": "error", "after": 1})
    await chat.ask("Something good")
    await expect(chat.questions).to_have_text(["Something good"])
    await expect(chat.answers).to_have_text(["one"])
    await expect(chat.notice.get_by_role("button", name="Try again")).to_be_visible()

    await model.script({"kind": "say", "text": "one two"}, {"kind": "length", "after": 1})
    await chat.ask("Something long")
    await expect(chat.notice.last).to_contain_text("limit of its length")
    await chat.finished()


async def test_earlier_messages_are_shown_on_request(chat: Chat) -> None:
    await chat.evaluate(
        """
        const made = new client.ChatClient();
        for (let n = 1; n <= 27; n += 1) {
          const userPrompt = `question ${n} [simulate: say text="answer ${n}"]`;
          for await (const event of made.run({ conversationId: given, userPrompt }));
        }
        location.hash = `c=${given}`;
        """,
        "a-conversation-of-many-turns",
    )
    await expect(chat.answers).to_have_count(25)
    await expect(chat.answers.first).to_have_text("answer 3")

    await chat.page.get_by_role("button", name="Show earlier messages").click()

    await expect(chat.answers).to_have_text([f"answer {n}" for n in range(1, 28)])
    await expect(chat.page.get_by_role("button", name="Show earlier")).to_be_hidden()
    assert chat.complaints == []


async def test_an_input_methods_enter_does_not_ask(chat: Chat) -> None:
    await chat.box.fill("に")
    await chat.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await chat.box.press("Shift+Enter")
    await expect(chat.box).to_have_value("に\n")
    await expect(chat.questions).to_have_count(0)


async def test_everything_fits_a_narrow_screen(open_chat: OpenChat) -> None:
    chat = await open_chat(width=360)
    wide = "wide" * 50
    await chat.ask(
        f'{wide} [simulate: say text="# {wide}\\n\\n```\\n{wide}\\n```\\n\\n'
        f'| {wide} | b |\\n|---|---|\\n| c | d |"]'
    )
    await expect(chat.page.locator(".answer table")).to_be_visible()
    await chat.finished()
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    content, screen = await chat.page.evaluate(widths)
    assert content <= screen


async def test_who_has_signed_in_has_conversations_of_their_own(chat: Chat) -> None:
    sign_in = chat.page.get_by_role("link", name="Sign in")
    await chat.ask('[simulate: say text="for the developer only"]')
    await chat.finished()
    conversation = chat.page.url
    back = quote(conversation.removeprefix(chat.url), safe="")
    await sign_in.click()
    await chat.page.wait_for_url(f"{chat.url}/.auth/login/github?post_login_redirect_uri={back}")

    # The log-in's own page needs the Internet.
    await chat.page.context.add_cookies([logged_in("Ada Lovelace", chat.url)])
    await chat.page.goto(conversation)

    await expect(chat.page.locator("#account .name")).to_have_text("Ada Lovelace")
    await expect(chat.notice).to_contain_text("does not exist, or belongs to somebody else")
    await expect(chat.answers).to_have_count(0)
    await chat.page.get_by_role("link", name="Sign out").click()
    await expect(sign_in).to_be_visible()
    await chat.page.goto(conversation)
    await expect(chat.answers).to_have_text(["for the developer only"])


async def test_the_suggested_questions_are_answered_from_the_documents(chat: Chat) -> None:
    suggestions = await chat.page.locator("#welcome li button").all_text_contents()
    assert len(suggestions) == 3
    for number, suggestion in enumerate(suggestions, 1):
        await chat.page.get_by_role("button", name=suggestion).click()
        await expect(chat.answer).to_contain_text("Source:")
        await chat.finished()
        await expect(chat.questions).to_have_text([suggestion])
        if number < len(suggestions):
            await chat.page.get_by_role("button", name="New chat").click()
    assert chat.complaints == []


async def test_a_new_chat_leaves_a_way_back(chat: Chat) -> None:
    await chat.page.get_by_role("button", name="Which faults can the simulator play?").click()
    await expect(chat.answer).to_contain_text("Source:")
    await chat.finished()

    await chat.page.get_by_role("button", name="New chat").click()
    await expect(chat.answers).to_have_count(0)
    await chat.ask('[simulate: say text="another"]')
    await expect(chat.answers).to_have_text(["another"])
    await chat.finished()

    await chat.page.go_back()
    await chat.page.go_back()
    await expect(chat.answer).to_contain_text("Source:")
    await expect(chat.questions).to_have_count(1)
    await chat.page.get_by_role("button", name="New chat").click()
    await chat.page.get_by_role("link", name="Back to the last conversation").click()
    await expect(chat.answer).to_contain_text("Source:")
    assert chat.complaints == []


def logged_in(name: str, url: str) -> SetCookieParam:
    """The cookie that the web emulator's log-in page makes."""
    principal = {
        "identityProvider": "github",
        "userId": "ada",
        "userDetails": name,
        "userRoles": ["anonymous", "authenticated"],
        "claims": [],
    }
    value = base64.b64encode(json.dumps(principal).encode()).decode()
    return {"name": LOGIN_COOKIE, "value": value, "url": url}
