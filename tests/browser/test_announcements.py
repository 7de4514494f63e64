"""What a screen reader is told: little, and whole sentences."""

from typing import Any

from playwright.async_api import expect

from local.simulator import Simulator
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.test_list import ask_three

LISTEN = """() => {
  window.said = [];
  const regions = document.querySelectorAll("[role=status], [aria-live], [role=alert], [role=log]");
  for (const region of regions) {
    new MutationObserver(() => said.push(region.textContent))
      .observe(region, { childList: true, characterData: true, subtree: true });
  }
  return regions.length;
}"""


async def listen(chat: Chat) -> None:
    """Notes from now on what every live region of the page says."""
    assert await chat.page.evaluate(LISTEN) >= 1


async def said(chat: Chat) -> list[str]:
    texts: list[str] = await chat.page.evaluate("said")
    return texts


async def test_an_answer_is_said_once_and_whole(chat: Chat, model: Simulator) -> None:
    text = "One **two** three.\n\n- four\n- five [link](https://docs.example.com/)\n\nSix."
    holds: list[dict[str, Any]] = [{"kind": "hold", "after": after} for after in (2, 5, 9, 14)]
    await listen(chat)
    reasoning = {"kind": "reasoning", "text": "Hm. Yes."}
    await model.script(reasoning, {"kind": "say", "text": text}, *holds)
    await chat.ask("Say it")
    for _ in holds:
        await model.wait_for(state="held")
        assert await said(chat) == ["The answer is being written."]
        await model.release()
    await chat.finished()
    await expect(chat.page.locator("#announcer")).to_contain_text("The answer is finished.")
    first, last = await said(chat)
    assert first == "The answer is being written."
    assert " ".join(last.split()) == ("The answer is finished. One two three. four five link Six.")
    # What is being written is marked so, and says nothing by itself.
    live = chat.page.locator("#messages").locator("[aria-live], [role=status], [role=log]")
    await expect(live).to_have_count(0)
    assert chat.complaints == []


async def test_an_answer_that_runs_is_marked_as_busy(chat: Chat, model: Simulator) -> None:
    await chat.ask('[simulate: say text="one two"] [simulate: hold after=1]')
    await model.wait_for(state="held")
    article = chat.page.get_by_role("article").last
    await expect(article).to_have_attribute("aria-busy", "true")
    await model.release()
    await chat.finished()
    await expect(article).not_to_have_attribute("aria-busy", "true")
    assert chat.complaints == []


async def test_a_long_answer_is_said_as_far_as_a_listener_bears(
    chat: Chat, model: Simulator
) -> None:
    await listen(chat)
    await model.script({"kind": "say", "text": "A sentence of five words. " * 200})
    await chat.asked("Say much")
    await expect(chat.page.locator("#announcer")).to_contain_text("The rest is in the conversation")
    [_, last] = await said(chat)
    assert last.startswith("The answer is finished. A sentence of five words.")
    assert last.endswith("… The rest is in the conversation.")
    assert len(last) < 700
    assert chat.complaints == []


async def test_what_went_wrong_is_said_with_it(chat: Chat, model: Simulator) -> None:
    await listen(chat)
    await model.script({"kind": "say", "text": "one two"}, {"kind": "length", "after": 1})
    await chat.asked("Say it")
    words = "The answer reached the limit of its length and stops here."
    await expect(chat.page.locator("#announcer")).to_have_text(
        f"The answer is finished. one {words}"
    )
    await model.script({"kind": "filtered_prompt"})
    await chat.box.fill("Bad")
    await chat.box.press("Enter")
    await expect(chat.page.locator("#announcer")).to_contain_text("content filter refused")
    assert len(await said(chat)) == 4


async def test_what_is_done_is_said(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat(user="Ann Nounce")
    await ask_three(chat, model)
    await listen(chat)
    await chat.press("Copy the answer")
    await expect(chat.page.locator("#announcer")).to_have_text("Copied.")
    await chat.press("Delete", chat.row("third"))
    await expect(chat.page.locator("#announcer")).to_have_text(
        "“third” was deleted. Undo with Control Z."
    )
    assert await said(chat) == ["Copied.", "“third” was deleted. Undo with Control Z."]
    assert chat.complaints == []


async def test_the_same_words_twice_are_said_twice(chat: Chat, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "yes"}, times=None)
    await chat.asked("First")
    await listen(chat)
    for count in (1, 2):
        await chat.press("Copy the answer")
        await expect(chat.page.locator("#announcer")).to_have_text("Copied.")
        await chat.page.wait_for_function("(count) => said.length >= count", arg=count)
    assert chat.complaints == []
