"""One question in a pipe: the bare answer, words beside it, and an exit code."""

import asyncio
import secrets
import signal

import pytest

from local.host import Host
from local.simulator import Simulator
from tests.console.fake import running_fake
from tests.console.piped import ask, start


async def test_the_bare_answer(anonymous: Host, model: Simulator) -> None:
    text = "# **Not** rendered\n\nü 🙂 \u2028 \u2029 end"
    await model.script({"kind": "say", "text": text})
    assert await ask(anonymous.url, stdin="the question\n") == (0, f"{text}\n", "")
    [record] = await model.requests()
    assert record.body["messages"][-1]["content"] == "the question"


async def test_set_up_says_nothing_in_front_of_the_answer(
    anonymous: Host, model: Simulator
) -> None:
    await model.script({"kind": "say", "text": "bare"})
    code, out, _ = await ask(anonymous.url, stdin="q", module=("local", "console"))
    assert (code, out) == (0, "bare\n")


async def test_a_question_as_argument(anonymous: Host, model: Simulator) -> None:
    prompt = '[simulate: reasoning text="hm"] [simulate: say text="yes\\n\\n"]'
    code, out, said = await ask(anonymous.url, "--usage", *prompt.split(" "))
    assert (code, out) == (0, "yes\n")
    assert said.startswith("Tokens: ")


@pytest.mark.parametrize(
    ("directive", "code", "said"),
    [
        ("length after=1", 3, "The answer is cut off"),
        ("filtered_output after=1", 4, "The answer was ended by the model's content filter"),
        ("end after=1", 7, "The answer is incomplete"),
        ("error after=1", 8, "The answer ended with an error (model_unavailable): "),
        ("filtered_prompt", 9, ""),
        ("status code=401", 9, "The model service did not accept the key"),
    ],
)
async def test_exit_codes(
    anonymous: Host, model: Simulator, directive: str, code: int, said: str
) -> None:
    prompt = f'[simulate: say text="a b"] [simulate: {directive}]'
    ended = await ask(anonymous.url, stdin=prompt)
    assert ended[:2] == (code, "" if code == 9 else "a\n")
    assert ended[2].startswith(said)
    assert ended[2].count("\n") == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [("stop", 0), ("tool_calls", 5), ("cancelled", 6), ("disconnected", 6), ("later", 8)],
)
async def test_exit_codes_of_other_ends(reason: str, code: int) -> None:
    async with running_fake() as fake:
        end = {"finishReason": reason, "result": {"response": ""}}
        fake.answer("start", {"type": "novelty"}, end=end)
        ended = await ask(fake.url, "question")
        assert ended[:2] == (code, "")
        assert bool(ended[2]) == bool(code)


async def test_text_goes_out_as_it_arrives(anonymous: Host, model: Simulator) -> None:
    prompt = '[simulate: say text="a b"] [simulate: hold after=1]'
    process = await start(anonymous.url, prompt)
    assert process.stdout is not None
    assert await process.stdout.readexactly(1) == b"a"
    await model.release()
    out, said = await process.communicate()
    assert (out, said, process.returncode) == (b" b\n", b"", 0)


async def test_ctrl_c_stops_the_answer(anonymous: Host, model: Simulator) -> None:
    prompt = '[simulate: say text="a b"] [simulate: hold after=1]'
    process = await start(anonymous.url, prompt)
    assert process.stdout is not None
    assert await process.stdout.readexactly(1) == b"a"
    process.send_signal(signal.SIGINT)
    out, said = await process.communicate()
    assert (out, process.returncode) == (b"\n", 6)
    assert said.decode().splitlines()[-1] == "Stopped. What was answered so far is kept."
    await model.wait_for(state="aborted")


async def test_who_reads_no_more_is_left_quietly(anonymous: Host, model: Simulator) -> None:
    prompt = '[simulate: say text="a b c d"] [simulate: hold after=1]'
    process = await start(anonymous.url, prompt)
    assert process.stdout is not None
    assert process.stderr is not None
    assert await process.stdout.readexactly(1) == b"a"
    process.stdout._transport.close()  # type: ignore[attr-defined]
    await model.release()
    assert await process.stderr.read() == b""
    assert await process.wait() == 141


async def test_a_conversation_goes_on(anonymous: Host, model: Simulator) -> None:
    conversation = secrets.token_hex(16)
    await model.script({"kind": "say", "text": "first"})
    await model.script({"kind": "say", "text": "second"})
    await ask(anonymous.url, "--conversation", conversation, "one")
    code, out, _ = await ask(anonymous.url, stdin="two", CHAT_CONVERSATION=conversation)
    assert (code, out) == (0, "second\n")
    records = await model.requests()
    assert [m["content"] for m in records[1].body["messages"]][1:] == ["one", "first", "two"]


async def test_the_backends_refusals_name_what_was_given(anonymous: Host) -> None:
    _, _, said = await ask(anonymous.url, "q", CHAT_ACTION="nonsense")
    assert "The action came from CHAT_ACTION." in said
    _, _, said = await ask(anonymous.url, "q", "--conversation", "short")
    assert "The conversation's id came from --conversation." in said
    code, _, said = await ask(anonymous.url, "q", "--system-prompt", "Be brief.")
    assert code == 9
    assert "The system prompt came from --system-prompt. To ask without it, leave it out." in said


async def test_nobody_is_there() -> None:
    async with running_fake() as fake:
        pass
    code, out, said = await ask(fake.url, "q")
    assert (code, out) == (10, "")
    assert said == (
        f"Nothing answers at {fake.url}. Is the backend running? `make run` starts one.\n"
    )


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (404, "", {}, "answers, but not as a chat backend: 404 Not Found."),
        (200, "<html>", {"content_type": "text/html"}, "What answers is no chat backend"),
        (401, "", {}, "wants you to sign in: 401 Unauthorized. Give a token with CHAT_TOKEN."),
        (302, "", {"location": "/.auth/login"}, "wants you to sign in: 302 Found."),
        (418, "[1]", {}, "answered 418 I'm a Teapot."),
        (200, "data: nonsense\n\n", {"content_type": "text/event-stream"}, "cannot be read"),
    ],
)
async def test_what_answers_is_no_backend(
    status: int, body: str, headers: dict[str, str], said: str
) -> None:
    async with running_fake() as fake:
        fake.refuse(status, body, **headers)
        code, out, told = await ask(fake.url, "q", CHAT_TOKEN="the-token")
        assert (code, out) == (9, "")
        assert said in told
        assert "the-token" not in told
        assert fake.headers[0]["Authorization"] == "Bearer the-token"


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("", "There is no question: standard input is empty."),
        (" \n", "There is no question: standard input is empty."),
        (b"\xff\xfe", "The question is no UTF-8"),
    ],
)
async def test_no_question(stdin: str | bytes, said: str) -> None:
    code, out, told = await ask("http://127.0.0.1:1", stdin=stdin)
    assert (code, out) == (2, "")
    assert told.startswith(said)


async def test_control_characters_are_left_out(anonymous: Host, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "a\x1b[2J\x07\x9b\r\nb\tc\x00"})
    assert await ask(anonymous.url, "q") == (0, "a[2J\nb\tc\n", "")


async def test_two_at_a_time_wait_for_nothing(anonymous: Host, model: Simulator) -> None:
    conversation = secrets.token_hex(16)
    first = await start(anonymous.url, "--conversation", conversation, "[simulate: hold before] x")
    await model.wait_for(state="held")
    code, _, said = await ask(anonymous.url, "--conversation", conversation, "y")
    assert code == 9
    assert said.endswith("Wait for the other answer, or begin a new conversation.\n")
    await model.release()
    await asyncio.gather(first.communicate())
    assert first.returncode == 0
