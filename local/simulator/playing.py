"""Plays an answer into a response, with whatever is to go wrong on the way."""

import asyncio
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from local.simulator.answers import Answer
from local.simulator.behaviour import Cut, End, Hold, Interruption, Junk, Stall, StreamError
from local.simulator.chunks import (
    ContentTemplate,
    Dialect,
    Header,
    async_filter_chunk,
    content_of,
)
from local.simulator.errors import server_error
from local.simulator.journal import Entry
from local.simulator.parts import logprobs_of, message_of
from local.simulator.performance import Metronome, Performance
from local.simulator.script import Holds

_JUNK = b'{"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"'


class Broken(Exception):
    """The body ends here, because a fault says so; names the fault."""


class EventWriter:
    """Writes the data of server-sent events to a response."""

    def __init__(self, response: web.StreamResponse, performance: Performance) -> None:
        self._response = response
        self._before = b"data:" if performance.no_space else b"data: "
        self._after = b"\r\n\r\n" if performance.crlf else b"\n\n"
        self._split = performance.split

    async def write(self, data: bytes) -> None:
        """Write one event, in one piece unless it is to be split."""
        event = b"%b%b%b" % (self._before, data, self._after)
        if not self._split:
            await self._response.write(event)
            return
        for start in range(0, len(event), self._split):
            await self._response.write(event[start : start + self._split])
            # Lets the piece go out alone.
            await asyncio.sleep(0)


class Player:
    """Plays one answer."""

    def __init__(
        self,
        request: web.Request,
        entry: Entry,
        holds: Holds,
        performance: Performance,
    ) -> None:
        self._request = request
        self._entry = entry
        self._holds = holds
        self._performance = performance
        self._interruptions = list(performance.interruptions)
        self._metronome = Metronome(performance.token_ms, performance.jitter)

    async def before_headers(self) -> None:
        """Do what comes before the response begins."""
        for pause in self._performance.before:
            await self._pause(pause)
        if self._performance.headers_ms:
            await asyncio.sleep(self._performance.headers_ms / 1000)

    async def stream(
        self,
        response: web.StreamResponse,
        answer: Answer,
        dialect: Dialect,
        header: Header,
        usage: dict[str, Any],
    ) -> None:
        """Write the whole event stream, or as much of it as the faults leave."""
        await response.prepare(self._request)
        writer = EventWriter(response, self._performance)
        try:
            await self._play(writer, answer, dialect, header, usage)
        except Broken as fault:
            self._entry.finish(str(fault))
        await response.write_eof()

    async def _play(
        self,
        writer: EventWriter,
        answer: Answer,
        dialect: Dialect,
        header: Header,
        usage: dict[str, Any],
    ) -> None:
        opening = dialect.opening()
        if opening:
            await writer.write(opening)
        if self._performance.first_ms:
            await asyncio.sleep(self._performance.first_ms / 1000)
        self._entry.count_thoughts(answer.hidden_tokens)
        indexes = range(header.choices)
        for index in indexes:
            await writer.write(dialect.delta(_role(answer), index=index))
        await self._play_text(writer, answer, dialect, header)
        await self._interrupt(writer, dialect, None)
        for delta in dialect.calls(answer.tool_calls, header.id):
            await self._metronome.tick()
            for index in indexes:
                await writer.write(dialect.delta(delta, index=index))
        told = None if self._performance.no_usage else usage
        performance, length = self._performance, sum(map(len, answer.pieces))
        fires = header.filter_apart and performance.fires_apart
        if not fires or performance.fires_late:
            for index in indexes:
                with_usage = told if index == indexes[-1] else None
                await writer.write(dialect.last(answer.finish_reason, with_usage, index))
        if header.filter_apart:
            filtered = performance.filtered if fires else None
            await writer.write(async_filter_chunk(0, length, filtered))
        if header.include_usage and told and (chunk := dialect.usage(told)):
            await writer.write(chunk)
        # Noted first: a caller who has seen the end may close before this goes on.
        self._entry.finish(answer.finish_reason)
        await writer.write(b"[DONE]")

    async def _play_text(
        self, writer: EventWriter, answer: Answer, dialect: Dialect, header: Header
    ) -> None:
        self._metronome.restart()
        if answer.reasoning:
            thoughts = [
                ContentTemplate(dialect, header, "reasoning_content", index)
                for index in range(header.choices)
            ]
            for piece in answer.reasoning:
                for thought in thoughts:
                    await writer.write(thought.fill(piece))
                self._entry.count_thoughts(1)
                await self._metronome.tick()
        contents = content_of(dialect, header)
        for count, piece in enumerate(answer.pieces):
            if self._interruptions:
                await self._interrupt(writer, dialect, count)
            for content in contents:
                await writer.write(content.fill(piece))
            self._entry.count_chunk()
            if header.filter_apart and count == 0:
                await writer.write(async_filter_chunk(0, len(piece)))
            await self._metronome.tick()

    async def whole(
        self, answer: Answer, dialect: Dialect, header: Header, usage: dict[str, Any]
    ) -> web.Response:
        """Make the response that is not streamed, after the time that it would have taken."""
        performance = self._performance
        tokens = len(answer.pieces) * performance.token_ms
        await asyncio.sleep((performance.first_ms + tokens) / 1000)
        for interruption in self._due(None):
            match interruption:
                case Hold() | Stall():
                    await self._pause(interruption)
                case Cut():
                    self._close(reset=interruption.reset)
                    self._entry.finish("cut")
                    return web.Response(status=500)
                case End():
                    self._entry.finish("end")
                    return web.Response(body=b"", content_type="application/json")
                case StreamError():
                    raise server_error()
                case Junk():
                    self._entry.finish("junk")
                    return web.Response(body=_JUNK, content_type="application/json")
        self._entry.count_thoughts(answer.reasoning_tokens())
        message = message_of(answer)
        logprobs = logprobs_of(answer.pieces, header.top_logprobs)
        body = dialect.whole(message, answer.tool_calls, answer.finish_reason, usage, logprobs)
        self._entry.finish(answer.finish_reason)
        return web.Response(body=body, content_type="application/json")

    async def _interrupt(self, writer: EventWriter, dialect: Dialect, count: int | None) -> None:
        """Do everything that is due after so many chunks; None: after the last."""
        for interruption in self._due(count):
            match interruption:
                case Hold() | Stall():
                    await self._pause(interruption)
                case Junk():
                    await writer.write(_JUNK)
                case Cut():
                    self._close(reset=interruption.reset)
                    raise Broken("cut")
                case End():
                    raise Broken("end")
                case StreamError(message=message, code=code):
                    await writer.write(dialect.failure(message, code))
                    raise Broken("error")

    def _due(self, count: int | None) -> Iterator[Interruption]:
        while self._interruptions and (count is None or self._interruptions[0].after <= count):
            yield self._interruptions.pop(0)

    async def _pause(self, pause: Hold | Stall) -> None:
        if isinstance(pause, Stall):
            await asyncio.get_running_loop().create_future()
            return
        self._entry.set_held(True)
        await self._holds.wait(pause.name)
        self._entry.set_held(False)
        self._metronome.restart()

    def _close(self, *, reset: bool) -> None:
        transport = self._request.transport
        if transport is None:
            return
        if not reset:
            # What was written before still goes out.
            transport.close()
            return
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Lingering for no time makes the close a reset.
            linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


def _role(answer: Answer) -> dict[str, Any]:
    only_calls = bool(answer.tool_calls) and not answer.pieces
    return {"role": "assistant", "content": None if only_calls else "", "refusal": None}
