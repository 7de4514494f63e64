"""What clients make of an answer that took so long that heartbeats went out before it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from langchain_openai import ChatOpenAI
from mistralai.client import Mistral
from mistralai.client.errors import ResponseValidationError
from openai import AsyncOpenAI
from pydantic import SecretStr

from local.loopback import serving
from shared.events import Delta, End, Error, Event, Position, Start
from shared.messages import Usage
from shared.protocols.encoding import Encoder
from shared.protocols.openai.encoders import ChunkEncoder, WholeEncoder
from tests.clients.node import play

START = Start(None, None, "default", "chat", True)
USAGE = Usage(1, 2, 3)
SAID: list[Event] = [START, Delta("Hello, "), Delta("world"), End("stop", USAGE, "Hello, world")]
FAILED: list[Event] = [
    START,
    Error("model_timeout", "The model was silent.", True),
    End("error", USAGE, ""),
]


@asynccontextmanager
async def answering(events: list[Event]) -> AsyncIterator[str]:
    """A server that sends these events, with a heartbeat before each; where the API is."""

    async def complete(request: web.Request) -> web.StreamResponse:
        streamed = json.loads(await request.text()).get("stream")
        encoder: Encoder = WholeEncoder("chatcmpl-1", 1)
        if streamed:
            encoder = ChunkEncoder("chatcmpl-1", 1, usage=False)
        frames = [encoder.heartbeat + encoder.encode(event, Position(0, 0)) for event in events]
        kind = "text/event-stream" if streamed else "application/json"
        return web.Response(body=b"".join(frames), content_type=kind)

    app = web.Application()
    app.router.add_post("/api/v1/chat/completions", complete)
    async with serving(app) as url:
        yield f"{url}/api"


def openai_client(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)


def langchain(url: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=f"{url}/v1", api_key=SecretStr("any"), model="default")


async def test_heartbeats_disturb_nobody() -> None:
    async with answering(SAID) as url:
        async with openai_client(url) as client:
            whole = await client.chat.completions.create(model="default", messages=[])
            assert whole.choices[0].message.content == "Hello, world"
            stream = await client.chat.completions.create(model="default", messages=[], stream=True)
            assert [chunk.choices[0].delta.content async for chunk in stream] == [
                "",
                "Hello, ",
                "world",
                None,
            ]
        async with Mistral(api_key="any", server_url=url) as mistral:
            answer = await mistral.chat.complete_async(model="default", messages=[])
            assert answer.choices[0].message is not None
            assert answer.choices[0].message.content == "Hello, world"
            events = await mistral.chat.stream_async(model="default", messages=[])
            async with events:
                parts = [event.data.choices[0].delta.content async for event in events]
            assert "".join(str(part) for part in parts if part) == "Hello, world"
        assert [c.content async for c in langchain(url).astream("Hi")][:3] == [
            "",
            "Hello, ",
            "world",
        ]
        assert (await play("openai.mjs", "stream", url))[0] == "Hello, world"
        assert (await play("openai.mjs", "whole", url))[0] == "Hello, world"
        assert (await play("ai_sdk.mjs", "stream", url))[0] == "Hello, world"
        assert (await play("ai_sdk.mjs", "generate", url))[0] == "Hello, world"


async def test_an_error_after_the_headers_is_no_answer() -> None:
    async with answering(FAILED) as url:
        async with openai_client(url) as client:
            whole = await client.chat.completions.create(model="default", messages=[])
            assert whole.model_extra is not None
            assert whole.model_extra["error"]["code"] == "model_timeout"
            with pytest.raises(TypeError):
                _ = whole.choices[0]
        async with Mistral(api_key="any", server_url=url) as mistral:
            with pytest.raises(ResponseValidationError, match="model_timeout"):
                await mistral.chat.complete_async(model="default", messages=[])
        with pytest.raises(ValueError, match="The model was silent"):
            await langchain(url).ainvoke("Hi")
        code, error = await play("openai.mjs", "lateError", url)
        assert (code, error["kind"]) == ("model_timeout", "TypeError")
        [[name, status, _]] = await play("ai_sdk.mjs", "errors", url, prompts=["Hi"])
        assert (name, status) == ("AI_APICallError", 200)
