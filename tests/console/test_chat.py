"""Conversations in a pseudo-terminal: questions, answers, and how it is left."""

import os
import re
import signal
from contextlib import AsyncExitStack

import pytest

from local.host import Host
from local.simulator import Simulator
from tests.browser.relay import running_relay
from tests.console.conftest import OpenScreen, port_of
from tests.console.fake import running_fake
from tests.console.screen import CTRL_C, CTRL_D, ENTER, ESCAPE, UP, Screen


async def test_an_answer_is_seen_to_arrive(open_screen: OpenScreen, model: Simulator) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="one two **three**"] [simulate: hold after=2]')
        await screen.until("^one two$")
        assert screen.text.count("one two") == 2, "the question, and half the answer"
        await model.release()
        await screen.until("^one two three$")
        await screen.prompted()


async def test_the_conversation_is_kept(open_screen: OpenScreen, model: Simulator) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="first answer"] first question')
        await screen.until("^first answer$")
        await screen.prompted()
        screen.enter('[simulate: say text="second answer"] second question')
        await screen.until("^second answer$")
    records = await model.requests()
    messages = [(m["role"], m["content"]) for m in records[-1].body["messages"]]
    assert messages[1:3] == [
        ("user", '[simulate: say text="first answer"] first question'),
        ("assistant", "first answer"),
    ]


async def test_ctrl_c_stops_the_answer_and_not_the_program(
    open_screen: OpenScreen, model: Simulator
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="a b c d"] [simulate: hold after=2]')
        await screen.until("^a b$")
        screen.type(f"typed before{CTRL_C}")
        await screen.until(r"^Stopped\. What was answered so far is kept\.$")
        await model.wait_for(state="aborted")
        await screen.prompted()
        screen.enter('[simulate: say text="still here"]')
        await screen.until("^still here$")
        assert "typed before" not in screen.text
        for _ in range(3):
            await screen.prompted()
            screen.enter(
                '[simulate: say text="a b c d"] [simulate: hold after=1] [simulate: pace ms=0]'
            )
            await screen.until(r"^a\Z|^a$\n+\Z")
            screen.type(CTRL_C)
            await screen.until(r"^Stopped\..*$\n+^>\s*\Z")
        screen.enter("exit")
        assert await screen.ended() == 0


async def test_a_second_ctrl_c_leaves_the_waiting() -> None:
    async with running_fake() as fake, fake.screen() as screen:
        fake.answer("start", "half")  # And never an end.
        await screen.prompted()
        screen.enter("question")
        await screen.until("^half$")
        screen.type(CTRL_C)
        await screen.until("^Stopping … ")
        await fake.until_asked("POST", "/stop")
        screen.type(CTRL_C)
        await screen.until("^Left the answer before its end; it may still be running.$")
        await screen.prompted()
        assert fake.asked("POST", "/stop") == 1


async def test_an_interrupt_that_comes_as_a_signal_stops_the_answer(
    open_screen: OpenScreen, model: Simulator
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="a b"] [simulate: hold after=1]')
        await screen.until("^a$")
        os.kill(screen.pid, signal.SIGINT)
        await screen.until(r"^Stopped\.")
        await screen.prompted()
        os.kill(screen.pid, signal.SIGINT)
        await screen.until("^exit, an empty line or Ctrl-D leaves")


@pytest.mark.parametrize("line", ["exit", "EXIT", "quit", "", "   ", "/exit", None])
async def test_leaving(open_screen: OpenScreen, line: str | None) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.type(CTRL_D if line is None else line + ENTER)
        assert await screen.ended() == 0


async def test_who_leaves_is_told_how_to_go_on(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="the answer"]')
        await screen.until("^the answer$")
        await screen.prompted()
        screen.enter("exit")
        assert await screen.ended() == 0
        told = await screen.until("^To go on with it later: --conversation [0-9a-f]{32}$")
    async with open_screen("--conversation", told.split()[-1]) as screen:
        await screen.until("^the answer$")
        await screen.prompted()


async def test_ctrl_c_at_the_prompt_clears_the_line_and_says_how_to_leave(
    open_screen: OpenScreen, model: Simulator
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.type("nothing of this")
        await screen.until("^> nothing of this$")
        screen.type(CTRL_C)
        await screen.until("^exit, an empty line or Ctrl-D leaves; .*\n+>$", count=1)
        await screen.prompted()
        screen.enter('[simulate: say text="but this"]')
        await screen.until("^but this$")
    [record] = await model.requests()
    assert record.body["messages"][-1]["content"] == '[simulate: say text="but this"]'


async def test_a_question_of_several_lines(open_screen: OpenScreen, model: Simulator) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.type(f"one{ESCAPE}{ENTER}two")
        screen.type("\x1b[200~\nthree\r\n\nfour\x1b[201~")
        await screen.until("four")
        screen.type(ENTER)
        [record] = await model.wait_for()
    assert record.body["messages"][-1]["content"] == "one\ntwo\nthree\n\nfour"


async def test_what_is_typed_while_an_answer_arrives_waits(
    open_screen: OpenScreen, model: Simulator
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="a b"] [simulate: hold after=1]')
        await screen.until("^a$")
        screen.type('[simulate: say text="the second"]\rexit\r')
        await model.release()
        assert await screen.ended() == 0
        assert "\na b\n" in screen.text
        assert "\nthe second\n" in screen.text


async def test_questions_before_are_a_key_away(open_screen: OpenScreen, model: Simulator) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="again"]')
        await screen.until("^again$")
        await screen.prompted()
        screen.type(UP)
        await screen.until(r"^> \[simulate: say text=\"again\"\]\s*\Z")
        screen.type(ENTER)
        await screen.until("^again$", count=2)
    assert len(await model.requests()) == 2


async def test_thoughts_are_marked(open_screen: OpenScreen) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        screen.enter('[simulate: reasoning text="hm well"] [simulate: say text="yes"]')
        await screen.until("^│ Thoughts: hm well$\n\n^yes$")


async def test_usage(open_screen: OpenScreen) -> None:
    async with open_screen("--usage") as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="a b"]')
        await screen.until(r"^Tokens: \d+ in, 2 out, \d+ in all\.$")


@pytest.mark.parametrize(
    ("directive", "words"),
    [
        ("length after=2", r"^The answer is cut off"),
        ("filtered_output after=2", r"^The answer was ended by the model's content filter"),
        ("end after=2", r"^The answer is incomplete"),
        (
            "error after=2",
            r"^The answer ended with an error \(model_unavailable\): .*/retry asks again\.$",
        ),
        ("filtered_prompt", r"content filter"),
        ("status code=429 retry_after=7", r"Try again in \d+ s\.$"),
        ("status code=401", r"^The model service did not accept the key"),
    ],
)
async def test_every_end_is_said(open_screen: OpenScreen, directive: str, words: str) -> None:
    async with open_screen(columns=200) as screen:
        await screen.prompted()
        screen.enter(f'[simulate: say text="a b c d"] [simulate: {directive}]')
        await screen.until(f"(?s)simulate.*{words}")
        await screen.prompted()


async def test_a_program_that_is_told_to_end_leaves_the_terminal_as_it_was(
    open_screen: OpenScreen,
) -> None:
    async with open_screen() as screen:
        await screen.prompted()
        before = screen.modes
        screen.enter('[simulate: say text="a b"] [simulate: hold after=1]')
        await screen.until("^a$")
        os.kill(screen.pid, signal.SIGTERM)
        assert await screen.ended() == 143
        assert screen.modes != before
        assert screen.modes == screen.modes_at_start


async def test_without_a_backend_it_says_how_to_start_one() -> None:
    async with running_fake() as fake:
        screen = fake.screen()
    async with screen as gone:
        await gone.until(r"^Nothing answers at http://127.0.0.1:\d+. Is the backend running\?")
        await gone.until("make run")
        assert await gone.ended() == 10


async def test_a_backend_that_went_away_is_said_and_the_program_goes_on(
    open_screen: OpenScreen, anonymous: Host
) -> None:
    async with AsyncExitStack() as stack:
        async with running_relay(port_of(anonymous)) as relay:
            screen = await stack.enter_async_context(open_screen(url=relay.url))
            await screen.prompted()
        for line in ("a question", "/list", "/clear", "/open 0123456789abcdef"):
            screen.enter(line)
            await screen.until(f"{line}\n+Nothing answers at {relay.url}")
            await screen.prompted()
        screen.enter("exit")
        assert await screen.ended() == 0


async def test_a_locked_system_prompt_is_explained(open_screen: OpenScreen) -> None:
    env = {"AZURE_OPENAI_SYSTEM_PROMPT": "Be brief."}
    async with open_screen(env=env, columns=300) as screen:
        await screen.prompted()
        screen.enter("question")
        await screen.until(
            "The system prompt came from AZURE_OPENAI_SYSTEM_PROMPT. To ask without it, unset "
            'AZURE_OPENAI_SYSTEM_PROMPT, or give --system-prompt ""'
        )
    async with open_screen("--system-prompt", "", env=env) as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="fine"]')
        await screen.until("^fine$")


async def test_system_prompt_and_action_reach_the_model(
    open_screen: OpenScreen, signed_in: str, model: Simulator
) -> None:
    arguments = ("--system-prompt", "Be brief.", "--action", "default")
    async with open_screen(*arguments, url=signed_in) as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="fine"]')
        await screen.until("^fine$")
    [record] = await model.requests()
    assert record.body["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_terminal_that_can_do_nothing_gets_text(open_screen: OpenScreen) -> None:
    async with open_screen(env={"TERM": "dumb"}) as screen:
        await screen.until("^>")
        screen.enter('[simulate: reasoning text="hm"] [simulate: say text="**one** two"]')
        await screen.until(r"^Thoughts: hm$\n+^\*\*one\*\* two$")
        screen.enter("exit")
        assert await screen.ended() == 0
        assert b"\x1b" not in screen.written


async def test_no_colors_where_none_are_wanted(open_screen: OpenScreen) -> None:
    async with open_screen(env={"NO_COLOR": "1"}) as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="# Title\\n\\n`code` [a](http://b.c)"]')
        await screen.until("^code a")
        await screen.prompted()
        assert colors(screen) == set()


def colors(screen: Screen) -> set[bytes]:
    parameters = {p for m in re.findall(rb"\x1b\[([\d;]*)m", screen.written) for p in m.split(b";")}
    return {p for p in parameters if p and 30 <= int(p) <= 49}
