"""A backend that says what a test wants: what no real one, or only a broken one, would say."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiohttp import web

from local.loopback import serving
from tests.console.screen import Screen, running_screen

type Event = dict[str, Any]

GUARD_SECONDS = 30.0


class Fake:
    """Answers questions with what was queued by `answer`, in order, or with `status`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        """Those of questions."""
        self._queued: list[web.Response | list[bytes]] = []
        self._arrived = asyncio.Event()

    def answer(self, *said: str | Event, end: Event | None = None, cut: bool = False) -> None:
        """Queues a stream: `start`, texts, events, and an end.

        Without one it stays open, or with `cut` is cut off.
        """
        events: list[Event] = [
            {"type": "start"}
            if item == "start"
            else {"type": "delta", "text": item}
            if isinstance(item, str)
            else item
            for item in said
        ]
        frames = [b": keep-alive\n\n"]
        frames += [frame(number, event) for number, event in enumerate(events)]
        if end is not None:
            frames.append(frame(len(frames), {"type": "end", "finishReason": "stop", **end}))
        if end is not None or cut:
            frames.append(b"")
        self._queued.append(frames)

    def refuse(self, status: int, body: str, **headers: str) -> None:
        """Queues another answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._queued.append(web.Response(status=status, text=body, headers=named))

    def asked(self, method: str, ending: str) -> int:
        """How many requests there were."""
        return sum(m == method and path.endswith(ending) for m, path in self.requests)

    async def until_asked(self, method: str, ending: str) -> None:
        """Waits for such a request."""
        async with asyncio.timeout(GUARD_SECONDS):
            while not self.asked(method, ending):
                self._arrived.clear()
                await self._arrived.wait()

    def screen(self, *arguments: str, **options: Any) -> AbstractAsyncContextManager[Screen]:
        """The console against this backend."""
        return running_screen("--url", self.url, *arguments, **options)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self._arrived.set()
        self.headers.append(dict(request.headers))
        if request.path == "/api/health":
            return web.json_response({"status": "ok"})
        if request.path.endswith("/stop"):
            await self._never()
        if request.path == "/api/chat":
            self.bodies.append(await request.json())
        queued = self._queued.pop(0)
        if isinstance(queued, web.Response):
            return queued
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for data in queued:
            await response.write(data)
        if queued[-1]:
            await self._never()  # Silent, with the connection open.
        return response

    async def _never(self) -> None:
        """Until the caller leaves."""
        await asyncio.Event().wait()


def frame(number: int, event: Event) -> bytes:
    position = f"1.{number}"
    data = json.dumps({**event, "position": position}, ensure_ascii=False)
    return f"id: {position}\ndata: {data}\n\n".encode()


@asynccontextmanager
async def running_fake() -> AsyncIterator[Fake]:
    """Serves it on a free port while the block runs."""
    fake = Fake()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    async with serving(app) as url:
        fake.url = url
        yield fake
