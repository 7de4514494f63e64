"""A plain HTTP client for the simulator's tests: it sees the very bytes."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from local.simulator import Simulator

AZURE_V1 = "/openai/v1/chat/completions"
AZURE_DATED = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
OPENAI = "/v1/chat/completions"


@dataclass(frozen=True)
class Reply:
    """A whole response; `broken` where the body did not end as it should."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[Any]:
        """Decode the data of all events but `[DONE]`."""
        lines = self.body.decode().replace("\r\n", "\n").split("\n\n")
        data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
        return [json.loads(item) for item in data if item != "[DONE]"]

    def text(self, member: str = "content") -> str:
        """Join what the deltas bring."""
        choices = [choice for event in self.events() for choice in event.get("choices", [])]
        return "".join(c["delta"].get(member) or "" for c in choices if "delta" in c)

    def finish_reason(self) -> str | None:
        """Give the finish reason, if one came."""
        reasons = [
            choice["finish_reason"]
            for event in self.events()
            for choice in event.get("choices", [])
            if choice["finish_reason"]
        ]
        assert len(reasons) <= 1
        return reasons[0] if reasons else None

    @property
    def done(self) -> bool:
        return self.body.rstrip().endswith(b"[DONE]")


def body_of(prompt: str, **fields: Any) -> dict[str, Any]:
    """Make a streaming request to the chat model with one user message."""
    messages = [{"role": "user", "content": prompt}]
    return {"model": "chat", "messages": messages, "stream": True, **fields}


@asynccontextmanager
async def opened(
    simulator: Simulator,
    body: Any,
    *,
    path: str = AZURE_V1,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request and yield the response as soon as its headers are there."""
    sent = {"api-key": "k", "Authorization": "Bearer sk-k"} if headers is None else headers
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    timeout = aiohttp.ClientTimeout(total=30)
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.post(simulator.url + path, data=data, headers=sent) as response,
    ):
        yield response


async def ask(
    simulator: Simulator,
    body: Any,
    *,
    path: str = AZURE_V1,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send a request and read all that comes."""
    async with opened(simulator, body, path=path, headers=headers) as response:
        received, broken = bytearray(), False
        try:
            async for chunk in response.content.iter_any():
                received += chunk
        except aiohttp.ClientError:
            broken = True
        return Reply(response.status, response.headers, bytes(received), broken)


async def tell(simulator: Simulator, prompt: str, **fields: Any) -> Reply:
    """Send one prompt to Azure's v1 URL, streamed."""
    return await ask(simulator, body_of(prompt, **fields))
