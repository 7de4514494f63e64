"""The app's log as facts: each line with the span that it was written in."""

import logging
import traceback
from typing import Final

from shared.telemetry.facts import LogFacts, Telemetry, current_span

_OWN: Final = ("opentelemetry", "azure.core", "azure.identity", "azure.monitor", "urllib3")
"""Who brings the lines away: theirs would go round in circles."""


class LogHandler(logging.Handler):
    """Notes what the app logs, and what others warn of."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(logging.INFO)
        self._telemetry = telemetry

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(_OWN):
            return False
        return record.levelno >= logging.WARNING or record.name.partition(".")[0] == "shared"

    def emit(self, record: logging.LogRecord) -> None:
        try:
            facts = LogFacts(
                span=current_span(),
                time=int(record.created * 1e9),
                logger=record.name,
                severity=record.levelno,
                text=record.getMessage(),
                error=_error(record),
            )
        except Exception:
            self.handleError(record)
        else:
            self._telemetry.record(facts)


def _error(record: logging.LogRecord) -> tuple[str, str, str] | None:
    if not record.exc_info or (error := record.exc_info[1]) is None:
        return None
    trace = "".join(traceback.format_exception(error))
    return type(error).__name__, str(error), trace
