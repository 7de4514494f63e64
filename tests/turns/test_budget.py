"""A budget: who is counted and who is not, what is spent, and that nothing is left of a refusal."""

import asyncio

import pytest

from shared.errors import (
    ConversationBusy,
    ModelRefused,
    Overloaded,
    RateLimited,
    StoreUnavailable,
    TurnMismatch,
)
from shared.history import keys
from shared.history.counters import Counters
from shared.history.memory import MemoryRows
from shared.messages import Caller
from shared.settings import Allowance
from tests.contracts.faulty_rows import FaultyRows
from tests.turns.begun import begun_elsewhere
from tests.turns.bench import PLACE, Instance, now_ms
from tests.turns.clock_loop import in_virtual_time, settle
from tests.turns.scripted import USAGE, ScriptedModel

NOBODY = Caller()
TOKENS = USAGE.total_tokens


class Purse:
    """Implements `Budget`: notes everything, and admits as often as the test says."""

    def __init__(self, admissions: int = 1000) -> None:
        self.admissions = admissions
        self.admitted: list[str | None] = []
        self.spent: list[tuple[str | None, int]] = []
        self.closed = False
        self.fault: Exception | asyncio.Event | None = None

    async def admit(self, owner: str | None) -> None:
        if isinstance(self.fault, asyncio.Event):
            await self.fault.wait()
        elif self.fault is not None:
            raise self.fault
        if len(self.admitted) == self.admissions:
            raise RateLimited("Enough.", retry_after=7)
        self.admitted.append(owner)

    def spend(self, owner: str | None, tokens: int) -> None:
        self.spent.append((owner, tokens))

    async def aclose(self) -> None:
        self.closed = True


@in_virtual_time
async def test_every_turn_that_begins_is_counted_once_and_spends_what_it_tells() -> None:
    purse = Purse()
    app = Instance(budget=purse)
    await app.whole_turn("x")
    await app.whole_turn("x", turn_id=None, conversation_id=None)
    await app.whole_turn("x", caller=NOBODY, conversation_id="x" * 16)
    await app.whole_turn("x", store=False)
    await app.whole_turn("x", store=False, caller=NOBODY)
    await settle()
    assert purse.admitted == ["me", "me", None, "me", None]
    assert purse.spent == [(owner, TOKENS) for owner in purse.admitted]


@pytest.mark.parametrize("fault", [RateLimited("Enough."), StoreUnavailable("Away.")], ids=str)
@in_virtual_time
async def test_a_refused_turn_leaves_nothing_and_may_be_tried_again(fault: Exception) -> None:
    purse, model = Purse(), ScriptedModel()
    app = Instance(budget=purse)
    purse.fault = fault
    for store in (True, False):
        with pytest.raises(type(fault)):
            await app.start(model, store=store)
    assert model.requests == []
    assert await app.store.head(PLACE) is None
    assert app.rows._partitions == {}
    assert purse.spent == []
    purse.fault = None
    assert (await app.whole_turn("x")).text == "x"


@in_virtual_time
async def test_what_is_told_again_or_refused_anyway_is_not_counted() -> None:
    rows, purse = MemoryRows(), Purse(admissions=6)
    app = Instance(rows, purse, history_messages=2)
    other = Instance(rows, purse, history_messages=2)
    for number in range(5):
        await app.whole_turn(f"answer {number}", turn_id=f"t{number}")
    model = ScriptedModel()
    model.say("x")
    running = await app.listen(model, turn_id="t9")
    assert len(purse.admitted) == 6
    for instance in (app, other):
        again = await instance.listen(ScriptedModel(), turn_id="t0")
        assert (await again.ended()).text == "answer 0"
        joined = await instance.listen(ScriptedModel(), turn_id="t9")
        with pytest.raises(TurnMismatch):
            await instance.start(ScriptedModel(), "Other", turn_id="t9")
        joined.leave()
    with pytest.raises(ConversationBusy):
        await other.start(ScriptedModel(), turn_id="t10")
    with pytest.raises(Overloaded):
        await Instance(rows, purse, concurrent=0).start(ScriptedModel(), store=False)
    model.finish()
    await running.ended()
    # Nothing runs now, so that nothing but the budget would refuse it: it is told all the same.
    again = await app.listen(ScriptedModel(), turn_id="t1")
    assert (await again.ended()).text == "answer 1"
    with pytest.raises(TurnMismatch):
        await app.start(ScriptedModel(), "Other", turn_id="t1")
    with pytest.raises(RateLimited):
        await app.start(ScriptedModel(), turn_id="t11")
    assert len(purse.admitted) == 6
    assert len(purse.spent) == 6


@pytest.mark.parametrize("faults", [["lost"], ["down", "conflict", "lost"]], ids=" ".join)
@in_virtual_time
async def test_a_begin_that_takes_several_writes_is_counted_once(faults: list[str]) -> None:
    purse = Purse()
    app = Instance(budget=purse)
    app.store.script("begin", *faults)
    await app.whole_turn("x")
    assert purse.admitted == ["me"]


@in_virtual_time
async def test_the_lease_counts_from_the_write_however_long_counting_took() -> None:
    purse, model = Purse(), ScriptedModel()
    app = Instance(budget=purse)
    purse.fault = counted = asyncio.Event()
    starting = asyncio.ensure_future(app.listen(model))
    await asyncio.sleep(19)
    counted.set()
    model.say("x")
    listener = await starting
    await asyncio.sleep(1.5)
    assert listener.text == "x"
    assert (await app.stored()).running
    model.finish()
    assert (await listener.ended()).finish_reason == "stop"


@in_virtual_time
async def test_another_turn_that_begins_while_this_one_is_counted_wins() -> None:
    purse = Purse()
    app = Instance(budget=purse)
    purse.fault = counted = asyncio.Event()
    starting = asyncio.ensure_future(app.start(ScriptedModel()))
    await settle()
    await begun_elsewhere(app, "t2")
    counted.set()
    with pytest.raises(ConversationBusy):
        await starting


@in_virtual_time
async def test_a_turn_that_is_undone_counts_and_spends_nothing() -> None:
    purse = Purse()
    app = Instance(budget=purse)
    for store in (True, False):
        with pytest.raises(ModelRefused):
            await app.start(ScriptedModel(refusal=ModelRefused("No.")), store=store)
    await settle()
    assert purse.admitted == ["me", "me"]
    assert purse.spent == []


@pytest.mark.parametrize("how", ["stop", "fail", "no usage", "leave", "delete", "store"])
@in_virtual_time
async def test_whatever_ends_a_turn_it_spends_what_it_tells(how: str) -> None:
    purse, model = Purse(), ScriptedModel()
    app = Instance(budget=purse)
    model.say("x" * 40)
    listener = await app.listen(model, on_disconnect="cancel")
    await settle()
    assert purse.spent == []
    match how:
        case "stop":
            await app.turns.stop(PLACE, "t1")
        case "fail":
            model.fail(ModelRefused("No."))
        case "no usage":
            model.finish(usage=None)
        case "leave":
            listener.leave()
        case "delete":
            await app.store.delete(PLACE)
            app.turns.deleted(PLACE)
        case "store":
            app.store.break_down()
            model.finish()
    await asyncio.sleep(60)
    [(owner, tokens)] = purse.spent
    assert owner == "me"
    assert tokens >= 5
    if how != "leave":
        assert tokens == (await listener.ended()).usage.total_tokens


@in_virtual_time
async def test_the_end_does_not_wait_for_the_counting() -> None:
    rows = FaultyRows(MemoryRows())
    limits = Allowance(daily_tokens=100, daily_tokens_per_owner=None, requests_per_minute=None)
    counters = Counters(rows, limits, now_ms)
    hanging = asyncio.Event()
    rows.script("get", hanging)
    app = Instance(budget=counters)
    await app.whole_turn("x")
    await app.whole_turn("x", store=False)
    closing = asyncio.ensure_future(app.turns.aclose())
    await settle()
    assert not closing.done()
    hanging.set()
    await closing
    found = await rows.range(keys.COUNTS, *keys.ALL_SHARDS, keys.SHARDS)
    assert sum(int(row.values["tokens"]) for row in found) == 2 * TOKENS


@in_virtual_time
async def test_an_instance_that_goes_counts_what_its_turns_used() -> None:
    purse, model = Purse(), ScriptedModel()
    app = Instance(budget=purse)
    model.say("x")
    listener = await app.listen(model)
    await app.turns.aclose()
    assert (await listener.ended()).finish_reason == "incomplete"
    assert len(purse.spent) == 1
    assert purse.closed


@in_virtual_time
async def test_a_turn_without_history_that_was_being_counted_does_not_begin_after_all() -> None:
    purse, model = Purse(), ScriptedModel()
    app = Instance(budget=purse)
    purse.fault = counted = asyncio.Event()
    starting = asyncio.ensure_future(app.start(model, store=False))
    await settle()
    await app.turns.aclose()
    counted.set()
    with pytest.raises(Overloaded):
        await starting
    assert model.requests == []


@in_virtual_time
async def test_without_a_budget_nothing_is_counted() -> None:
    app = Instance(history_messages=2)
    for number in range(3):
        await app.whole_turn("x", turn_id=f"t{number}")
    assert app.store.calls == ["read", "begin", "finish"] * 3
    assert all("c," not in key for part in app.rows._partitions.values() for key in part.rows)
