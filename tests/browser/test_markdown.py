"""A model's Markdown: code, tables, headings, while it arrives and after; and copying it."""

from typing import Any

from playwright.async_api import expect

from local.simulator import Simulator
from local.simulator.tokens import pieces_of
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat

CODE = 'def greet(name):\n    # Say it.\n    return f"Hello {name}", 42\n'
TABLE = "| Name | Age |\n|---|---:|\n| Ada | 36 |\n| Bob *the* `b` | 7 |\n"
EVERYTHING = f"""\
# First

Some *words* with `code`, ~~not~~ **yes**.<br>A new line.

###### Sixth

- one
  - inner
- [x] done

3. three

> quoted

---

```python
{CODE}```

{TABLE}
"""


async def clipboard(chat: Chat) -> str:
    await chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text: str = await chat.page.evaluate("navigator.clipboard.readText()")
    return text


def hold(shown: str) -> dict[str, Any]:
    """Holds the model once it has said so much."""
    return {"kind": "hold", "after": len(pieces_of(shown))}


async def say(chat: Chat, model: Simulator, text: str, *more: dict[str, Any]) -> None:
    """Has the model say it; with a `hold` among `more`, it is still being said."""
    await model.script({"kind": "say", "text": text}, *more)
    await chat.ask("Write, please.")
    if more:
        await model.wait_for(state="held")
    else:
        await chat.finished()


async def test_everything_that_models_write(chat: Chat, model: Simulator) -> None:
    await say(chat, model, EVERYTHING)
    answer = chat.answer
    await expect(answer.locator("h3")).to_have_text("First")
    await expect(answer.locator("h6")).to_have_text("Sixth")
    for name, text in {"em": "words", "del": "not", "strong": "yes"}.items():
        await expect(answer.locator(name).first).to_have_text(text)
    await expect(answer.locator("p code")).to_have_text("code")
    await expect(answer.locator("br")).to_have_count(1)
    await expect(answer.locator("ul ul li")).to_have_text("inner")
    await expect(answer.locator("ul")).to_contain_text(["☑ done", "inner"])
    await expect(answer.locator("ol")).to_have_attribute("start", "3")
    await expect(answer.locator("blockquote")).to_have_text("quoted")
    await expect(answer.locator("hr")).to_have_count(1)
    await expect(answer.locator("td[align=right]")).to_have_text(["36", "7"])
    # The page's own headings stay above: nothing of an answer is one of theirs.
    await expect(answer.locator("h1, h2")).to_have_count(0)
    assert chat.complaints == []


async def test_code_has_its_language_colours_and_a_copy_button(
    chat: Chat, model: Simulator
) -> None:
    await say(chat, model, f"```python\n{CODE}```\n\n```\nplain <b>\n```\n\n```nonesuch\nx\n```")
    frames = chat.answer.locator(".frame.code")
    await expect(frames.locator(".bar span")).to_have_text(["python", "code", "nonesuch"])
    python = frames.first.locator("pre code")
    await expect(python.locator(".hljs-keyword").first).to_have_text("def")
    for name, text in {"comment": "# Say it.", "number": "42", "title": "greet"}.items():
        await expect(python.locator(f".hljs-{name}").first).to_have_text(text)
    await expect(frames.nth(1).locator("code *")).to_have_count(0)
    colours = await python.evaluate(
        "(code) => [code, code.querySelector('.hljs-keyword'), code.querySelector('.hljs-string')]"
        ".map((it) => getComputedStyle(it).color)"
    )
    assert len(set(colours)) == 3

    copy = frames.first.get_by_role("button", name="Copy code")
    await copy.click()
    await expect(copy).to_have_text("Copied")
    assert await clipboard(chat) == CODE
    await chat.press("Copy code", frames.nth(1))
    await expect(frames.nth(1).get_by_role("button")).to_have_text("Copied")
    assert await clipboard(chat) == "plain <b>\n"

    await chat.reload()
    await expect(python.locator(".hljs-keyword").first).to_have_text("def")
    assert chat.complaints == []


async def test_a_table_is_copied_with_tabs(chat: Chat, model: Simulator) -> None:
    await say(chat, model, TABLE)
    frame = chat.answer.locator(".frame.table")
    await expect(frame.get_by_role("row")).to_have_count(3)
    await chat.press("Copy table", frame)
    await expect(frame.get_by_role("button")).to_have_text("Copied")
    assert await clipboard(chat) == "Name\tAge\nAda\t36\nBob the b\t7"
    assert chat.complaints == []


async def test_an_answer_is_copied_as_its_markdown(chat: Chat, model: Simulator) -> None:
    await say(chat, model, EVERYTHING)
    await chat.press("Copy the answer")
    await expect(chat.page.locator("#announcer")).to_have_text("Copied.")
    assert await clipboard(chat) == EVERYTHING
    await chat.reload()
    await chat.page.evaluate("navigator.clipboard.writeText('something else')")
    await chat.press("Copy the answer")
    await expect(chat.page.locator("#announcer")).to_have_text("Copied.")
    assert await clipboard(chat) == EVERYTHING
    assert chat.complaints == []


async def test_code_that_is_not_closed_is_code_all_the_same(chat: Chat, model: Simulator) -> None:
    text = "Look:\n\n```js\nconst a = 1;\nconst b = '<script>';"
    await say(chat, model, text, hold("Look:\n\n```js\nconst a"))
    await expect(chat.answer.locator("pre")).to_have_text("const a")
    await model.release()
    await chat.finished()
    await expect(chat.answer.locator(".frame.code pre")).to_have_text(
        "const a = 1;\nconst b = '<script>';"
    )
    await expect(chat.answer.locator(".hljs-keyword").first).to_have_text("const")


async def test_emphasis_that_is_not_closed_yet_shows_no_asterisks(
    chat: Chat, model: Simulator
) -> None:
    text = "one **two three** four `five six` seven"
    holds = [hold("one **"), hold("one **two"), hold("one **two three** four `five")]
    await say(chat, model, text, *holds)
    bold, code = chat.answer.locator("strong"), chat.answer.locator("code")
    await expect(chat.answer).to_have_text("one")
    await model.release()
    await model.wait_for(state="held")
    await expect(bold).to_have_text("two")
    await expect(chat.answer).to_have_text("one two")
    await model.release()
    await model.wait_for(state="held")
    await expect(code).to_have_text("five")
    await expect(chat.answer).to_have_text("one two three four five")
    await model.release()
    await chat.finished()
    await expect(bold).to_have_text("two three")
    await expect(code).to_have_text("five six")
    assert chat.complaints == []


async def test_a_link_that_is_defined_at_the_end_is_a_link_above(
    chat: Chat, model: Simulator
) -> None:
    text = "See [the page][1] first.\n\nThen more.\n\n[1]: https://docs.example.com/page\n"
    await say(chat, model, text, hold("See [the page][1] first."))
    await expect(chat.answer).to_contain_text("See [the page][1] first.")
    await model.release()
    await chat.finished()
    link = chat.answer.get_by_role("link", name="the page")
    await expect(link).to_have_attribute("href", "https://docs.example.com/page")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(chat.answer).to_have_text("See the page first. Then more.", use_inner_text=True)
    assert chat.complaints == []


async def test_text_that_grows_keeps_a_selection_and_a_scrolled_block(
    chat: Chat, model: Simulator
) -> None:
    wide = "wide" * 60
    text = f"Select me, please.\n\n```js\n{wide}\n```\n\n"
    holds = [hold(text), hold(f"{text}one two")]
    await say(chat, model, f"{text}one two three four", *holds)
    block = chat.answer.locator("pre")
    await expect(block).to_be_visible()
    await expect(chat.answer.locator(".frame.code code.language-js")).to_have_count(1)
    await block.evaluate("(it) => { window.block = it; it.scrollLeft = 150; }")
    await chat.answer.locator("p").first.select_text()
    selected = "String(getSelection())"
    assert await chat.page.evaluate(selected) == "Select me, please."

    for grown in ("one two", "one two three four"):
        await model.wait_for(state="held")
        await model.release()
        await expect(chat.answer.locator("p").last).to_have_text(grown)
        assert await chat.page.evaluate(selected) == "Select me, please."
        assert await block.evaluate("(it) => [it === window.block, it.scrollLeft]") == [True, 150]
    await chat.finished()
    assert await block.evaluate("(it) => [it === window.block, it.scrollLeft]") == [True, 150]
    assert chat.complaints == []


async def test_a_selection_in_the_paragraph_that_grows_stays(chat: Chat, model: Simulator) -> None:
    await say(chat, model, "one two three four", hold("one two"))
    await expect(chat.answer).to_have_text("one two")
    await chat.answer.locator("p").evaluate(
        "({ firstChild: it }) => getSelection().setBaseAndExtent(it, 0, it, it.length)"
    )
    await model.release()
    await chat.finished()
    await expect(chat.answer).to_have_text("one two three four")
    assert await chat.page.evaluate("String(getSelection())") == "one two"
    assert chat.complaints == []


async def test_html_is_shown_as_text(open_chat: OpenChat, model: Simulator) -> None:
    chat = await open_chat()
    await say(chat, model, "Use <b>bold</b> & <div>\n\n<details>\n<summary>x</summary>\n\ny")
    await expect(chat.answer).to_contain_text("Use <b>bold</b> & <div>")
    await expect(chat.answer).to_contain_text("<summary>x</summary>")
    await expect(chat.answer.locator("b, div, details, summary")).to_have_count(0)
    assert chat.complaints == []
