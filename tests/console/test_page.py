"""What an answer looks like: hostile, long, in small terminals, in terminals that change."""

import json

import pytest

from local.simulator import Simulator
from tests.console.conftest import OpenScreen
from tests.console.fake import running_fake

HOSTILE = (
    "before\x1b[2Jafter \x1b]0;owned\x07 \x9b31mred \x1b]8;;file:///etc/passwd\x1b\\here\x1b]8;; "
    "\x1b\\ \x07\x08\x08\x7f over\rwritten &#27;[1m &#13;x &#x9b;2J [bold]markup[/bold] "
    "<b>html</b> [click](javascript:alert(1)) [file](file:///etc/passwd) "
    "[web](https://example.com/a) ![image](https://example.com/i.png) \u202eevil\n\n"
    "```\x1b[41m\nfence \x1b[31m &#27;\n```\n\n"
    "| a\x1b[1m | b |\n|---|---|\n| \x1b[5m1 | 2 |\n"
)


async def test_nothing_that_a_model_says_steers_the_terminal(
    open_screen: OpenScreen, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": HOSTILE})
    async with open_screen(columns=300) as screen:
        await screen.prompted()
        title = screen.title
        screen.enter("question")
        await screen.until(r"before\[2Jafter \]0;owned 31mred \]8;;file:///etc/passwd\\here")
        await screen.until(
            r"\[bold\]markup\[/bold\] <b>html</b> \[click\]\(javascript:alert\(1\)\)"
        )
        await screen.until(
            r"web \(https://example.com/a\) \[image: image\] \(https://example.com/i.png\)"
        )
        await screen.until(r"fence \[31m &#27;")
        await screen.prompted()
        assert screen.title == title
        assert "Chat at" in screen.shown[0], "nothing was cleared"
        assert "overwritten" in screen.text
        answer = screen.written.split(b"question", 1)[1]
        assert b"\x07" not in answer
        assert "\x9b".encode() not in answer
        for link in answer.split(b"\x1b]8;")[1:]:
            address = link.split(b"\x1b\\")[0].partition(b";")[2]
            assert address in (b"", b"https://example.com/a")


async def test_hostile_titles_and_errors(open_screen: OpenScreen) -> None:
    async with running_fake() as fake, fake.screen() as screen:
        problem = {"code": "bad\x1b[2J", "detail": "no\x1b]0;owned\x07 \x9b2J [red]way"}
        fake.refuse(400, json.dumps(problem), content_type="application/problem+json")
        await screen.prompted()
        screen.enter("question")
        await screen.until(r"^no\]0;owned 2J \[red\]way$")
        await screen.prompted()
        assert "owned" not in screen.title


def long_answer(paragraphs: int) -> str:
    return "\n\n".join(
        f"Paragraph **{n}** has a number of words, and ends: n{n}n." for n in range(paragraphs)
    )


async def test_a_long_answer_is_in_the_scrollback_exactly_once(
    open_screen: OpenScreen, model: Simulator
) -> None:
    code = "\n".join(f"line{n}line = {n}" for n in range(60))
    items = "\n".join(f"{n}. item{n}item" for n in range(1, 50))
    text = f"{long_answer(60)}\n\n```python\n{code}\n```\n\n{items}\n\nThe end."
    await model.script({"kind": "say", "text": text}, {"kind": "pace", "ms": 1})
    async with open_screen(columns=60, rows=12) as screen:
        await screen.prompted()
        screen.enter("question")
        await screen.until("^The end.$")
        await screen.prompted()
        marks = [f"n{n}n" for n in range(60)] + [f"line{n}line" for n in range(60)]
        marks += [f"item{n}item" for n in range(1, 50)] + ["The end."]
        assert [screen.text.count(mark) for mark in marks] == [1] * len(marks)
        places = [screen.text.index(mark) for mark in marks]
        assert places == sorted(places)


async def test_a_block_that_is_taller_than_the_screen_shows_its_newest_lines(
    open_screen: OpenScreen, model: Simulator
) -> None:
    lines = [f"line{n}line" for n in range(100)]
    text = "```\n" + "\n".join(lines) + "\n```\n\nThe end."
    await model.script({"kind": "say", "text": text}, {"kind": "hold", "after": 150})
    async with open_screen(rows=10) as screen:
        await screen.prompted()
        screen.enter("question")
        await model.wait_for(state="held")
        await screen.until("…\n(?:.*line\\d+line\n){7}.*line\\d+.*\\Z")
        await model.release()
        await screen.until("^The end.$")
        assert [screen.text.count(line) for line in lines] == [1] * 100


@pytest.mark.parametrize("columns", [20, 10, 2])
async def test_a_narrow_terminal(open_screen: OpenScreen, model: Simulator, columns: int) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    text = f"# Heading\n\nSome words\n\n- item 🙂\n\n{table}\n\n```\ncode\n```\n\n> quote\n\nZ"
    await model.script({"kind": "say", "text": text})
    async with open_screen(columns=columns, rows=30) as screen:
        await screen.until("^>")
        screen.enter("q")
        await screen.until("^Z$")
        screen.enter("exit")
        assert await screen.ended() == 0


async def test_a_terminal_that_changes_while_an_answer_arrives(
    open_screen: OpenScreen, model: Simulator
) -> None:
    words = " ".join(f"w{n}w" for n in range(40))
    await model.script({"kind": "say", "text": f"{words}\n\nlast"}, {"kind": "hold", "after": 30})
    async with open_screen(columns=60) as screen:
        await screen.prompted()
        screen.enter("question")
        await model.wait_for(state="held")
        await screen.until("w2w")
        screen.resize(100, 30)
        await model.release()
        await screen.until("^last$")
        await screen.prompted()
        assert [screen.text.count(f"w{n}w") for n in range(40)] == [1] * 40


async def test_an_answer_that_arrives_character_by_character_is_drawn_as_one_that_does_not(
    open_screen: OpenScreen, model: Simulator
) -> None:
    text = "Title\n=====\n\n- a\n- b\n\n1. one\n2. two\n\n~~gone~~ **bold** `code`\n\n---\n\nend."
    async with running_fake() as fake, fake.screen() as screen, fake.screen() as other:
        fake.answer("start", *text, end={"result": {"response": text}})
        await screen.prompted()
        screen.enter("question")
        await screen.until("^end.$")
        await screen.prompted()
        fake.answer("start", text, end={"result": {"response": text}})
        await other.prompted()
        other.enter("question")
        await other.until("^end.$")
        await other.prompted()
        assert screen.lines == other.lines


async def test_only_what_is_kept_counts() -> None:
    async with running_fake() as fake, fake.screen() as screen:
        fake.answer("start", "one two", end={"result": {"response": "one two three"}})
        fake.answer("start", "one two", end={"result": {"response": "one"}})
        fake.answer("start", "one two", end={"result": {"response": "other"}})
        await screen.prompted()
        screen.enter("question")
        await screen.until("^one two three$")
        await screen.prompted()
        screen.enter("question")
        await screen.until("^Of this answer only the first 3 of 7 characters are kept.$")
        await screen.prompted()
        screen.enter("question")
        await screen.until("^one two$\n+^other$\n+^The answer arrived in two versions")
