"""Which turn a question that is asked once more replaces."""

from dataclasses import dataclass, field, replace

import pytest

from shared.errors import TurnMismatch
from shared.events import Delta, StoredEvent, ToolCall
from shared.history.base import Answer, NewTurn, Place, Replaced, View
from shared.history.codec import encode_runs
from shared.history.memory import MemoryRows
from shared.messages import ChatRequest, ToolResult
from shared.protocols.ui_messages.request import Again
from shared.turns.again import ask_again
from tests.turns.bench import PLACE
from tests.turns.clock_loop import in_virtual_time
from tests.turns.faulty import FaultyStore
from tests.turns.scripted import USAGE

REQUEST = ChatRequest(user_prompt="q", conversation_id="c1", turn_id="m1")
AGAIN = Again("m1", None, edited=False)


@dataclass
class Chat:
    """A conversation whose turns are written without running them."""

    rows: MemoryRows = field(default_factory=MemoryRows)

    def __post_init__(self) -> None:
        self.store = FaultyStore(self.rows)

    async def write(
        self,
        request: ChatRequest,
        *runs: StoredEvent,
        results: tuple[ToolResult, ...] = (),
        running: bool = False,
    ) -> None:
        view = await self.store.read(PLACE, 2)
        turn = new_turn(request, view, results)
        begun = await self.store.begin(PLACE, view.head, turn, 1)
        if not running:
            await self.store.finish(begun, encode_runs(runs or [Delta("a")]), "stop", USAGE, 0)

    async def again(self, again: Again = AGAIN, request: ChatRequest = REQUEST) -> ChatRequest:
        return await ask_again(self.store, PLACE, request, again, as_it_is)


def new_turn(request: ChatRequest, view: View, results: tuple[ToolResult, ...]) -> NewTurn:
    assert request.turn_id
    return NewTurn(
        turn_id=request.turn_id,
        nonce="n",
        digest=request.digest(),
        action="a",
        model="m",
        result_name="r",
        question=request.user_prompt,
        title="t",
        results=results,
        replaces=Replaced.one(view.answers[0]) if request.replaces else None,
    )


async def as_it_is(place: Place, answer: Answer) -> Answer:
    return answer


def other(turn_id: str, prompt: str = "q") -> ChatRequest:
    return ChatRequest(user_prompt=prompt, conversation_id="c1", turn_id=turn_id)


@in_virtual_time
async def test_what_was_never_asked_is_asked() -> None:
    chat = Chat()
    assert await chat.again() == REQUEST
    await chat.write(other("m0"))
    assert await chat.again() == REQUEST


@in_virtual_time
async def test_a_deleted_conversation_is_left_to_whoever_begins() -> None:
    chat = Chat()
    await chat.write(REQUEST)
    await chat.store.delete(PLACE)
    assert await chat.again() == REQUEST


@in_virtual_time
async def test_each_time_replaces_the_last_one() -> None:
    chat = Chat()
    await chat.write(REQUEST)
    seen = ["m1"]
    for _ in range(3):
        request = await chat.again()
        assert request.replaces == seen[-1]
        assert request.turn_id not in seen
        assert request == AGAIN.instead_of(REQUEST, seen[-1])
        seen.append(request.turn_id or "")
        await chat.write(request)


@in_virtual_time
async def test_a_retry_means_the_turn_that_runs() -> None:
    chat = Chat()
    await chat.write(REQUEST)
    first = await chat.again()
    await chat.write(first, running=True)
    assert await chat.again() == first
    # Another question's turn that runs is replaced by nobody: whoever begins says so.
    assert (await chat.again(Again("m1", first.turn_id, edited=False))).replaces == first.turn_id


@in_virtual_time
async def test_a_named_answer_is_made_anew_once() -> None:
    chat = Chat()
    await chat.write(REQUEST)
    named = Again("m1", "m1", edited=False)
    first = await chat.again(named)
    await chat.write(first)
    assert await chat.again(named) == first
    second = await chat.again(Again("m1", first.turn_id, edited=False))
    assert second.replaces == first.turn_id
    with pytest.raises(TurnMismatch):
        await chat.again(Again("m1", "m0", edited=False))


@in_virtual_time
async def test_the_same_edit_means_the_same_turn() -> None:
    chat = Chat()
    await chat.write(REQUEST)
    edited = Again("m1", None, edited=True)
    first = await chat.again(edited, other("m1", "edited"))
    await chat.write(first)
    assert await chat.again(edited, other("m1", "edited")) == first
    second = await chat.again(edited, other("m1", "edited again"))
    assert second.replaces == first.turn_id


@in_virtual_time
async def test_an_earlier_question_is_not_asked_again() -> None:
    chat = Chat()
    await chat.write(REQUEST)
    await chat.write(other("m2"))
    with pytest.raises(TurnMismatch, match="last question"):
        await chat.again()


@in_virtual_time
async def test_a_question_behind_rounds_of_calls() -> None:
    chat = Chat()
    call = ToolCall(0, "id", "name", "{}")
    result = (ToolResult(id="id", content="x"),)
    await chat.write(REQUEST, call)
    asked = await chat.again()
    await chat.write(asked, call)
    for number in range(9):
        await chat.write(other(f"r{number}", ""), call, results=result)
    chat.store.calls.clear()
    for named in (None, asked.turn_id, "r8"):
        assert (await chat.again(Again("m1", named, edited=False))).replaces == "r8"
    with pytest.raises(TurnMismatch):
        await chat.again(Again("m1", "r7", edited=False))
    # Each time one more read, to see what the first one replaced.
    assert chat.store.calls == ["read", "read_below"] * 4
    # More rounds than are read at first: its question is found all the same.
    for number in range(9, 40):
        await chat.write(other(f"r{number}", ""), call, results=result)
    assert (await chat.again()).replaces == "r39"


@in_virtual_time
async def test_a_newest_turn_that_cannot_be_read() -> None:
    class Spoilt(FaultyStore):
        async def read(self, place: Place, messages: int) -> View:
            view = await super().read(place, messages)
            return replace(view, answers=view.answers[1:])

    chat = Chat()
    await chat.write(REQUEST)
    await chat.write(other("m2"))
    chat.store = Spoilt(chat.rows)
    with pytest.raises(TurnMismatch):
        await chat.again()
