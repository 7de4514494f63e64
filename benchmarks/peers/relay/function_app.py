"""The peer that does the least: a function that relays the model's bytes untouched."""

import os
from collections.abc import AsyncIterator

import aiohttp
import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
url = f"{os.environ['AZURE_OPENAI_ENDPOINT']}/openai/v1/chat/completions"
headers = {"api-key": os.environ["AZURE_OPENAI_API_KEY"], "accept-encoding": "identity"}
sessions: list[aiohttp.ClientSession] = []


@app.route(route="chat", methods=["POST"])
async def chat(req: Request) -> StreamingResponse:
    body = await req.json()
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    response = await sessions[0].post(
        url,
        headers=headers,
        json={
            "model": os.environ["AZURE_OPENAI_CHAT_DEPLOYMENT"],
            "messages": [{"role": "user", "content": body["userPrompt"]}],
            "stream": True,
        },
    )

    async def relayed() -> AsyncIterator[bytes]:
        async with response:
            async for chunk in response.content.iter_any():
                yield chunk

    return StreamingResponse(relayed(), media_type="text/event-stream")
