"""A question, and the rounds of calls that it led to."""

import pytest

from shared.events import ToolCall
from shared.history import keys
from shared.history.base import View
from shared.history.rows import Merge
from shared.messages import ToolResult
from shared.turns.chain import ROWS_A_READ, chain_of
from tests.turns.bench import PLACE
from tests.turns.clock_loop import in_virtual_time
from tests.turns.test_again import Chat, other

CALL = ToolCall(0, "id", "name", "{}")


async def rounds(number: int) -> Chat:
    """A turn before, a question that calls, and so many turns that bring what the calls gave."""
    chat = Chat()
    await chat.write(other("before"))
    await chat.write(other("asked"), CALL)
    for n in range(number):
        result = (ToolResult(id="id", content=str(n)),)
        await chat.write(other(f"r{n}", ""), CALL, results=result)
    chat.store.calls.clear()
    return chat


async def links(chat: Chat, view: View) -> list[tuple[str, str | None]]:
    """Turn by turn what it answers: the question, or what the calls gave."""
    found = []
    async for link in chain_of(chat.store, PLACE, view, view.answers[0]):
        asked = link.question
        told = None if asked is None else "".join(r.content for r in asked.results) or asked.text
        found.append((link.answer.turn_id, told))
    return found


def expected(number: int) -> list[tuple[str, str | None]]:
    return [*((f"r{n}", str(n)) for n in reversed(range(number))), ("asked", "q")]


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100])
@in_virtual_time
async def test_the_whole_chain_whatever_was_read(rows: int) -> None:
    chat = await rounds(8)
    assert await links(chat, await chat.store.read(PLACE, rows)) == expected(8)
    assert chat.store.calls == ["read", *["read_below"] * (rows < 18)]


@in_virtual_time
async def test_a_long_chain_is_read_by_pages() -> None:
    number = ROWS_A_READ
    chat = await rounds(number)
    assert await links(chat, await chat.store.read(PLACE, 4)) == expected(number)
    assert chat.store.calls == ["read", "read_below", "read_below"]


@in_virtual_time
async def test_a_question_alone_is_its_own_chain() -> None:
    chat = await rounds(0)
    assert await links(chat, await chat.store.read(PLACE, 2)) == expected(0)
    assert chat.store.calls == ["read"]


@pytest.mark.parametrize(
    ("damaged", "rows", "told"), [(4, 40, "1"), (5, 40, "1"), (4, 2, "1"), (6, 1, None)]
)
@in_virtual_time
async def test_what_cannot_be_read_ends_the_chain(damaged: int, rows: int, told: str) -> None:
    chat = await rounds(2)
    merge = Merge(keys.message("c1", damaged), {"size": "damaged"}, "*")
    await chat.rows.write(keys.partition(PLACE), [merge])
    assert await links(chat, await chat.store.read(PLACE, rows)) == [("r1", told)]
