"""Connections that are lost: the answer goes on where it was, and is there once."""

import asyncio
import secrets

from local.host import Host
from local.simulator import Simulator
from tests.browser.relay import running_relay
from tests.console.conftest import OpenScreen, port_of
from tests.console.fake import running_fake
from tests.console.piped import ask


async def test_a_lost_connection_is_taken_up_again(
    open_screen: OpenScreen, anonymous: Host, model: Simulator
) -> None:
    async with running_relay(port_of(anonymous)) as relay, open_screen(url=relay.url) as screen:
        await screen.prompted()
        screen.enter(
            '[simulate: say text="one two three four"] '
            "[simulate: hold after=1 name=a] [simulate: hold after=3 name=b]"
        )
        await screen.until("^one$")
        assert relay.cut() == 1
        await screen.until(r"^Connection lost, trying again \(1\) …$")
        await model.release("a")
        await screen.until("^one two three$")
        assert relay.cut() == 1
        await model.release("b")
        await screen.until("^one two three four$")
        await screen.prompted()
        assert "Connection lost" not in screen.text
    assert len(await model.requests()) == 1


async def test_a_question_whose_answer_was_lost_is_the_same_turn_again(
    open_screen: OpenScreen, anonymous: Host, model: Simulator
) -> None:
    async with running_relay(port_of(anonymous)) as relay, open_screen(url=relay.url) as screen:
        await screen.prompted()
        screen.enter('[simulate: say text="one two"] [simulate: hold before]')
        await model.wait_for(state="held")
        assert relay.cut() == 1
        await screen.until(r"^Connection lost, trying again \(1\) …$")
        await model.release()
        await screen.until("^one two$")
    assert len(await model.requests()) == 1


async def test_in_a_pipe_too(anonymous: Host, model: Simulator) -> None:
    prompt = '[simulate: say text="one two three"] [simulate: hold after=2]'
    async with running_relay(port_of(anonymous)) as relay:
        asking = asyncio.create_task(ask(relay.url, stdin=prompt))
        await model.wait_for(state="held")
        assert relay.cut() == 1
        await model.release()
        assert await asking == (0, "one two three\n", "")
    assert len(await model.requests()) == 1


async def test_a_gateway_that_fails_before_the_first_event_is_tried_again() -> None:
    async with running_fake() as fake:
        fake.refuse(502, "<html>Bad Gateway</html>", content_type="text/html")
        fake.answer("start", "yes", end={"result": {"response": "yes"}})
        assert await ask(fake.url, "question") == (0, "yes\n", "")
        assert fake.asked("POST", "/chat") == 2


async def test_a_refusal_is_final() -> None:
    async with running_fake() as fake:
        fake.refuse(503, '{"code": "store_unavailable", "detail": "The history is away."}')
        assert await ask(fake.url, "question") == (9, "", "The history is away.\n")
        assert fake.asked("POST", "/chat") == 1


async def test_attaching_is_tried_again_where_asking_would_not_be() -> None:
    async with running_fake() as fake:
        fake.answer("start", "one ", cut=True)
        fake.refuse(503, '{"code": "store_unavailable", "detail": "The history is away."}')
        fake.answer({"type": "delta", "text": "two"}, end={"result": {"response": "one two"}})
        assert await ask(fake.url, "question") == (0, "one two\n", "")
        assert fake.asked("POST", "/chat") == 1
        assert fake.asked("GET", "/stream") == 2
        assert [h["Last-Event-ID"] for h in fake.headers if "Last-Event-ID" in h] == ["1.1", "1.1"]


async def test_what_was_answered_stays_where_the_rest_is_refused() -> None:
    async with running_fake() as fake:
        fake.answer("start", "one", cut=True)
        fake.refuse(404, '{"code": "not_found", "detail": "There is no such turn."}')
        code, out, said = await ask(fake.url, "question", "--conversation", secrets.token_hex(16))
        assert (code, out, said) == (9, "one\n", "There is no such turn.\n")
