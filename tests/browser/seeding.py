"""Conversations that are written into the store directly: many of them, and long ones, at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from local.storage_meter import Meter
from shared.history import keys
from shared.history.base import NewTurn, Place
from shared.history.memory import MemoryRows
from shared.history.rows import Insert
from shared.history.store import Store
from shared.history.table import TableRows
from shared.messages import FinishReason, Usage
from shared.settings import Storage as StorageSettings

TABLE = "conversations"
ROWS_A_TRANSACTION = 100


@dataclass(frozen=True, slots=True)
class Seed:
    """A conversation of so many turns: "Question 0?", and so on."""

    id: str
    title: str
    turns: int = 1
    began: int = 1_700_000_000_000
    """In milliseconds since 1970."""
    reason: FinishReason = "stop"


def owner_of(user: str) -> str:
    """How the backend calls somebody whom `logged_in` has logged in."""
    return f"swa,github,{user.lower().replace(' ', '-')}"


async def seed(meter: Meter, user: str, conversations: Iterable[Seed]) -> None:
    """Makes the conversations in memory, and copies them by pages."""
    made = MemoryRows()
    store = Store(made)
    owner = owner_of(user)
    for conversation in conversations:
        await _fill(store, Place(owner, conversation.id), conversation)
    every = await made.range(keys.owner_partition(owner), "!", "~", 1_000_000)
    settings = StorageSettings(setting="", table=TABLE, connection_string=meter.connection_string)
    rows = TableRows(settings)
    try:
        for start in range(0, len(every), ROWS_A_TRANSACTION):
            part = every[start : start + ROWS_A_TRANSACTION]
            writes = [Insert(row.key, row.values) for row in part]
            await rows.write(keys.owner_partition(owner), writes)
    finally:
        await rows.aclose()


async def _fill(store: Store, place: Place, conversation: Seed) -> None:
    head = None
    for number in range(conversation.turns):
        turn = NewTurn(
            turn_id=f"turn{number}",
            nonce=f"nonce{number}",
            digest="0",
            action="default",
            model="chat",
            result_name="response",
            question=f"Question {number}?",
            title=conversation.title,
        )
        begun = await store.begin(place, head, turn, conversation.began + number)
        body = f"Answer {number}, with **Markdown** and `code`.".encode()
        done = await store.finish(begun, b"\xffd" + body, conversation.reason, Usage(5, 3, 8), 0)
        head = done.head
