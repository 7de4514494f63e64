"""The timer: where it is registered, and that nothing it meets escapes it."""

import logging
from pathlib import Path

import azure.functions as func
import pytest

from shared.api.sweep import sweep_blueprint, sweep_now
from shared.history.memory import MemoryRows
from shared.history.store import Store
from shared.services import Services
from shared.settings import Settings

TIMERS = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


class Kept(Services):
    """The app, with a history in memory."""

    def __init__(self, rows: MemoryRows, **settings: str) -> None:
        super().__init__(Settings(TIMERS | settings), Path())
        self.store = Store(rows)


class Broken(MemoryRows):
    """A mistake of ours."""

    async def page(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
        raise KeyError("page")


def test_there_is_no_timer_without_a_storage_for_it() -> None:
    app = func.FunctionApp()
    app.register_functions(sweep_blueprint(Services(Settings({}), Path())))
    assert app.get_functions() == []


async def test_the_timer() -> None:
    app = func.FunctionApp()
    app.register_functions(sweep_blueprint(Kept(MemoryRows())))
    (function,) = app.get_functions()
    assert function.get_function_name() == "sweep"
    bound = function.get_trigger()
    assert bound is not None
    trigger = bound.get_dict_repr()
    assert trigger["type"] == "timerTrigger"
    assert (trigger["runOnStartup"], trigger["useMonitor"]) == (False, True)
    second, minute, *rest = trigger["schedule"].split()
    assert (second, rest) == ("0", ["*"] * 4)
    assert int(minute) % 2 == 1
    await function.get_user_function()(None)


async def test_one_line_says_in_numbers_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await sweep_now(Kept(MemoryRows(), CHAT_RETENTION_DAYS="30"))
        await sweep_now(Kept(MemoryRows()), seconds=0)
    done, late = [record.message for record in caplog.records]
    counts = "0 broken-off deletions finished, 0 old conversations removed, 0 left for the next one"
    assert done == f"Sweep: {counts}; complete"
    assert late == f"Sweep: {counts}; its time was over"


async def test_a_store_that_is_not_set_up(caplog: pytest.LogCaptureFixture) -> None:
    await sweep_now(Services(Settings({}), Path()))
    (record,) = caplog.records
    assert record.message.startswith("The sweep failed: CHAT_STORAGE is missing")
    assert record.exc_info is None


async def test_a_mistake_of_ours_ends_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    await sweep_now(Kept(Broken()))
    assert [record.message for record in caplog.records] == ["The sweep failed"]


async def test_a_wrong_setting_removes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await sweep_now(Kept(MemoryRows(), CHAT_RETENTION_DAYS="soon"))
    wrong, swept = [record.message for record in caplog.records]
    assert "CHAT_RETENTION_DAYS must be a whole number" in wrong
    assert swept.startswith("Sweep: 0")
