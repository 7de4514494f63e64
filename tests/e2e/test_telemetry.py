"""Turns as operators see them: sent by OTLP to a collector, and to Application Insights."""

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from local.certificates import make_certificate
from local.collector import Collector, attributes, running_collector, value
from local.identity import running_identity
from local.simulator import Simulator, running_simulator
from local.simulator.behaviour import StatusCode
from local.simulator.models import CHAT
from tests.e2e.client import SSE, Api
from tests.e2e.conftest import MODEL_KEY, StartApi

SECRET = "Nobody but the model reads this"
SAY = f'[simulate: say text="{SECRET} aloud"] {SECRET}'
TRACE, HOST_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
QUICK = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "CHAT_TELEMETRY_METRIC_SECONDS": "1",
}
"""What is sent at once, for tests to see."""


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
async def told(start_api: StartApi, collector: Collector) -> AsyncIterator[Api]:
    """A caller of a host that tells the collector of everything but what is said."""
    changes = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "chat-of-tests"}
    headers = "x-team=chat,authorization=Bearer%20abc"
    async with start_api(OTEL_EXPORTER_OTLP_HEADERS=headers, **changes, **QUICK) as api:
        yield api


async def spans_of(collector: Collector, conversation: str, *names: str) -> dict[str, Span]:
    """The spans of that conversation's one trace, by name, once those of `names` are there."""
    hashed = hashlib.sha256(conversation.encode()).hexdigest()[:16]

    def found() -> dict[str, Span]:
        every = list(collector.spans)
        traces = {
            span.trace_id
            for span in every
            if attributes(span.attributes).get("gen_ai.conversation.id") == hashed
        }
        return {span.name: span for span in every if span.trace_id in traces}

    await collector.wait_for(lambda: found().keys() >= set(names))
    return found()


async def test_a_turn_is_a_trace_below_the_hosts(
    told: Api, collector: Collector, model: Simulator, conversation: str
) -> None:
    asked = {"userPrompt": SAY, "conversationId": conversation}
    reply = await told.call(
        "POST",
        "/chat",
        asked | {"maxCompletionTokens": 50, "temperature": 0.2},
        accept=SSE,
        traceparent=f"00-{TRACE}-{HOST_SPAN}-00",
    )
    assert reply.status == 200, reply.text
    spans = await spans_of(collector, conversation, "turn default", "chat chat")
    turn, chat = spans["turn default"], spans["chat chat"]
    assert (turn.trace_id.hex(), turn.parent_span_id.hex()) == (TRACE, HOST_SPAN)
    assert {span.trace_id for span in spans.values()} == {turn.trace_id}
    assert all(s.parent_span_id == turn.span_id for s in spans.values() if s is not turn)
    assert (turn.kind, chat.kind) == (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT)
    assert turn.start_time_unix_nano <= chat.start_time_unix_nano < chat.end_time_unix_nano
    assert chat.end_time_unix_nano <= turn.end_time_unix_nano
    said = attributes(turn.attributes)
    assert said.pop("faas.invocation_id")
    assert said == {
        "chat.action": "default",
        "chat.turn.how": "run",
        "chat.turn.finish_reason": "stop",
        "gen_ai.conversation.id": hashlib.sha256(conversation.encode()).hexdigest()[:16],
        "chat.turn.watchers": 1,
        "chat.turn.checkpoints": 0,
        "chat.turn.store_calls": 3,
        "chat.turn.fail_overs": 0,
    }
    sent = attributes(chat.attributes)
    assert sent.pop("gen_ai.response.time_to_first_chunk") > 0
    assert sent == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": reply.end["usage"]["promptTokens"],
        "gen_ai.usage.output_tokens": reply.end["usage"]["completionTokens"],
        "gen_ai.conversation.id": said["gen_ai.conversation.id"],
        "chat.usage.estimated": False,
        "chat.action": "default",
        "server.address": "127.0.0.1",
        "server.port": int(model.url.rpartition(":")[2]),
    }
    calls = {name for name in spans if name.endswith("azure.table_storage")}
    assert calls == {f"{call} azure.table_storage" for call in ("read", "begin", "finish")}
    assert attributes(spans["begin azure.table_storage"].attributes) == {
        "db.system.name": "azure.table_storage",
        "db.operation.name": "begin",
    }


async def test_it_is_known_who_tells(told: Api, collector: Collector, conversation: str) -> None:
    await told.chat(SAY, conversationId=conversation)
    await spans_of(collector, conversation, "turn default")
    assert collector.resource["service.name"] == "chat-of-tests"
    assert collector.resource["service.instance.id"]
    sent = collector.headers[-1]
    assert (sent["x-team"], sent["authorization"]) == ("chat", "Bearer abc")


async def test_a_retry_is_told_apart_from_the_turn_itself(
    told: Api, collector: Collector, conversation: str
) -> None:
    for _ in range(2):
        await told.chat(SAY, conversationId=conversation, turnId="once")
    hashed = hashlib.sha256(conversation.encode()).hexdigest()[:16]

    def hows() -> Counter[str]:
        every = [attributes(span.attributes) for span in collector.spans]
        return Counter(
            said["chat.turn.how"]
            for said in every
            if said.get("gen_ai.conversation.id") == hashed and "chat.turn.how" in said
        )

    await collector.wait_for(lambda: hows().total() == 2)
    assert hows() == {"run": 1, "told": 1}


async def test_what_fails_is_an_error_with_its_code(
    told: Api, collector: Collector, model: Simulator, conversation: str
) -> None:
    await model.script(StatusCode(code=401), times=None)
    refused = await told.chat("Hello", conversationId=conversation)
    assert refused.status == 502
    spans = await spans_of(collector, conversation, "turn default", "chat chat")
    for name in ("turn default", "chat chat"):
        assert spans[name].status.code == Status.STATUS_CODE_ERROR, name
        assert attributes(spans[name].attributes)["error.type"] == "model_refused", name
    assert attributes(spans["turn default"].attributes)["chat.turn.how"] == "refused"
    await collector.wait_for(
        lambda: any(
            attributes(record.attributes).get("exception.type") == "ModelRefused"
            and record.trace_id == spans["turn default"].trace_id
            for record in collector.logs
        )
    )


def points(collector: Collector, name: str) -> list[tuple[dict[str, Any], Any]]:
    """The newest points of a metric."""
    every: list[Metric] = [metric for metric in collector.metrics if metric.name == name]
    if not every:
        return []
    data = getattr(every[-1], str(every[-1].WhichOneof("data")))
    return [(attributes(point.attributes), point) for point in data.data_points]


async def test_measurements_by_the_conventions(
    told: Api, collector: Collector, model: Simulator, conversation: str
) -> None:
    await told.chat(SAY, conversationId=conversation)
    assert (await told.call("GET", f"/conversations/{conversation}x")).status == 404
    names = (
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "chat.turn.duration",
        "chat.turn.time_to_first_event",
        "chat.turn.watchers",
        "chat.turns.running",
    )
    await collector.wait_for(
        lambda: (
            all(points(collector, name) for name in names)
            and {"read", "begin", "finish"}
            <= {which["db.operation.name"] for which, _ in points(collector, "chat.store.duration")}
            and "not_found"
            in {which.get("error.type") for which, _ in points(collector, "chat.request.duration")}
        )
    )
    units = {metric.name: metric.unit for metric in collector.metrics}
    assert units["gen_ai.client.operation.duration"] == "s"
    assert units["gen_ai.client.token.usage"] == "{token}"
    kinds = {which["gen_ai.token.type"] for which, _ in points(collector, names[2])}
    assert kinds == {"input", "output"}
    which, point = points(collector, names[1])[0]
    assert which["gen_ai.provider.name"] == "azure.ai.openai"
    assert point.count >= 1
    assert list(point.explicit_bounds)[:2] == [0.01, 0.02]
    # Nothing that has no end of values: neither a conversation nor an invocation.
    every = [attributes(p.attributes) for m in collector.metrics for p in _points_of(m)]
    assert not {"gen_ai.conversation.id", "faas.invocation_id"} & set().union(*every)


def _points_of(metric: Metric) -> list[Any]:
    return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)


async def test_nothing_that_was_said_and_no_id_leaves(
    told: Api, collector: Collector, conversation: str
) -> None:
    await told.chat(SAY, conversationId=conversation)
    spans = await spans_of(collector, conversation, "turn default", "chat chat")
    assert len(spans) >= 5
    everything = repr([*collector.spans, *collector.logs, *collector.metrics])
    assert SECRET not in everything
    assert conversation not in everything
    assert MODEL_KEY not in everything


async def test_what_is_said_is_told_where_a_setting_says_so(
    start_api: StartApi, collector: Collector, conversation: str
) -> None:
    changes = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "CHAT_TELEMETRY_CONTENT": "true"}
    async with start_api(**changes, **QUICK) as api:
        reply = await api.chat(SAY, conversationId=conversation)
        spans = await spans_of(collector, conversation, "chat chat")
    said = attributes(spans["chat chat"].attributes)
    asked = json.loads(said["gen_ai.input.messages"])
    assert [message["role"] for message in asked] == ["system", "user"]
    assert asked[1]["parts"] == [{"type": "text", "content": SAY}]
    assert json.loads(said["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": reply.answer}]}
    ]


async def test_a_collector_that_is_away_costs_no_turn(
    start_api: StartApi, conversation: str
) -> None:
    async with running_collector() as collector:
        collector.failing = True
        changes = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with start_api(**changes, **QUICK) as api:
            for number in range(5):
                reply = await api.chat(SAY, conversationId=f"{conversation}-{number}")
                assert reply.end["finishReason"] == "stop"
        assert not collector.spans


async def test_what_was_not_sent_yet_is_sent_before_the_instance_goes(
    start_api: StartApi, conversation: str
) -> None:
    async with running_collector() as collector:
        late = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "CHAT_TELEMETRY_METRIC_SECONDS": "3600"}
        async with start_api(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **late) as api:
            await api.chat(SAY, conversationId=conversation)
        assert {"turn default", "chat chat"} <= {span.name for span in collector.spans}
        assert "chat.turn.duration" in {metric.name for metric in collector.metrics}


async def test_telemetry_can_be_off(start_api: StartApi, conversation: str) -> None:
    async with running_collector() as collector:
        changes = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "CHAT_TELEMETRY": "off"}
        async with start_api(**changes, **QUICK) as api:
            await api.chat(SAY, conversationId=conversation)
        assert not collector.headers


async def test_a_wrong_destination_is_told_and_hinders_nobody(
    start_api: StartApi, conversation: str
) -> None:
    async with start_api(OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318") as api:
        assert (await api.chat(SAY, conversationId=conversation)).status == 200
        ready = await api.call("GET", "/health?probe=ready")
        assert ready.status == 503
        assert "OTEL_EXPORTER_OTLP_ENDPOINT must be an address" in ready.text


async def test_a_fail_over_is_counted_and_names_who_answered(
    start_api: StartApi, collector: Collector, conversation: str
) -> None:
    other = running_simulator(api_key="k", deployments={"other": CHAT})
    async with running_simulator(api_key="k") as first, other as second:
        await first.script(StatusCode(code=503), times=None)
        changes = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "AZURE_OPENAI_ENDPOINT": first.url,
            "AZURE_OPENAI_API_KEY": "k",
            "AZURE_OPENAI__fallback": "SECOND",
            "CHAT_CONNECTIONS": "SECOND",
            "SECOND__kind": "openai",
            "SECOND__endpoint": f"{second.url}/v1",
            "SECOND__model": "other",
            "SECOND__apiKey": "k",
        }
        async with start_api(**changes, **QUICK) as api:
            reply = await api.chat(SAY, conversationId=conversation)
            assert reply.end["finishReason"] == "stop"
            spans = await spans_of(collector, conversation, "turn default", "chat chat")
        said = attributes(spans["chat chat"].attributes)
        assert (said["gen_ai.request.model"], said["gen_ai.response.model"]) == ("chat", "other")
        assert said["gen_ai.provider.name"] == "openai"
        assert said["server.port"] == int(second.url.rpartition(":")[2])
        assert attributes(spans["turn default"].attributes)["chat.turn.fail_overs"] == 1
        assert said["gen_ai.response.time_to_first_chunk"] > 0


async def test_application_insights_with_an_identity_and_without_a_key(
    start_api: StartApi, tmp_path: Path, conversation: str
) -> None:
    certificate = make_certificate(tmp_path)
    async with (
        running_identity(client_ids=["the-client"]) as identity,
        running_collector(certificate=certificate) as collector,
    ):
        insights = f"InstrumentationKey={'0' * 8}-0000-0000-0000-{'0' * 12}"
        changes = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": (
                f"{insights};IngestionEndpoint={collector.url}/"
            ),
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD;ClientId=the-client",
            "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
            "PYTHON_ENABLE_OPENTELEMETRY": "true",
            "REQUESTS_CA_BUNDLE": str(certificate.certificate),
            **identity.env(),
            **certificate.env(),
        }
        async with start_api(**changes, **QUICK) as api:
            body = {"userPrompt": SAY, "conversationId": conversation}
            await api.call("POST", "/chat", body, traceparent=f"00-{TRACE}-{HOST_SPAN}-01")
            await collector.wait_for(
                lambda: (
                    {"turn default", "chat chat"}
                    <= {e["data"]["baseData"].get("name") for e in collector.envelopes}
                )
            )
        assert all(sent["authorization"].startswith("Bearer ") for sent in collector.headers)
        turn = next(
            e for e in collector.envelopes if e["data"]["baseData"].get("name") == "turn default"
        )
        # The host's own request has this operation, and this is its id.
        assert turn["tags"]["ai.operation.id"] == TRACE
        assert turn["tags"]["ai.operation.parentId"] == HOST_SPAN
        assert SECRET not in json.dumps(list(collector.envelopes))


def test_values_are_read_as_they_were_sent() -> None:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue

    inner = ArrayValue(values=[AnyValue(string_value="a"), AnyValue(int_value=2)])
    assert value(AnyValue(array_value=inner)) == ["a", 2]
    assert value(AnyValue()) is None
