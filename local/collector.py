"""A collector of telemetry: takes OTLP over HTTP, as any collector does, and what Application
Insights takes; keeps what came last, decoded.

OTLP: https://opentelemetry.io/docs/specs/otlp/#otlphttp. Application Insights is sent lines of
JSON, packed: https://learn.microsoft.com/azure/azure-monitor/app/api-custom-events-metrics.
"""

import asyncio
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from local.certificates import Certificate
from local.loopback import server_tls, serving

KEPT: Final = 10_000
GUARD_SECONDS: Final = 20.0
_MEDIA_TYPE: Final = "application/x-protobuf"


class Collector:
    """What came, the newest of each kind; `url` is what `OTEL_EXPORTER_OTLP_ENDPOINT` names."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: deque[Span] = deque(maxlen=KEPT)
        self.metrics: deque[Metric] = deque(maxlen=KEPT)
        self.logs: deque[LogRecord] = deque(maxlen=KEPT)
        self.envelopes: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """What Application Insights was sent."""
        self.headers: deque[dict[str, str]] = deque(maxlen=KEPT)
        """Of each request, in small letters."""
        self.resource: dict[str, Any] = {}
        self.failing = False
        """Every request is answered 503."""
        self._came = asyncio.Condition()

    async def wait_for(self, holds: Callable[[], Any]) -> None:
        """Until what came makes `holds` true. Raises `TimeoutError` rather than wait for ever."""
        async with asyncio.timeout(GUARD_SECONDS), self._came:
            await self._came.wait_for(holds)

    async def take(self, request: web.Request) -> web.Response:
        """One export of any signal."""
        self.headers.append({name.lower(): text for name, text in request.headers.items()})
        if self.failing:
            return web.Response(status=503)
        signal = request.match_info["signal"]
        if signal not in _SIGNALS:
            return web.Response(status=404)
        if request.content_type != _MEDIA_TYPE:
            return web.Response(status=415)
        wanted, answer, keep = _SIGNALS[signal]
        message = wanted()
        message.ParseFromString(await request.read())
        keep(self, message)
        async with self._came:
            self._came.notify_all()
        return web.Response(body=answer().SerializeToString(), content_type=_MEDIA_TYPE)

    async def track(self, request: web.Request) -> web.Response:
        """One export to Application Insights: an array, or lines, of envelopes."""
        self.headers.append({name.lower(): text for name, text in request.headers.items()})
        body = await request.read()
        text = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
        envelopes = (
            json.loads(text)
            if text.startswith("[")
            else [json.loads(line) for line in text.splitlines()]
        )
        self.envelopes.extend(envelopes)
        async with self._came:
            self._came.notify_all()
        count = len(envelopes)
        return web.json_response({"itemsReceived": count, "itemsAccepted": count, "errors": []})

    def _keep_spans(self, message: Any) -> None:
        for resource in message.resource_spans:
            self.resource = attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def _keep_metrics(self, message: Any) -> None:
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics.extend(scope.metrics)

    def _keep_logs(self, message: Any) -> None:
        for resource in message.resource_logs:
            for scope in resource.scope_logs:
                self.logs.extend(scope.log_records)


_SIGNALS: Final[
    dict[str, tuple[Callable[[], Message], Callable[[], Message], Callable[[Collector, Any], None]]]
] = {
    "traces": (ExportTraceServiceRequest, ExportTraceServiceResponse, Collector._keep_spans),
    "metrics": (
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
        Collector._keep_metrics,
    ),
    "logs": (ExportLogsServiceRequest, ExportLogsServiceResponse, Collector._keep_logs),
}


def attributes(pairs: Any) -> dict[str, Any]:
    """The attributes of a span, a record or a point, as Python's values."""
    found: list[KeyValue] = list(pairs)
    return {pair.key: value(pair.value) for pair in found}


def value(any_value: AnyValue) -> Any:
    """One value; an array as a list."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None


@asynccontextmanager
async def running_collector(
    *, port: int = 0, certificate: Certificate | None = None
) -> AsyncIterator[Collector]:
    """One on a loopback port until the block ends; over TLS with a certificate."""
    collector = Collector()
    app = web.Application(client_max_size=16 * 2**20)
    app.router.add_post("/v1/{signal}", collector.take)
    # Connection strings end in a slash, which the SDK puts before its own.
    app.router.add_post("/{slash:/?}v2.1/track", collector.track)
    tls = server_tls(certificate) if certificate is not None else None
    async with serving(app, port=port, tls=tls) as url:
        collector.url = url
        yield collector
