"""The sweep in the host: retention and broken-off deletions, and what callers see of them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest

from local.host import Host
from local.simulator import Simulator
from local.storage import Storage as Emulator
from shared.history import keys
from shared.history.base import Place
from shared.history.rows import Insert
from shared.history.store import Store
from shared.history.table import TableRows
from shared.settings import Storage
from tests.contracts.acting import whole_turn
from tests.e2e.client import Api, end_of
from tests.e2e.conftest import GUARD_SECONDS, StartHost

SAY = '[simulate: say text="one two"]'
HELD = f"{SAY} [simulate: hold after=1]"
DAY = 86_400_000


@dataclass
class Swept:
    """A host that keeps 30 days, with a table of its own, and what reaches behind it."""

    host: Host
    api: Api
    rows: TableRows
    session: aiohttp.ClientSession

    @property
    def store(self) -> Store:
        return Store(self.rows)

    async def sweep(self) -> str:
        """Run the timer's function; gives the line that it logged."""
        before = len(self.lines())
        async with self.session.post(f"{self.host.url}/admin/functions/sweep") as response:
            assert response.status == 202
        await until(lambda: self._logged(before))
        return self.lines()[-1]

    def lines(self) -> list[str]:
        return [line for line in self.host.logs if "Sweep: " in line]

    async def _logged(self, before: int) -> bool:
        return len(self.lines()) > before


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Fails rather than hangs."""
    async with asyncio.timeout(GUARD_SECONDS):
        while not await holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def days_ago(days: float) -> int:
    return time.time_ns() // 1_000_000 - round(days * DAY)


@pytest.fixture(scope="module")
async def swept(
    start_host: StartHost, session: aiohttp.ClientSession, emulator: Emulator
) -> AsyncIterator[Swept]:
    table = f"sweep{secrets.token_hex(8)}"
    rows = TableRows(
        Storage(setting="CHAT_STORAGE", table=table, connection_string=emulator.connection_string)
    )
    changes = {
        "AzureWebJobsStorage": emulator.connection_string,
        "CHAT_STORAGE_TABLE": table,
        "CHAT_RETENTION_DAYS": "30",
        "CHAT_AUTH": "staticwebapps",
        "WEBSITE_AUTH_ENABLED": "True",
    }
    try:
        async with start_host(**changes) as host:
            yield Swept(host, Api(session, host.url), rows, session)
    finally:
        await rows.aclose()


@pytest.fixture
def name() -> str:
    """A user of this test's own."""
    return f"user-{secrets.token_hex(8)}"


async def everything(api: Api, conversation: str) -> None:
    """Whatever is asked of the conversation: it is not there."""
    path = f"/conversations/{conversation}"
    turn = f"{path}/turns/t"
    for method, where in (
        *(("GET", f"{path}{part}") for part in ("", "/messages", "/export")),
        ("DELETE", path),
        ("GET", turn),
        ("GET", f"{turn}/stream"),
        ("POST", f"{turn}/stop"),
    ):
        (await api.call(method, where)).problem(404, "not_found")
    (await api.call("PATCH", path, {"title": "x"})).problem(404, "not_found")
    for fields in ({}, {"turnId": "t"}, {"turnId": "u"}, {"replaces": "t"}):
        reply = await api.chat("question t", conversationId=conversation, **fields)
        reply.problem(404, "not_found")


async def test_old_conversations_go(swept: Swept, name: str, model: Simulator) -> None:
    me, owner = swept.api.as_user(name), f"swa,aad,{name}"
    for number, days in enumerate((400, 31, 30.01, 29, 0.5)):
        await whole_turn(swept.store, "t", Place(owner, f"c{number}"), days_ago(days))
    await whole_turn(swept.store, "t", Place(owner, "used"), days_ago(400))
    assert (await me.chat(SAY, conversationId="used")).status == 200
    assert (await me.turn("c0", "t")).json()["state"] == "ended"
    assert "3 old conversations removed, 0 left" in await swept.sweep()
    listed = (await me.call("GET", "/conversations")).json()["items"]
    assert [item["id"] for item in listed] == ["used", "c4", "c3"]
    asked = len(await model.requests())
    for number in range(3):
        await everything(me, f"c{number}")
    assert len(await model.requests()) == asked
    assert len(await me.messages("used")) == 4
    assert (await me.turn("used", "t")).json()["state"] == "ended"
    assert "0 old conversations removed, 0 left" in await swept.sweep()


async def test_a_deletion_that_was_broken_off(swept: Swept, name: str) -> None:
    me, place = swept.api.as_user(name), Place(f"swa,aad,{name}", "c")
    await me.chat(SAY, conversationId="c", turnId="t")
    await swept.rows.write(keys.INTENTS, [Insert(keys.intent(place), {"cut": 0})])
    assert (await me.turn("c", "t")).status == 200
    assert "1 broken-off deletions finished" in await swept.sweep()
    await everything(me, "c")
    assert (await me.call("GET", "/conversations")).json()["items"] == []


async def test_a_promise_is_kept_while_a_turn_runs(
    swept: Swept, name: str, model: Simulator
) -> None:
    me, place = swept.api.as_user(name), Place(f"swa,aad,{name}", "c")
    async with me.chatting(HELD, conversationId="c", turnId="t") as stream:
        await stream.until_text("one")
        await swept.rows.write(keys.INTENTS, [Insert(keys.intent(place), {"cut": 0})])
        assert "1 broken-off deletions finished" in await swept.sweep()
        # The turn's next checkpoint learns of it.
        assert end_of(await stream.rest())["finishReason"] == "cancelled"
        await model.wait_for(state="aborted")
    await everything(me, "c")


async def test_a_new_title_while_a_turn_runs(swept: Swept, name: str, model: Simulator) -> None:
    me = swept.api.as_user(name)
    async with me.chatting(HELD, conversationId="c", turnId="t") as stream:
        await stream.until_text("one")
        renamed = await me.call("PATCH", "/conversations/c", {"title": "new"})
        assert (renamed.json()["title"], renamed.json()["runningTurnId"]) == ("new", "t")
        assert "0 old conversations removed, 0 left" in await swept.sweep()
        await model.release()
        assert end_of(await stream.rest())["finishReason"] == "stop"
    assert (await me.call("GET", "/conversations/c")).json()["title"] == "new"
    assert (await me.messages("c"))[-1] == ("assistant", "one two")


async def test_there_is_no_timer_where_the_host_has_no_storage(host: Host, swept: Swept) -> None:
    assert "sweep" not in {function.name for function in host.functions}
    timers = [f.name for f in swept.host.functions if f.trigger == "timerTrigger"]
    assert timers == ["sweep"]
