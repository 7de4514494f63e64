"""One instance or several over one store, and callers that listen: what the tests play with."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.events import BEGINNING, Delta, End, Error, Event, Position, StoredEvent
from shared.history.base import Answer, Place
from shared.history.memory import MemoryRows
from shared.messages import Caller, ChatRequest, FinishReason
from shared.prompts.actions import Action
from shared.prompts.prompt import Prompt, make_prompt
from shared.retrieval.base import Retriever
from shared.settings import Settings
from shared.turns.budget import Budget
from shared.turns.buffer import Entry, Watch
from shared.turns.turn import Bounds
from shared.turns.turns import Response, TurnLimits, Turns
from tests.turns.faulty import FaultyStore
from tests.turns.scripted import ScriptedModel

START_MS = 1_790_000_000_000
ME = Caller("me")
PLACE = Place("me", "c1")
ACTION = Action(
    name="default",
    title="default",
    description="",
    connection="AZURE_OPENAI",
    model=None,
    system_prompt="Be kind.",
    prompt_template=None,
    temperature=0.7,
    max_completion_tokens=None,
    caller_fields=frozenset(),
)
BOUNDS = Bounds(max_bytes=500_000, model_timeout=180.0, grace=30.0, heartbeat=15.0)
INPUT = Settings({"CHAT_CONTEXT_MAX_TOKENS": "1000000", "CHAT_MAX_INPUT_CHARS": "1000000"}).limits
LIMITS = TurnLimits(
    concurrent=10, history_messages=40, history_tokens=32_000, respond_within=5.0, turn=BOUNDS
)


def now_ms() -> int:
    """The instances' wall clock: it goes with the loop's."""
    return START_MS + round(asyncio.get_running_loop().time() * 1000)


class Instance:
    """`Turns` with a store that can fail. Two of them share `rows`."""

    def __init__(
        self, rows: MemoryRows | None = None, budget: Budget | None = None, **limits: Any
    ) -> None:
        self.rows = rows or MemoryRows()
        self.store = FaultyStore(self.rows)
        bounds = {n: limits.pop(n) for n in tuple(limits) if hasattr(BOUNDS, n)}
        self.turns = Turns(
            lambda: self.store,
            replace(LIMITS, turn=replace(BOUNDS, **bounds), **limits),
            now_ms,
            budget,
        )

    async def start(
        self,
        model: ScriptedModel,
        prompt: str = "Hello",
        caller: Caller = ME,
        action: Action = ACTION,
        retriever: Retriever | None = None,
        **fields: Any,
    ) -> Response:
        request = ask(prompt, **fields)
        made = prompt_of(request, action)
        return await self.turns.start(caller, request, made, model, retriever)

    async def listen(
        self, model: ScriptedModel, prompt: str = "Hello", **fields: Any
    ) -> "Listener":
        return Listener(await self.start(model, prompt, **fields))

    async def attach(self, turn_id: str, position: Position = BEGINNING) -> "Listener":
        found = await self.turns.attach(PLACE, turn_id, position)
        assert found is not None
        return Listener(found)

    async def whole_turn(self, answer: str, prompt: str = "Hello", **fields: Any) -> "Listener":
        """A turn from the first to the last event."""
        model = ScriptedModel()
        model.say(answer)
        model.finish()
        listener = await self.listen(model, prompt, **fields)
        await listener.ended()
        return listener

    async def stored(self, turn_id: str = "t1") -> Answer:
        number = await FaultyStore(self.rows).find(PLACE, turn_id)
        assert number is not None
        answer = await FaultyStore(self.rows).answer(PLACE, number)
        assert answer is not None
        return answer


class Listener:
    """A caller that reads a response."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.entries: list[Entry] = []
        self.heartbeats = 0
        self._task = asyncio.create_task(response.watch.pipe(self._write))

    @property
    def events(self) -> list[Event]:
        return [entry.event for entry in self.entries]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def end(self) -> End:
        """The end, which comes once, and last."""
        ends = [event for event in self.events if isinstance(event, End)]
        assert len(ends) == 1
        assert self.events[-1] is ends[0]
        return ends[0]

    @property
    def errors(self) -> list[Error]:
        return [event for event in self.events if isinstance(event, Error)]

    async def ended(self) -> End:
        await self._task
        return self.end

    def leave(self) -> None:
        self.response.watch.close()

    async def _write(self, entries: Sequence[Entry]) -> None:
        self.entries += entries
        self.heartbeats += not entries


def ask(prompt: str = "Hello", **fields: Any) -> ChatRequest:
    """Turn t1 of conversation c1, unless something else is said."""
    if fields.get("store", True):
        fields = {"conversation_id": "c1", "turn_id": "t1"} | fields
    return ChatRequest(user_prompt=prompt, **fields)


def prompt_of(request: ChatRequest, action: Action = ACTION) -> Prompt:
    return make_prompt(action, request, "gpt", INPUT)


async def read_all(watch: Watch) -> list[Entry]:
    """Everything that a watch on an ended turn gives."""
    entries: list[Entry] = []

    async def write(more: Sequence[Entry]) -> None:
        entries.extend(more)

    await watch.pipe(write)
    return entries


def reasons(*answers: Answer) -> list[FinishReason | None]:
    return [answer.finish_reason for answer in answers]


def texts(runs: Sequence[StoredEvent | Event]) -> str:
    return "".join(run.text for run in runs if isinstance(run, Delta))
