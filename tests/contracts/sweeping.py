"""What the tests of the sweep do, in few words."""

from collections.abc import Mapping

from shared.history import keys
from shared.history.base import Place, Swept
from shared.history.rows import Rows, Value
from shared.history.store import Store
from tests.contracts.acting import NOW, stored

DAY = 86_400_000
OLD = NOW - 40 * DAY
"""When the last turn of an old conversation began: 30 days are kept."""


def always() -> bool:
    """There is time left."""
    return True


async def sweep(store: Store, days: int | None = 30, now: int = NOW) -> Swept:
    return await store.sweep(now, None if days is None else days * DAY, always)


def done(*, resumed: int = 0, retired: int = 0, failed: int = 0, complete: bool = True) -> Swept:
    return Swept(resumed=resumed, retired=retired, failed=failed, complete=complete)


async def intents(rows: Rows) -> list[str]:
    return [row.key for row in await rows.range(keys.INTENTS, "!", "z", 10_000)]


async def rows_of(rows: Rows, place: Place) -> Mapping[str, Mapping[str, Value]]:
    """All of one conversation: head, messages, turns, line of the list."""
    kept = await stored(rows, place)
    return {key: kept[key] for key in kept if place.conversation in key.split(",")}


async def gone(rows: Rows, place: Place) -> bool:
    """Whether nothing is left but the tombstone, and nothing to do any more."""
    left = await rows_of(rows, place)
    tombstone = {keys.head(place.conversation): {"deleted": True}}
    return left == tombstone and keys.intent(place) not in await intents(rows)
