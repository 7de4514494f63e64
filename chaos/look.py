"""What the API says of everything when all faults are off: read, asked again, and asked anew."""

import asyncio
import json
from random import Random
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from chaos.caller import Caller, asked
from chaos.history import Act, ConversationHistory, Message, TurnHistory, World
from chaos.plan import Turn

FREE_SECONDS: Final = 60.0
"""A guard: a lease is over after 25 s."""
_LOOK_SECONDS: Final = 0.5


class Looker:
    """Looks at one owner's conversations, on any instance."""

    def __init__(self, caller: Caller, world: World, rng: Random, instances: int) -> None:
        self._caller = caller
        self._world = world
        self._rng = rng
        self._instances = instances

    async def look(self, conversations: list[ConversationHistory]) -> None:
        """Fill `final` of each, and what its turns are told again."""
        for conversation in conversations:
            try:
                await self._look(conversation)
            except (aiohttp.ClientError, TimeoutError) as exc:
                conversation.final.troubles.append(f"no answer: {exc!r}")
        try:
            listed = await self._list()
        except (aiohttp.ClientError, TimeoutError) as exc:
            conversations[0].final.troubles.append(f"no list: {exc!r}")
            return
        for conversation in conversations:
            conversation.final.listed = [
                (item["title"], item["messageCount"])
                for item in listed
                if item["id"] == conversation.plan.name
            ]

    async def _look(self, conversation: ConversationHistory) -> None:
        final, path = conversation.final, f"/conversations/{conversation.plan.name}"
        found = await self._free(conversation)
        final.status = found[0]
        if final.status == 200:
            final.messages = [
                _message(item) for item in await self._pages(conversation, f"{path}/messages")
            ]
            status, exported = await self._get(f"{path}/export")
            if status == 200:
                final.exported = [_message(item) for item in exported["messages"]]
            else:
                final.troubles.append(f"export: {status}")
            final.title, final.count = found[1]["title"], found[1]["messageCount"]
            kept = {message.turn for message in final.exported}
            for turn in conversation.turns:
                if turn.plan.name in kept:
                    await self._again(conversation, turn)
        await self._probe(conversation)

    async def _free(self, conversation: ConversationHistory) -> tuple[int, Any]:
        """The conversation, once nothing runs in it."""
        clock, path = self._caller.clock, f"/conversations/{conversation.plan.name}"
        began = clock()
        while True:
            status, found = await self._get(path)
            if status == 404 or (status == 200 and "runningTurnId" not in found):
                conversation.final.waited = clock() - began
                return status, found
            if status != 200:
                conversation.final.troubles.append(f"{path}: {status} {found}")
            if clock() - began > FREE_SECONDS:
                conversation.final.waited = float("inf")
                return status, found
            await asyncio.sleep(_LOOK_SECONDS)

    async def _again(self, conversation: ConversationHistory, turn: TurnHistory) -> None:
        """The same body, and another one."""
        turn.asked_before = self._asks(turn)
        plan, instance = conversation.plan, self._rng.randrange(self._instances)
        await self._caller.post(turn, plan, who="verdict", instance=instance)
        turn.replayed = turn.sightings.pop()
        body = asked(turn, plan) | {"userPrompt": f"{turn.plan.prompt} Or else?"}
        acts: list[Act] = []
        other = self._rng.randrange(self._instances)
        act = await self._caller.act(acts, "mismatch", "POST", "/chat", body, instance=other)
        turn.mismatched = act.status, str(act.answer.get("code", ""))

    def _asks(self, turn: TurnHistory) -> int:
        return sum(ask.marker == turn.plan.marker for ask in self._world.asks)

    async def _probe(self, conversation: ConversationHistory) -> None:
        turn = TurnHistory(probe(conversation.plan.name))
        seen = await self._caller.post(
            turn,
            conversation.plan,
            who="probe",
            instance=self._rng.randrange(self._instances),
        )
        end = seen.sighting.end
        conversation.final.probe = seen.sighting.status, end.reason if end else ""

    async def _pages(self, conversation: ConversationHistory, path: str) -> list[Any]:
        items: list[Any] = []
        cursor = ""
        while True:
            status, page = await self._get(f"{path}?limit=100{cursor}")
            if status != 200:
                conversation.final.troubles.append(f"{path}: {status}")
                return items
            items += page["items"]
            if page["nextCursor"] is None:
                return items
            cursor = f"&cursor={quote(page['nextCursor'], safe='')}"

    async def _list(self) -> list[Any]:
        items: list[Any] = []
        cursor = ""
        while True:
            status, page = await self._get(f"/conversations?limit=100{cursor}")
            if status != 200:
                raise TimeoutError(f"{status} {page}")
            items += page["items"]
            if page["nextCursor"] is None:
                return items
            cursor = f"&cursor={quote(page['nextCursor'], safe='')}"

    async def _get(self, path: str) -> tuple[int, Any]:
        instance = self._rng.randrange(self._instances)
        status, raw = await self._caller.call("GET", path, instance=instance)
        return status, json.loads(raw) if raw else {}


def probe(conversation: str) -> Turn:
    """A short turn that nothing is done to."""
    marker = f"probe-{conversation}"
    return Turn(
        marker=marker,
        name=marker,
        text="free",
        prompt=f'{marker} [simulate: say text="free"]',
        end="stop",
        refused=False,
        seconds=0.0,
        instance=0,
        accept="text/event-stream",
        on_disconnect="finish",
        leaves=(),
        doings=(),
        at_once=0,
        replaces=False,
    )


def _message(item: dict[str, Any]) -> Message:
    return Message(
        role=item["role"],
        turn=item["turnId"],
        content=item["content"],
        state=item.get("state", ""),
        reason=item.get("finishReason") or "",
        usage=item.get("usage"),
        replaced=item.get("replaced", False),
        error=item.get("error", {}).get("code", ""),
    )
