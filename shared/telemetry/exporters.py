"""Where telemetry goes: any OTLP endpoint, Application Insights, or both. Imports the SDK.

OTLP is sent as protobuf over HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased

from shared.settings import IdentitySettings, TelemetrySettings
from shared.telemetry.facts import Facts, LogFacts, RequestFacts, StoreCall, TurnFacts
from shared.telemetry.logs import tell
from shared.telemetry.metrics import Measurements
from shared.telemetry.spans import GivenIds, TurnSpans

SCOPE = "streaming-chat"
_MILLISECONDS = 1000

type Exporters = tuple[SpanExporter, MetricExporter, LogRecordExporter]


class OpenTelemetry:
    """A sink of the recorder: makes spans, measurements and log records of facts."""

    def __init__(self, settings: TelemetrySettings, store: str, running: Callable[[], int]) -> None:
        resource = Resource.create(_resource(settings))
        ids = GivenIds()
        sampler = ALWAYS_ON if settings.share >= 1 else TraceIdRatioBased(settings.share)
        self._traces = TracerProvider(sampler, resource, shutdown_on_exit=False, id_generator=ids)
        self._logs = LoggerProvider(resource, shutdown_on_exit=False)
        readers = []
        for spans, metrics, logs in _exporters(settings, self._traces):
            self._traces.add_span_processor(BatchSpanProcessor(spans))
            self._logs.add_log_record_processor(BatchLogRecordProcessor(logs))
            every = settings.metric_seconds * _MILLISECONDS
            readers.append(PeriodicExportingMetricReader(metrics, every))
        self._metrics = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._spans = TurnSpans(self._traces.get_tracer(SCOPE), ids, store)
        self._measurements = Measurements(self._metrics.get_meter(SCOPE), store, running)
        self._logger = self._logs.get_logger(SCOPE)

    def take(self, facts: Facts) -> None:
        match facts:
            case TurnFacts():
                self._spans.take(facts)
                self._measurements.turn(facts)
            case StoreCall():
                self._measurements.store_call(facts)
            case RequestFacts():
                self._measurements.request(facts)
            case LogFacts():
                tell(self._logger, facts)

    def close(self, seconds: float) -> None:
        """What cannot be sent in time is given up."""
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(seconds)

    def _close(self) -> None:
        self._traces.shutdown()
        self._metrics.shutdown()
        self._logs.shutdown()


def open_telemetry(
    settings: TelemetrySettings, store: str, running: Callable[[], int]
) -> OpenTelemetry:
    """Everything that sends. Blocks while packages are imported."""
    for name in ("azure.core", "azure.identity", "azure.monitor", "opentelemetry"):
        # A destination that is away would be told at every attempt, with a traceback.
        logging.getLogger(name).setLevel(logging.ERROR)
    return OpenTelemetry(settings, store, running)


def _resource(settings: TelemetrySettings) -> dict[str, Any]:
    attributes = {
        "service.name": settings.service,
        "service.instance.id": settings.instance or str(uuid.uuid4()),
        "process.pid": os.getpid(),
    }
    if settings.in_azure:
        attributes |= {"cloud.provider": "azure", "cloud.platform": "azure.functions"}
    return attributes


def _exporters(settings: TelemetrySettings, traces: TracerProvider) -> Iterator[Exporters]:
    if settings.otlp_endpoint is not None:
        yield _otlp(settings.otlp_endpoint, dict(settings.otlp_headers))
    if settings.app_insights is not None:
        yield _application_insights(settings.app_insights, settings.app_insights_identity, traces)


def _otlp(endpoint: str, headers: dict[str, str]) -> Exporters:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = endpoint.rstrip("/")
    return (
        OTLPSpanExporter(f"{base}/v1/traces", headers=headers),
        OTLPMetricExporter(f"{base}/v1/metrics", headers=headers),
        OTLPLogExporter(f"{base}/v1/logs", headers=headers),
    )


def _application_insights(
    connection_string: str, identity: IdentitySettings | None, traces: TracerProvider
) -> Exporters:
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    options: dict[str, Any] = {
        "connection_string": connection_string,
        # What could not be sent would lie on the instance's disk, which goes with it.
        "disable_offline_storage": True,
        "credential": _credential(identity) if identity is not None else None,
    }
    return (
        AzureMonitorTraceExporter(**options, tracer_provider=traces),
        AzureMonitorMetricExporter(**options),
        AzureMonitorLogExporter(**options),
    )


def _credential(identity: IdentitySettings) -> Any:
    """The SDK's own, which blocks: it is asked in the exporters' threads."""
    from azure.identity import ManagedIdentityCredential

    if identity.client_id is not None:
        return ManagedIdentityCredential(client_id=identity.client_id)
    return ManagedIdentityCredential()
