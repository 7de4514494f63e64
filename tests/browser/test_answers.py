"""What stands beside an answer's text: its end, thoughts, sources, tools, usage, and the action."""

import re
from typing import Any

from playwright.async_api import expect

from local.simulator import Simulator
from local.storage_meter import Meter
from local.web import Web
from tests.browser.chat import Chat, refused
from tests.browser.conftest import OpenChat
from tests.browser.seeding import Seed, seed

DOCUMENTS = [
    {"id": "1", "title": "Opening hours", "content": "x", "url": "https://docs.example.com/hours"},
    {"id": "2", "title": "The map", "content": "y"},
    {"content": "z", "url": "https://docs.example.com/plain"},
    {"content": "w"},
]
FIND = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
ENDS = [
    ({"kind": "length", "after": 1}, "The answer reached the limit of its length and stops here."),
    ({"kind": "filtered_output", "after": 1}, "The content filter stopped the answer here."),
    ({"kind": "end", "after": 1}, "The answer broke off before its end."),
    ({"kind": "error", "after": 1}, "The model service"),
    ({"kind": "cut", "after": 1}, "The answer broke off before its end."),
]


async def test_every_end_is_said_in_words_after_a_reload_as_well(
    chat: Chat, model: Simulator
) -> None:
    notices = chat.notice.locator("p")
    for number, (fault, words) in enumerate(ENDS, 1):
        await model.script({"kind": "say", "text": "one two"}, fault)
        await chat.asked(f"Question {number}")
        await expect(chat.answer).to_have_text("one")
        await expect(notices).to_have_count(number)
        await expect(notices.last).to_contain_text(words)
    said = await notices.all_inner_texts()
    # What helps is offered for the last turn only.
    await expect(chat.page.get_by_role("button", name="Try again")).to_have_count(1)
    await expect(chat.page.get_by_role("button", name="Go on")).to_have_count(0)
    await chat.reload()
    await expect(notices).to_have_text(said)
    await expect(chat.page.get_by_role("button", name="Try again")).to_have_count(1)
    assert chat.complaints == []


async def test_an_answer_that_nobody_waited_for(open_chat: OpenChat, meter: Meter) -> None:
    await seed(meter, "Ann Away", [Seed("away", "Away", reason="disconnected")])
    chat = await open_chat(user="Ann Away", path="/#c=away")
    await expect(chat.notice).to_contain_text("Nobody was connected for a while")
    await expect(chat.notice.get_by_role("button", name="Try again")).to_be_visible()
    assert chat.complaints == []


async def test_go_on_after_the_limit_of_the_length(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "one two"}, {"kind": "length", "after": 1})
    await chat.asked("Count")
    await model.script({"kind": "say", "text": "two"})
    await chat.press("Go on")
    await expect(chat.questions).to_have_text(["Count", "Please go on where you stopped."])
    await chat.finished()
    await expect(chat.answers).to_have_text(["one", "two"])
    await expect(chat.page.get_by_role("button", name="Go on")).to_have_count(0)
    await expect(chat.notice).to_contain_text("limit of its length")
    assert chat.complaints == []


async def test_a_model_that_refuses_is_said_in_words(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "status", "code": 401})
    await chat.box.fill("Hello")
    await chat.box.press("Enter")
    await expect(chat.notice.locator("p")).not_to_be_empty()
    await expect(chat.notice.get_by_role("button", name="Try again")).to_be_visible()
    await model.script({"kind": "say", "text": "yes"})
    await chat.press("Try again")
    await expect(chat.answers).to_have_text(["yes"])
    await chat.finished()
    assert chat.complaints == [refused(502, "Bad Gateway")]


async def test_thoughts_are_folded_away(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(clock=True)
    details = chat.page.locator(".answer details")
    await model.script(
        {"kind": "reasoning", "text": "I think of <b>it</b>."},
        {"kind": "say", "text": "So it is."},
        {"kind": "hold"},
    )
    await chat.ask("Think")
    await model.wait_for(state="held")
    await expect(details.locator("summary")).to_have_text("Thinking …")
    await expect(details).not_to_have_attribute("open", "")
    thoughts = chat.page.locator(".thoughts")
    await expect(thoughts).to_be_hidden()
    await details.locator("summary").click()
    await expect(thoughts).to_have_text("I think of <b>it</b>.")
    await chat.page.clock.fast_forward(7_000)

    await model.release()
    await chat.finished()
    await expect(details.locator("summary")).to_have_text(re.compile(r"^Thought for \d+ s$"))
    await expect(thoughts).to_be_visible()
    await expect(chat.answer).to_have_text("So it is.")

    await chat.reload()
    await expect(details.locator("summary")).to_have_text("Thoughts")
    await expect(thoughts).to_be_hidden()
    await details.locator("summary").click()
    await expect(thoughts).to_have_text("I think of <b>it</b>.")
    assert chat.complaints == []


async def test_thoughts_come_before_the_first_word_in_both_tabs_and_after_a_reload(
    chat: Chat, model: Simulator
) -> None:
    await model.script(
        {"kind": "reasoning", "text": "Hm, yes."},
        {"kind": "say", "text": "So it is."},
        {"kind": "hold"},
    )
    await chat.ask("Think")
    await model.wait_for(state="held")
    await chat.reload()
    other = await chat.another_tab()
    for tab in (chat, other):
        await expect(tab.page.locator(".answer summary")).to_have_text("Thinking …")
        await expect(tab.page.locator(".thoughts")).to_have_text("Hm, yes.")
    await model.release()
    for tab in (chat, other):
        await tab.finished()
        await expect(tab.page.locator(".thoughts")).to_have_text("Hm, yes.")
        await expect(tab.answer).to_have_text("So it is.")
        assert tab.complaints == []


async def test_marks_lead_to_the_sources(chat: Chat, model: Simulator) -> None:
    text = "Open at nine [1], see [2][3]. Not `[1]`, nor [9]."
    await model.script({"kind": "say", "text": text}, {"kind": "hold", "after": 5})
    await chat.begin("When?", context=DOCUMENTS)
    sources = chat.page.locator(".sources")
    await expect(sources.get_by_role("heading")).to_have_text("Sources")
    await expect(sources.get_by_role("listitem")).to_have_text(
        [
            "1Opening hours docs.example.com",
            "2The map",
            "3https://docs.example.com/plain",
            "4Document 4",
        ]
    )
    await model.release()
    await chat.finished()
    for _ in range(2):
        marks = chat.answer.get_by_role("button")
        await expect(marks).to_have_text(["1", "2", "3"])
        await expect(chat.answer).to_contain_text("Not [1], nor [9].")
        await expect(marks.first).to_have_accessible_name("Source 1")
        await marks.first.click()
        link = sources.get_by_role("link", name="Opening hours")
        await expect(link).to_be_focused()
        await expect(link).to_have_attribute("href", "https://docs.example.com/hours")
        await expect(link).to_have_attribute("target", "_blank")
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        await marks.nth(1).press("Enter")
        await expect(sources.get_by_role("listitem").nth(1)).to_be_focused()
        await chat.reload()
        await expect(sources.get_by_role("listitem")).to_have_count(4)
    assert chat.complaints == []


async def test_tool_calls_are_shown_with_their_arguments(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    await model.script(
        {"kind": "say", "text": "Let me look."},
        {"kind": "tool", "name": "find", "arguments": '{"what":"tea","where":["here"]}'},
    )
    fields: dict[str, Any] = {"options": {"tools": [FIND]}}
    await chat.begin("Find tea", **fields)
    await chat.finished()
    for _ in range(2):
        await expect(chat.answer).to_have_text("Let me look.")
        call = chat.page.locator(".calls details")
        await expect(call.locator("summary")).to_have_text("Asked for the tool find")
        await expect(call.locator("pre")).to_be_hidden()
        await call.locator("summary").click()
        await expect(call.get_by_role("group", name="Arguments of find")).to_have_text(
            '{ "what": "tea", "where": [ "here" ] }', use_inner_text=True
        )
        await expect(chat.notice).to_contain_text("asked for a tool, and this page has none")
        await chat.reload()


async def test_results_of_tools_stand_where_a_question_would(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    await model.script({"kind": "tool", "name": "find", "arguments": "{}"})
    fields: dict[str, Any] = {"options": {"tools": [FIND]}}
    await chat.begin("Find tea", **fields)
    await chat.finished()
    await expect(chat.notice).to_contain_text("asked for a tool, and this page has none")
    await model.script({"kind": "say", "text": "Green tea."})
    code = """
    const chat = new client.ChatClient();
    const { items } = await chat.messages(given);
    const toolResults = items[0].toolCalls.map(({ id }) => ({ id, content: '{"found":"<b>tea"}' }));
    for await (const event of chat.run({ conversationId: given, toolResults })) {
      if (event.type === "end") return event.finishReason;
    }
    """
    assert await chat.evaluate(code, chat.conversation) == "stop"
    await chat.reload()
    await expect(chat.answers).to_have_text(["", "Green tea."])
    await expect(chat.questions).to_have_text(["Find tea"])
    # Who made the call has answered it.
    await expect(chat.notice).to_have_count(0)
    result = chat.page.locator(".results details")
    await expect(result.locator("summary")).to_have_text("Result of the tool find")
    await expect(result.locator("pre")).to_be_hidden()
    await result.locator("summary").click()
    await expect(result.get_by_role("group", name="Result of find")).to_have_text(
        '{ "found": "<b>tea" }', use_inner_text=True
    )
    # The page cannot bring results again; it goes on with a question.
    await expect(chat.page.get_by_role("button", name="Ask again")).to_be_hidden()
    await chat.asked('[simulate: say text="Yes."]')
    await expect(chat.answer).to_have_text("Yes.")
    await expect(chat.page.locator(".answer.newest")).to_have_count(1)


async def test_usage_is_shown_on_demand(chat: Chat) -> None:
    await chat.asked('[simulate: say text="one two three"]')
    usage = chat.page.locator(".usage")
    button = chat.page.get_by_role("button", name="Usage")
    await expect(usage).to_be_hidden()
    await expect(button).to_have_attribute("aria-expanded", "false")
    await button.click()
    await expect(usage).to_have_text(
        re.compile(r"^\d+ tokens: \d+ read, 3 written · chat · \w+ \d+, 2\d{3}, \d+:\d\d\s[AP]M$")
    )
    await expect(button).to_have_attribute("aria-expanded", "true")
    await button.click()
    await expect(usage).to_be_hidden()
    await chat.reload()
    await chat.page.get_by_role("button", name="Usage").click()
    await expect(usage).to_contain_text("3 written")
    assert chat.complaints == []


async def test_where_there_is_one_action_there_is_nothing_to_choose(chat: Chat) -> None:
    await expect(chat.page.get_by_role("combobox")).to_have_count(0)
    assert chat.complaints == []


async def test_an_action_is_chosen_and_remembered(
    open_chat: OpenChat, open_web: Web, model: Simulator
) -> None:
    chat = await open_chat(open_web.url)
    choice = chat.page.get_by_role("combobox", name="Action")
    await expect(choice.get_by_role("option")).to_have_text(["Chat", "A poem", "Thinks aloud"])
    await expect(choice).to_have_value("default")
    await chat.asked("plain")
    await choice.select_option(label="A poem")
    await expect(choice).to_have_accessible_description("Writes a poem.")
    await chat.asked("rhyme")
    await chat.reload()
    await expect(choice).to_have_value("poem")
    await chat.asked("rhyme again")
    records = await model.requests()
    prompts = [record.body["messages"][0]["content"] for record in records]
    assert prompts == ["You are a helpful AI assistant.", "You rhyme.", "You rhyme."]
    await chat.page.set_viewport_size({"width": 360, "height": 800})
    await choice.select_option(label="Thinks aloud")
    await chat.asked("think")
    await expect(chat.page.locator(".answer summary:visible")).to_have_count(1)
    assert (await model.requests())[-1].deployment == "reasoning-open"
