"""The peer that people copy: a function that streams what the SDK parsed. No history.

It does what Microsoft's streaming sample for Python does, without the sample's artificial delay:
https://github.com/Azure/azure-functions-python-extensions
"""

import os
from collections.abc import AsyncIterator

import azure.functions as func
import openai
from azurefunctions.extensions.http.fastapi import Request, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
client = openai.AsyncAzureOpenAI(
    azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
    api_key=os.environ["AZURE_OPENAI_API_KEY"],
    api_version="2024-10-21",
)


@app.route(route="chat", methods=["POST"])
async def chat(req: Request) -> StreamingResponse:
    body = await req.json()
    stream = await client.chat.completions.create(
        model=os.environ["AZURE_OPENAI_CHAT_DEPLOYMENT"],
        messages=[{"role": "user", "content": body["userPrompt"]}],
        stream=True,
    )

    async def text() -> AsyncIterator[str]:
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    return StreamingResponse(text(), media_type="text/event-stream")
