"""What callers do to the worker: whole conversations, each deleted at its end."""

import asyncio
import json
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import aiohttp

from local.principal import encode

TURNS_A_CONVERSATION = 5
SHORT = "[simulate: slow first=0] [simulate: tokens n=20 ms=2]"
LONG = "[simulate: slow first=0] [simulate: tokens n=40 ms=60]"
"""Long enough for a checkpoint."""
ENDLESS = "[simulate: slow first=0] [simulate: tokens n=3] [simulate: stall after=3]"
BROKEN = "[simulate: slow first=0] [simulate: tokens n=9 ms=1] [simulate: cut after=5]"
REFUSED = "[simulate: filtered_prompt]"

# What a turn is, in hundredths of all turns.
SHARES = {
    "whole": 54,
    "long": 1,
    "joined": 8,
    "attached": 8,
    "retried": 8,
    "stopped": 6,
    "busy": 3,
    "broken": 2,
    "refused": 2,
    "left": 4,
    "cancelled": 4,
}


class Unexpected(Exception):
    """A response that the contract does not allow here."""


class Callers:
    """Callers of one host, `most` at once. What they do is decided by `seed` alone."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, most: int, seed: str = "soak"
    ) -> None:
        self._session = session
        self._url = url
        self._most = most
        self._random = random.Random(seed)
        self.turns = 0
        """Begun so far."""
        self.requests = 0
        """Sent so far, of every kind."""
        self.kinds: Counter[str] = Counter()

    async def run(self, turns: int) -> None:
        """So many turns more. Raises `Unexpected`."""
        plan = iter(self._plan(turns))
        async with asyncio.TaskGroup() as group:
            for _ in range(self._most):
                group.create_task(self._converse(plan))

    def _plan(self, turns: int) -> Iterator[list[str]]:
        """Conversations, as the kinds of their turns."""
        while turns > 0:
            size = min(turns, TURNS_A_CONVERSATION)
            yield self._random.choices(list(SHARES), list(SHARES.values()), k=size)
            turns -= size

    async def _converse(self, conversations: Iterator[list[str]]) -> None:
        # The callers share the iterator: each takes the next conversation when it has ended one.
        for kinds in conversations:
            talk = _Conversation(self, secrets.token_hex(8), secrets.token_hex(16))
            for kind in kinds:
                self.turns += 1
                self.kinds[kind] += 1
                await talk.turn(kind)
            await talk.end()

    async def send(
        self,
        method: str,
        path: str,
        *,
        owner: str,
        body: Any = None,
        wanted: int = 200,
        leave_after: int | None = None,
        on_start: Callable[[Mapping[str, str]], Awaitable[None]] | None = None,
    ) -> bytes:
        """One request; `on_start` runs once the response has begun to say something.

        `leave_after`: the connection is closed once so many bytes have come. Raises `Unexpected`.
        """
        self.requests += 1
        headers = {
            "x-ms-client-principal": encode(
                {
                    "identityProvider": "aad",
                    "userId": owner,
                    "userDetails": owner,
                    "userRoles": ["anonymous", "authenticated"],
                }
            ),
            "accept": "text/event-stream" if "chat" in path or "stream" in path else "*/*",
        }
        async with self._session.request(
            method, self._url + path, json=body, headers=headers
        ) as response:
            if response.status != wanted:
                text = await response.text()
                raise Unexpected(f"{method} {path} {body}: {response.status} {text}")
            data = b""
            async for chunk in response.content.iter_any():
                data += chunk
                if leave_after is not None and len(data) >= leave_after:
                    response.close()
                    break
                if on_start is not None:
                    await on_start(response.headers)
                    on_start = None
            return data


class _Conversation:
    """One conversation of one owner."""

    def __init__(self, callers: Callers, owner: str, name: str) -> None:
        self._callers = callers
        self._owner = owner
        self._path = f"/api/conversations/{name}"
        self._name = name
        self._unended: str | None = None
        """A turn that was left, and may still run."""

    async def turn(self, kind: str) -> None:
        """A turn of that kind. Raises `Unexpected`."""
        if self._unended is not None:  # its conversation is free once it has ended
            await self._stop(self._unended)
            self._unended = None
        act: Callable[[str], Awaitable[None]] = getattr(self, f"_{kind}")
        await act(secrets.token_hex(8))

    async def end(self) -> None:
        """Read it, then delete it."""
        await self._send("GET", f"{self._path}/messages")
        await self._send("GET", "/api/conversations")
        await self._send("DELETE", self._path, wanted=204)

    async def _whole(self, turn: str) -> None:
        await self._ask(turn, SHORT, "stop")

    async def _long(self, turn: str) -> None:
        await self._ask(turn, LONG, "stop")

    async def _joined(self, turn: str) -> None:
        """Asked twice at once under one id."""
        await asyncio.gather(self._ask(turn, SHORT, "stop"), self._ask(turn, SHORT, "stop"))

    async def _attached(self, turn: str) -> None:
        async def attach(headers: Mapping[str, str]) -> None:
            _ended(await self._send("GET", self._turn(turn, "/stream")), "stop")

        await self._ask(turn, SHORT, "stop", on_start=attach)

    async def _retried(self, turn: str) -> None:
        await self._ask(turn, SHORT, "stop")
        await self._ask(turn, SHORT, "stop")
        await self._send("GET", self._turn(turn, ""))

    async def _stopped(self, turn: str) -> None:
        async def stop(headers: Mapping[str, str]) -> None:
            await self._stop(turn)

        await self._ask(turn, ENDLESS, "cancelled", on_start=stop)

    async def _busy(self, turn: str) -> None:
        async def meddle(headers: Mapping[str, str]) -> None:
            await self._send("POST", "/api/chat", body=self._body(turn + "x", SHORT), wanted=409)
            await self._stop(turn)

        await self._ask(turn, ENDLESS, "cancelled", on_start=meddle)

    async def _broken(self, turn: str) -> None:
        await self._ask(turn, BROKEN, "incomplete")

    async def _refused(self, turn: str) -> None:
        await self._send("POST", "/api/chat", body=self._body(turn, REFUSED), wanted=400)

    async def _left_early(self, turn: str, on_disconnect: str) -> None:
        body = self._body(turn, ENDLESS) | {"onDisconnect": on_disconnect}
        await self._send("POST", "/api/chat", body=body, leave_after=1)
        self._unended = turn

    async def _left(self, turn: str) -> None:
        await self._left_early(turn, "finish")

    async def _cancelled(self, turn: str) -> None:
        await self._left_early(turn, "cancel")

    async def _ask(
        self,
        turn: str,
        prompt: str,
        reason: str,
        on_start: Callable[[Mapping[str, str]], Awaitable[None]] | None = None,
    ) -> None:
        body = self._body(turn, prompt)
        _ended(await self._send("POST", "/api/chat", body=body, on_start=on_start), reason)

    async def _stop(self, turn: str) -> None:
        await self._send("POST", self._turn(turn, "/stop"))

    async def _send(self, method: str, path: str, **more: Any) -> bytes:
        return await self._callers.send(method, path, owner=self._owner, **more)

    def _body(self, turn: str, prompt: str) -> dict[str, Any]:
        return {"userPrompt": prompt, "conversationId": self._name, "turnId": turn}

    def _turn(self, turn: str, what: str) -> str:
        return f"{self._path}/turns/{turn}{what}"


def _ended(data: bytes, reason: str) -> None:
    """Raises `Unexpected` unless the events end with that reason."""
    last = data.rstrip(b"\n").rpartition(b"data: ")[2]
    end = json.loads(last or b"{}")
    if end.get("type") != "end" or end["finishReason"] != reason:
        raise Unexpected(f"{reason} was expected as the end of {data[-500:]!r}")
