"""How many requests of the store a turn costs, at 10 and at 20,000 messages."""

import aiohttp

from local.storage_meter import Meter
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


def counted(meter: Meter, after: int) -> tuple[int, int]:
    """Reads and writes since the request of that number."""
    requests = meter.requests(after=after)
    reads = sum(request.reads for request in requests)
    return reads, len(requests) - reads
