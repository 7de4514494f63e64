"""How many requests of the store a turn costs, at 10 and at 20,000 messages."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from local.storage import Storage
from shared.history import keys
from shared.history.base import NewTurn, Place
from shared.history.memory import MemoryRows
from shared.history.rows import Insert
from shared.history.store import Store
from shared.history.table import TableRows
from shared.messages import Usage
from shared.settings import Storage as StorageSettings

TABLE = "conversations"
ROWS_A_TRANSACTION = 100


@dataclass(slots=True)
class Counting:
    """A proxy in front of the store that counts; `url` is the table service through it."""

    connection_string: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    def take(self) -> tuple[int, int]:
        """Reads and writes since the last time."""
        reads = self.counts["GET"]
        writes = sum(self.counts.values()) - reads
        self.counts.clear()
        return reads, writes


@asynccontextmanager
async def counting_proxy(storage: Storage) -> AsyncIterator[Counting]:
    """Forwards every request as it came: signatures name the path, not the host."""
    counting = Counting()
    origin = storage.url.rsplit("/", 1)[0]
    async with aiohttp.ClientSession(auto_decompress=False, trust_env=False) as session:

        async def forward(request: web.Request) -> web.Response:
            counting.counts[request.method] += 1
            headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
            async with session.request(
                request.method,
                f"{origin}{request.raw_path}",
                headers=headers,
                data=await request.read(),
                skip_auto_headers=("content-type", "accept", "user-agent"),
            ) as answer:
                kept = {
                    k: v
                    for k, v in answer.headers.items()
                    if k.lower() not in ("transfer-encoding", "content-length", "connection")
                }
                return web.Response(status=answer.status, headers=kept, body=await answer.read())

        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            counting.connection_string = storage.connection_string.replace(
                origin, f"http://{host}:{port}"
            )
            yield counting
        finally:
            await runner.cleanup()


async def seed(connection_string: str, place: Place, messages: int) -> None:
    """A conversation of so many messages, made in memory and copied by pages."""
    made = MemoryRows()
    store = Store(made)
    head = None
    for number in range(messages // 2):
        turn = NewTurn(
            turn_id=f"turn{number}",
            nonce=f"nonce{number}",
            digest="0",
            action="default",
            model="chat",
            result_name="response",
            question=f"Question {number}?",
            title="A long conversation",
        )
        begun = await store.begin(place, head, turn, 1_700_000_000_000 + number)
        done = await store.finish(begun, b"\xffdAn answer.", "stop", Usage(5, 3, 8), 0)
        head = done.head
    rows = TableRows(StorageSettings(setting="", table=TABLE, connection_string=connection_string))
    partition = keys.partition(place)
    try:
        every = await made.range(partition, "!", "~", 10 * messages + 100)
        for start in range(0, len(every), ROWS_A_TRANSACTION):
            part = every[start : start + ROWS_A_TRANSACTION]
            await rows.write(partition, [Insert(row.key, row.values) for row in part])
    finally:
        await rows.aclose()


async def ask_once(url: str, conversation: str) -> None:
    """One short turn, too short for a checkpoint."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.post(
            f"{url}/api/chat",
            json={
                "userPrompt": '[simulate: slow first=0] [simulate: say text="yes"]',
                "conversationId": conversation,
            },
        ) as response,
    ):
        text = await response.text()
        if response.status != 200 or text != "yes":
            raise RuntimeError(f"{response.status}: {text}")
