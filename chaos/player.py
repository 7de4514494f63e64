"""Plays scenes: what a caller and their other windows do with a turn, whatever comes back."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Final

from chaos.caller import Caller, Seen, asked
from chaos.history import ConversationHistory, Sighting, TurnHistory, Way
from chaos.plan import Conversation, Doing, Leave, Scene

GIVE_UP_SECONDS: Final = 60.0
"""Beyond what the answer takes: then the caller leaves for good."""
_TRIES: Final = 8
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})


class Player:
    """One caller with a generator of its own; `conversations` is what they have had."""

    def __init__(self, caller: Caller, seed: str, number: int, instances: int) -> None:
        self.caller = caller
        self.conversations: list[ConversationHistory] = []
        self._rng = Random(f"{seed}/player/{number}")
        self._instances = instances
        self._last: TurnHistory | None = None
        """The last turn, where its end was seen."""

    async def play(self, scene: Scene) -> None:
        """Ask the scene's turns and do to them what is planned; ends when all is done."""
        if scene.fresh:
            name = f"{self.caller.owner}-{len(self.conversations)}"
            plan = Conversation(name, self.caller.owner)
            self.conversations.append(ConversationHistory(plan))
            self._last = None
        conversation = self.conversations[-1]
        turns = [TurnHistory(turn) for turn in scene.turns]
        if self._last is not None and turns[0].plan.replaces:
            turns[0].replaces = self._last.plan.name
        conversation.turns += turns
        async with asyncio.TaskGroup() as group:
            for turn in turns:
                group.create_task(self._turn(conversation, turn, rival=len(turns) > 1))
        ended = [turn for turn in turns if any(s.end for s in turn.sightings)]
        self._last = ended[0] if len(ended) == 1 == len(turns) else None

    async def _turn(
        self, conversation: ConversationHistory, turn: TurnHistory, *, rival: bool
    ) -> None:
        plan = turn.plan
        async with asyncio.TaskGroup() as group:
            main = group.create_task(
                self._follow(
                    conversation,
                    turn,
                    who="main",
                    instance=plan.instance,
                    first="post",
                    leaves=plan.leaves,
                    rival=rival,
                )
            )
            for number in range(plan.at_once):
                instance = (plan.instance + number + 1) % self._instances
                who = f"at once {number}"
                group.create_task(
                    self._follow(conversation, turn, who=who, instance=instance, first="repeat")
                )
            for doing in plan.doings:
                group.create_task(self._later(conversation, turn, doing, main))

    async def _later(
        self,
        conversation: ConversationHistory,
        turn: TurnHistory,
        doing: Doing,
        main: "asyncio.Task[None]",
    ) -> None:
        # Seldom enough for looking: whoever sees something first may be any of several.
        while not turn.seen and not main.done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if not turn.seen:
            return
        await asyncio.sleep(doing.after)
        if doing.kind in ("tab", "repeat"):
            way: Way = "attach" if doing.kind == "tab" else "repeat"
            await self._follow(
                conversation, turn, who=doing.kind, instance=doing.instance, first=way
            )
        else:
            await self._act(conversation, turn, doing)

    async def _act(
        self, conversation: ConversationHistory, turn: TurnHistory, doing: Doing
    ) -> None:
        caller, plan = self.caller, conversation.plan
        path = f"/conversations/{plan.name}"
        body: object = None
        match doing.kind:
            case "stop":
                acts, method, path = turn.acts, "POST", f"{path}/turns/{turn.plan.name}/stop"
            case "delete":
                acts, method = conversation.acts, "DELETE"
            case "rename":
                acts, method, body = conversation.acts, "PATCH", {"title": f"Of {turn.plan.marker}"}
            case _:
                acts, method, path = turn.acts, "POST", "/chat"
                body = asked(turn, plan) | {"userPrompt": f"{turn.plan.prompt} Or else?"}
        instance = doing.instance
        for pause in self._pauses():
            act = await caller.act(acts, doing.kind, method, path, body, instance=instance)
            if act.status and act.status not in _AGAIN:
                return
            instance = self._rng.randrange(self._instances)
            await asyncio.sleep(pause)

    async def _follow(
        self,
        conversation: ConversationHistory,
        turn: TurnHistory,
        *,
        who: str,
        instance: int,
        first: Way,
        leaves: tuple[Leave, ...] = (),
        rival: bool = False,
    ) -> None:
        """See a turn to its end, as a good client does: again after what passes, and elsewhere."""
        rng, caller, plan = self._rng, self.caller, conversation.plan
        give_up = caller.clock() + turn.plan.seconds + GIVE_UP_SECONDS
        seen: Seen | None = None
        to_come = list(leaves)
        way, tries = first, 0
        while caller.clock() < give_up and tries < _TRIES:
            leave = to_come[0].after if to_come else None
            if way == "attach":
                now = await caller.attach(
                    turn, plan, who=who, instance=instance, after=seen, leave=leave
                )
            else:
                now = await caller.post(
                    turn, plan, who=who, instance=instance, way=way, leave=leave
                )
            sighting = now.sighting
            if sighting.seen or (sighting.status == 200 and seen is None):
                seen = now
            if sighting.parting in ("end", "nothing") and sighting.status in (200, 204):
                return
            pause = rng.uniform(0.1, 0.6)
            if sighting.parting == "left":
                was = to_come.pop(0)
                if not was.back:
                    return
                pause = was.pause
            elif sighting.parting == "refused":
                if self._hopeless(conversation, sighting, rival=rival):
                    return
                if sighting.code != "conversation_busy":
                    tries += 3 if turn.plan.refused else 1
                pause = rng.uniform(0.3, 1.5)
            await asyncio.sleep(pause)
            instance = rng.randrange(self._instances)
            again: Way = "repeat" if first != "attach" and rng.random() < 0.15 else "attach"
            way = again if seen is not None else first

    def _hopeless(
        self, conversation: ConversationHistory, sighting: Sighting, *, rival: bool
    ) -> bool:
        """Whether asking again cannot help."""
        if sighting.code == "conversation_busy":
            return rival
        if sighting.status == 404:
            return True
        return sighting.status not in _AGAIN

    def _pauses(self) -> Iterator[float]:
        for _ in range(_TRIES):
            yield self._rng.uniform(0.2, 1.5)
