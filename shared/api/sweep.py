"""The timer that keeps promises: finishes deletions, and removes what retention does not keep."""

import asyncio
import logging
import time

import azure.functions as func

from shared.errors import ChatError, Misconfigured
from shared.services import Services

logger = logging.getLogger(__name__)

SCHEDULE = "0 17 * * * *"
"""Once an hour, when little else begins: second, minute, hour, day, month, day of the week."""
SWEEP_SECONDS = 240.0
"""Then it stops, and the next one goes on: the shortest functionTimeout is 5 minutes."""
_DAY_MS = 86_400_000


def sweep_blueprint(services: Services) -> func.Blueprint:
    """The timer, where the host has a storage for it: without one no app with a timer starts."""
    blueprint = func.Blueprint()
    if not services.settings.has_timers:
        return blueprint

    async def sweep(timer: func.TimerRequest) -> None:
        await sweep_now(services)

    timed = blueprint.timer_trigger(
        arg_name="timer", schedule=SCHEDULE, run_on_startup=False, use_monitor=True
    )(sweep)
    blueprint.function_name("sweep")(timed)
    return blueprint


async def sweep_now(services: Services, seconds: float = SWEEP_SECONDS) -> None:
    """One sweep, for so long; the log says in one line what it did, or why it could not."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        keep_ms = _keep_ms(services)
        swept = await services.store.sweep(
            time.time_ns() // 1_000_000, keep_ms, lambda: loop.time() < until
        )
    except ChatError as error:
        logger.error("The sweep failed: %s", error.message)
    except Exception:
        logger.exception("The sweep failed")
    else:
        logger.info(
            "Sweep: %d broken-off deletions finished, %d old conversations removed, "
            "%d left for the next one; %s",
            swept.resumed,
            swept.retired,
            swept.failed,
            "complete" if swept.complete else "its time was over",
        )


def _keep_ms(services: Services) -> int | None:
    """What retention keeps; a wrong setting keeps everything, and no promise waits for it."""
    try:
        days = services.settings.retention_days
    except Misconfigured as error:
        logger.error("Nothing is removed for its age: %s", error.message)
        return None
    return days * _DAY_MS if days else None
