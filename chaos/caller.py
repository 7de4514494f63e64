"""One caller of one owner: asks, attaches, stops, and notes whatever comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from chaos.events import EventReader
from chaos.history import Act, Sighting, TurnHistory, Way
from chaos.plan import Conversation
from chaos.stack import Instance
from local.principal import HEADER, encode

SILENT_SECONDS: Final = 20.0
"""Heartbeats come every 15 s: who hears nothing for longer goes elsewhere."""
_LOST = (aiohttp.ClientError, ConnectionError)


@dataclass(slots=True)
class Seen:
    """What one watching of a turn left: the last position, and the text it stands for."""

    sighting: Sighting
    position: str
    told: str


class Caller:
    """Speaks to all instances as one user."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        instances: list[Instance],
        owner: str,
        clock: Callable[[], float],
    ) -> None:
        self.owner = owner
        self.clock = clock
        self._session = session
        self._instances = instances
        self._principal = encode(
            {
                "identityProvider": "aad",
                "userId": owner,
                "userDetails": owner,
                "userRoles": ["anonymous", "authenticated"],
            }
        )

    async def post(
        self,
        turn: TurnHistory,
        conversation: Conversation,
        *,
        who: str,
        instance: int,
        way: Way = "post",
        leave: float | None = None,
    ) -> Seen:
        """`POST /api/chat`; `leave`: so many seconds after the response began.

        A negative `leave` is as many seconds after the request was sent, response or not.
        """
        body = asked(turn, conversation)
        sighting = Sighting(who, way, instance, self.clock())
        return await self._watch(turn, sighting, "POST", "/chat", body, {}, leave)

    async def attach(
        self,
        turn: TurnHistory,
        conversation: Conversation,
        *,
        who: str,
        instance: int,
        after: Seen | None = None,
        leave: float | None = None,
    ) -> Seen:
        """`GET …/stream`, after the position that was seen last, or from the beginning."""
        sighting = Sighting(who, "attach", instance, self.clock())
        headers = {}
        if after is not None and after.position:
            headers["last-event-id"] = after.position
            sighting.before = after.told
        path = f"/conversations/{conversation.name}/turns/{turn.plan.name}/stream"
        return await self._watch(turn, sighting, "GET", path, None, headers, leave)

    async def act(
        self,
        acts: list[Act],
        kind: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        instance: int,
    ) -> Act:
        """One small exchange, noted in `acts`; no answer leaves its status 0."""
        act = Act(kind, instance, self.clock())
        acts.append(act)
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                status, raw = await self.call(method, path, body, instance=instance)
        except (*_LOST, TimeoutError):
            act.status = 0
        else:
            act.status, act.answer = status, _object(raw)
        act.answered = self.clock()
        return act

    async def call(
        self, method: str, path: str, body: Any = None, *, instance: int
    ) -> tuple[int, bytes]:
        """Status and body. Raises aiohttp's errors."""
        async with self._opened(method, path, body, {}, instance) as response:
            return response.status, await response.read()

    async def _watch(
        self,
        turn: TurnHistory,
        sighting: Sighting,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str],
        leave: float | None,
    ) -> Seen:
        turn.sightings.append(sighting)
        seen = Seen(sighting, headers.get("last-event-id", ""), sighting.before)
        accept = {"accept": turn.plan.accept}
        loop = asyncio.get_running_loop()
        early = leave is not None and leave < 0
        patience = asyncio.timeout(-leave if leave is not None and early else None)
        try:
            async with (
                patience,
                self._opened(
                    method, path, body, {**headers, **accept}, sighting.instance
                ) as response,
            ):
                sighting.opened = self.clock()
                sighting.status = response.status
                if response.status != 200:
                    answer = _object(await _in_time(response.read()))
                    sighting.code = str(answer.get("code", ""))
                    sighting.busy_with = str(answer.get("turnId", ""))
                    sighting.parting = "nothing" if response.status == 204 else "refused"
                    return seen
                if leave is not None and not early:
                    patience.reschedule(loop.time() + leave)
                await self._read(response, seen)
        except TimeoutError:
            sighting.parting = "left" if patience.expired() else "silent"
        except _LOST:
            sighting.parting = "broken"
        except asyncio.CancelledError:
            sighting.parting = "left"
            raise
        finally:
            sighting.closed = self.clock()
            if sighting.end is not None:
                sighting.parting = "end"
        return seen

    async def _read(self, response: aiohttp.ClientResponse, seen: Seen) -> None:
        sighting = seen.sighting
        reader = EventReader(sighting, response.content_type, self.clock)
        try:
            while data := await _in_time(response.content.readany()):
                reader.feed(data)
            if reader.torn:
                sighting.strange = "the body ended inside of an event"
        finally:
            seen.told = reader.told
            if reader.position:
                seen.position = reader.position

    @asynccontextmanager
    async def _opened(
        self, method: str, path: str, body: Any, headers: Mapping[str, str], instance: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._instances[instance].host.url}/api{path}"
        named = {HEADER: self._principal, **headers}
        data = None
        if body is not None:
            named["content-type"] = "application/json"
            data = json.dumps(body).encode()
        opening = self._session.request(method, url, data=data, headers=named)
        response = await _in_time(opening)
        try:
            yield response
        finally:
            response.close()


def asked(turn: TurnHistory, conversation: Conversation) -> dict[str, Any]:
    """The body that asks a turn; the same each time."""
    body: dict[str, Any] = {
        "userPrompt": turn.plan.prompt,
        "conversationId": conversation.name,
        "turnId": turn.plan.name,
        "onDisconnect": turn.plan.on_disconnect,
    }
    return body if turn.replaces is None else body | {"replaces": turn.replaces}


async def _in_time[T](waiting: Awaitable[T]) -> T:
    async with asyncio.timeout(SILENT_SECONDS):
        return await waiting


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
