"""Searches over HTTPS with an identity's token; run as a process of its own.

A TLS client reads `SSL_CERT_FILE` once, when its process starts. Reads queries as JSON lines,
writes what was found, or the error, as JSON lines. Argument: the app's settings as JSON.
"""

import asyncio
import json
import sys
from typing import Any

from shared.backends import Backends
from shared.errors import ChatError
from shared.retrieval.base import Query
from shared.settings import Settings


async def answer(backends: Backends, asked: dict[str, Any]) -> Any:
    retriever = backends.retriever(asked.pop("retriever", "S"))
    try:
        if asked.get("ready"):
            await retriever.ready()
            return []
        conditions = asked.pop("filter", {})
        asked["filter"] = {k: tuple(v) if isinstance(v, list) else v for k, v in conditions.items()}
        found = await retriever.search(Query(**asked))
    except ChatError as error:
        return {"code": error.code, "message": error.message}
    return [[d.id, d.title, d.url, d.content, d.score] for d in found]


async def main(settings: dict[str, str]) -> None:
    backends = Backends(Settings(settings))
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await answer(backends, json.loads(line))), flush=True)
    finally:
        await backends.aclose()


asyncio.run(main(json.loads(sys.argv[1])))
