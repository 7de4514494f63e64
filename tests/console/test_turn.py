"""Attempts and pauses: when a turn is asked again, when it is given up, and with which words."""

import pytest

from console.backend import Backend
from console.errors import Refused, Unreachable
from console.events import Delta, Event
from console.options import Options
from console.turn import Turn
from tests.console.fake import Fake, running_fake

NO_PAUSES = (0.0, 0.0)


class Seen:
    """What a turn told."""

    def __init__(self) -> None:
        self.text = ""
        self.attempts: list[int] = []

    def take(self, event: Event) -> None:
        if isinstance(event, Delta):
            self.text += event.text


async def followed(fake: Fake, seen: Seen, dead_after: float = 20.0) -> str:
    async with Backend(Options(url=f"{fake.url}/api"), dead_after=dead_after) as backend:
        turn = Turn(backend, "c", {"userPrompt": "q"}, "t", pauses=NO_PAUSES)
        return (await turn.follow(seen.take, seen.attempts.append)).text


def bad_gateway(fake: Fake) -> None:
    fake.refuse(502, "<html>")


async def test_it_is_the_same_turn_that_is_asked_again():
    async with running_fake() as fake:
        bad_gateway(fake)
        fake.answer(cut=True)
        fake.answer("start", "yes", end={"result": {"response": "yes"}})
        seen = Seen()
        assert await followed(fake, seen) == "yes"
        assert seen.attempts == [1, 2, 0]
        assert fake.bodies == [{"userPrompt": "q", "conversationId": "c", "turnId": "t"}] * 3


async def test_it_gives_up_with_words_when_the_attempts_are_used_up():
    async with running_fake() as fake:
        for _ in range(3):
            bad_gateway(fake)
        seen = Seen()
        with pytest.raises(Unreachable, match=r"cannot be reached: 502 Bad Gateway\."):
            await followed(fake, seen)
        assert seen.attempts == [1, 2]
        assert fake.asked("POST", "/chat") == 3


async def test_every_event_makes_the_attempts_begin_anew():
    async with running_fake() as fake:
        fake.answer("start", "a", cut=True)
        for letter in "bcd":
            bad_gateway(fake)
            fake.answer({"type": "delta", "text": letter}, cut=True)
        fake.answer(end={"result": {"response": "abcd"}})
        seen = Seen()
        assert await followed(fake, seen) == "abcd"
        assert seen.text == "abcd"
        assert seen.attempts == [1, 2, 0] * 3 + [1, 0]
        assert fake.asked("POST", "/chat") == 1


async def test_a_connection_that_is_silent_for_too_long_is_dead():
    async with running_fake() as fake:
        fake.answer("start", "one ")  # Stays open, and says nothing more.
        fake.answer({"type": "delta", "text": "two"}, end={"result": {"response": "one two"}})
        seen = Seen()
        assert await followed(fake, seen, dead_after=0.1) == "one two"
        assert seen.text == "one two"


async def test_a_program_that_is_not_there_is_not_waited_for():
    async with running_fake() as fake:
        pass
    seen = Seen()
    with pytest.raises(Unreachable, match="Is the backend running"):
        await followed(fake, seen)
    assert seen.attempts == []


@pytest.mark.parametrize("status", [400, 403, 409, 429, 500, 502, 503, 504])
async def test_what_the_backend_itself_says_is_final(status: int):
    async with running_fake() as fake:
        fake.refuse(status, '{"code": "some_code", "detail": "Some words."}')
        with pytest.raises(Refused, match="Some words") as refused:
            await followed(fake, Seen())
        assert (refused.value.code, refused.value.status) == ("some_code", status)


async def test_characters_that_only_look_like_line_ends_split_nothing():
    text = "a\u2028b\u2029c\u0085d"
    async with running_fake() as fake:
        fake.answer("start", text, end={"result": {"response": text}})
        seen = Seen()
        assert await followed(fake, seen) == text
        assert seen.text == text
