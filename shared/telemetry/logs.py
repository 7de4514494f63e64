"""Facts of the log as OpenTelemetry's log records."""

import logging
from typing import Final

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.trace import TraceFlags

from shared.telemetry.facts import LogFacts

_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
)


def tell(logger: Logger, facts: LogFacts) -> None:
    """Emit one line."""
    attributes = {"code.namespace": facts.logger}
    if facts.error is not None:
        kind, message, trace = facts.error
        attributes |= {
            "exception.type": kind,
            "exception.message": message,
            "exception.stacktrace": trace,
        }
    severity = next(
        (number for level, number in _SEVERITIES if facts.severity >= level), SeverityNumber.DEBUG
    )
    logger.emit(
        LogRecord(
            timestamp=facts.time,
            trace_id=facts.span.trace if facts.span else None,
            span_id=facts.span.id if facts.span else None,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
            severity_number=severity,
            severity_text=logging.getLevelName(facts.severity),
            body=facts.text,
            attributes=attributes,
        )
    )
