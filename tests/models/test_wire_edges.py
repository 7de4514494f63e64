"""What no well-behaved service sends, byte by byte, through the whole adapter."""

import gzip
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import (
    ChatError,
    ContentFiltered,
    ContextLengthExceeded,
    InvalidRequest,
    ModelBrokeOff,
    ModelRefused,
    ModelUnavailable,
    RateLimited,
)
from shared.events import Delta, Finish, ModelEvent
from shared.models.sse import MAX_EVENT_BYTES
from tests.models.support import (
    HELLO,
    SSE,
    STOP,
    answer,
    asking,
    collect,
    error,
    events_of,
    opened,
    serving,
)


async def test_a_plain_stream() -> None:
    async with serving(SSE + HELLO + STOP) as service, opened(service.url) as model:
        assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]


async def test_the_request_says_what_it_wants_and_nothing_else() -> None:
    async with serving(SSE + HELLO + STOP) as service, opened(service.url) as model:
        await events_of(model, asking(parameters={"temperature": 0.7}))
    assert service.bodies == [
        {
            "model": "chat",
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.7,
        }
    ]
    head = service.heads[0].lower()
    assert head.startswith("post /openai/v1/chat/completions http/1.1")
    assert "accept-encoding: identity" in head


async def test_a_stream_that_just_ends_has_no_finish() -> None:
    async with serving(SSE + HELLO) as service, opened(service.url) as model:
        assert await events_of(model, asking()) == [Delta("Hello")]


async def test_a_stream_without_a_last_blank_line_is_whole() -> None:
    async with serving(SSE + HELLO + STOP.rstrip()) as service, opened(service.url) as model:
        assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"Connection: close\r\n\r\n"
)


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def test_a_cut_stream_says_so_after_what_came() -> None:
    async with serving(CHUNKED + chunked(HELLO)) as service, opened(service.url) as model:
        told: list[ModelEvent] = []
        async with model.ask(asking()) as stream:
            with pytest.raises(ModelBrokeOff, match="broke off"):
                await collect(stream, told)
    assert told == [Delta("Hello")]


async def test_a_cut_after_the_reason_is_no_error() -> None:
    body = HELLO + STOP.replace(b"data: [DONE]\n\n", b"")
    async with serving(CHUNKED + chunked(body)) as service, opened(service.url) as model:
        assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]


async def test_a_service_that_does_not_end_its_response_ends_the_stream_all_the_same() -> None:
    body = CHUNKED.replace(b"Connection: close\r\n", b"") + chunked(HELLO + STOP)
    async with serving(body) as service, opened(service.url) as model:
        assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]


async def test_a_connection_is_used_again_after_a_whole_stream_and_not_after_half_a_one() -> None:
    whole = CHUNKED.replace(b"Connection: close\r\n", b"") + chunked(HELLO + STOP) + b"0\r\n\r\n"
    async with serving(whole) as service, opened(service.url) as model:
        for _ in range(3):
            await events_of(model, asking())
        assert service.connections == 1
        async with model.ask(asking()) as stream:
            await anext(aiter(stream))
    half = CHUNKED.replace(b"Connection: close\r\n", b"") + chunked(HELLO)
    async with serving(half) as service, opened(service.url) as model:
        for _ in range(2):
            async with model.ask(asking()) as stream:
                assert await anext(aiter(stream)) == [Delta("Hello")]
        assert service.connections == 2


async def test_what_follows_the_end_is_read_and_not_told() -> None:
    after = chunked(HELLO + STOP) + chunked(b": " + b"x" * 40_000 + b"\n\n" + HELLO)
    body = CHUNKED.replace(b"Connection: close\r\n", b"") + after + b"0\r\n\r\n"
    async with serving(body) as service, opened(service.url) as model:
        for _ in range(2):
            assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]
        assert service.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, b"<html>secret", content_type="text/html; charset=utf-8"),
        answer(200, {"choices": []}, content_type="application/json"),
        answer(
            200,
            gzip.compress(HELLO + STOP),
            content_type="text/event-stream",
            content_encoding="gzip",
        ),
    ],
)
async def test_an_answer_that_is_no_stream(reply: bytes) -> None:
    async with serving(reply) as service, opened(service.url) as model:
        with pytest.raises(
            ModelUnavailable, match=r"not with a stream.*AZURE_OPENAI_ENDPOINT"
        ) as e:
            await events_of(model, asking())
    assert "secret" not in e.value.message


async def test_a_stream_that_does_not_say_what_it_is_is_read() -> None:
    reply = SSE.replace(b"Content-Type: text/event-stream\r\n", b"") + HELLO + STOP
    async with serving(reply) as service, opened(service.url) as model:
        assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf",
    ],
)
async def test_a_connection_that_fails(reply: bytes) -> None:
    async with serving(reply) as service, opened(service.url) as model:
        with pytest.raises(ModelUnavailable, match=r"cannot be reached.*AZURE_OPENAI_ENDPOINT"):
            await events_of(model, asking())
        assert len(service.heads) == 1


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def test_nobody_there(nobody: str) -> None:
    async with opened(nobody) as model:
        with pytest.raises(ModelUnavailable, match="AZURE_OPENAI_ENDPOINT"):
            await events_of(model, asking())
        with pytest.raises(ModelUnavailable, match="AZURE_OPENAI_ENDPOINT"):
            await model.warm()


FILTERED = {
    "code": "content_filter",
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {
            "hate": {"filtered": True, "severity": "high"},
            "violence": {"filtered": False, "severity": "safe"},
            "jailbreak": {"filtered": True, "detected": True},
            "<script>": {"filtered": True},
        },
    },
}

BLOCKED = {
    "code": "content_filter",
    "content_filters": [
        {"blocked": False, "content_filter_results": {"hate": {"filtered": False}}},
        {"blocked": True, "content_filter_results": {"indirect_attack": {"filtered": True}}},
    ],
}


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error(401), ModelRefused, "AZURE_OPENAI_API_KEY"),
        (error(403), ModelRefused, "AZURE_OPENAI_API_KEY"),
        (error(404), ModelRefused, "no deployment chat.*AZURE_OPENAI_CHAT_DEPLOYMENT"),
        (answer(404, b""), ModelRefused, "AZURE_OPENAI_ENDPOINT"),
        (error(429), RateLimited, "busy"),
        (error(408), ModelUnavailable, "408"),
        (error(409), ModelUnavailable, "409"),
        (error(500), ModelUnavailable, "500"),
        (answer(502, b"<html>upstream words"), ModelUnavailable, "502"),
        (error(504), ModelUnavailable, "504"),
        (error(400, **FILTERED), ContentFiltered, r"\(hate, jailbreak\)"),
        (error(400, code="content_filter"), ContentFiltered, "no category named"),
        (error(400, **BLOCKED), ContentFiltered, r"\(indirect_attack\)"),
        (error(400, code="context_length_exceeded"), ContextLengthExceeded, "shorten"),
        (
            error(400, message="This model's maximum context length is 8192 tokens"),
            ContextLengthExceeded,
            "shorten",
        ),
        (error(413), ContextLengthExceeded, "shorten"),
        (error(400, param="messages[3].content"), ModelRefused, "the request's messages"),
        (error(400), ModelRefused, "did not take the request"),
        (answer(400, b"upstream words"), ModelRefused, "did not take the request"),
        (answer(422, {"detail": "upstream words"}), ModelRefused, "did not take the request"),
        (answer(302, b"", location="http://127.0.0.1:1/"), ModelRefused, "status 302"),
        (error(418), ModelRefused, "status 418.*AZURE_OPENAI_ENDPOINT"),
    ],
)
async def test_refusals(reply: bytes, kind: type[ChatError], words: str) -> None:
    async with serving(reply) as service, opened(service.url) as model:
        with pytest.raises(ChatError, match=words) as told:
            await events_of(model, asking())
        assert len(service.heads) == 1
    assert type(told.value) is kind
    logged = "".join(traceback.format_exception(told.value))
    assert f"status {int(reply.split()[1])}" in logged
    assert "upstream words" not in logged
    assert "the-key" not in logged


BAD_IMAGE = error(400, message="upstream words", code="invalid_image_url", param="url")


@pytest.mark.parametrize(
    "reply",
    [
        BAD_IMAGE,
        error(400, param="messages[3].content"),
        error(400),
        answer(422, {"detail": [{"type": "missing", "loc": ["body", "messages", 0], "msg": "x"}]}),
    ],
)
async def test_messages_that_the_caller_brought_are_the_callers(reply: bytes) -> None:
    async with serving(reply) as service, opened(service.url) as model:
        with pytest.raises(InvalidRequest, match=r"^messages: .*does not take them") as told:
            await events_of(model, asking(chosen=frozenset({"messages"})))
        assert [problem.field for problem in told.value.problems] == ["messages"]
        assert "upstream words" not in "".join(traceback.format_exception(told.value))
        with pytest.raises(ModelRefused, match="did not take the request"):
            await events_of(model, asking())


async def test_a_field_of_the_apps_own_is_not_the_callers() -> None:
    reply = error(400, param="reasoning_effort")
    async with serving(reply) as service, opened(service.url) as model:
        asked = asking(chosen=frozenset({"messages"}), parameters={"reasoning_effort": "x"})
        with pytest.raises(ModelRefused, match="the request's reasoning_effort"):
            await events_of(model, asked)


def mistrals(status: int, message: object, kind: str = "", code: object = None) -> bytes:
    """An answer with Mistral's error body."""
    return answer(status, {"object": "error", "message": message, "type": kind, "code": code})


def finding(kind: str, *place: str | int) -> list[dict[str, Any]]:
    """What a validator says, which quotes what it was sent."""
    quoted = "upstream words: maximum context length"
    return [{"type": kind, "loc": ["body", *place], "msg": "Not so", "input": quoted}]


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (answer(401, {"detail": "upstream words"}), ModelRefused, "OTHER__apiKey"),
        (answer(401, {"message": "upstream words"}), ModelRefused, "OTHER__apiKey"),
        (
            mistrals(400, "upstream words", "invalid_model", "1500"),
            ModelRefused,
            "no model chat.*OT",
        ),
        (
            error(400, message="/x: Invalid model name: upstream words"),
            ModelRefused,
            "no model chat",
        ),
        (mistrals(429, "upstream words", "rate_limited", "1300"), RateLimited, "busy"),
        (mistrals(503, "upstream words", "internal_server_error"), ModelUnavailable, "503"),
        (
            mistrals(400, "upstream words, too large for model with 9 maximum context length"),
            ContextLengthExceeded,
            "shorten",
        ),
        (mistrals(422, {"detail": finding("missing", "messages")}), ModelRefused, "s messages"),
        (mistrals(422, finding("missing", "messages", 0)), ModelRefused, "the request's messages"),
        (answer(422, {"detail": finding("missing", "messages")}), ModelRefused, "s messages"),
        (answer(422, {"detail": [5, {"loc": 5}]}), ModelRefused, "did not take the request"),
        (mistrals(422, "upstream words"), ModelRefused, "did not take the request"),
        (answer(400, ["upstream words"]), ModelRefused, "did not take the request"),
    ],
)
async def test_mistrals_refusals(reply: bytes, kind: type[ChatError], words: str) -> None:
    async with serving(reply) as service:
        async with opened(service.url, kind="mistral", name="OTHER") as model:
            with pytest.raises(ChatError, match=words) as told:
                await events_of(model, asking())
        assert len(service.heads) == 1
    assert type(told.value) is kind
    assert "upstream words" not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize(
    ("name", "field"),
    [("temperature", "temperature"), ("stop", "options.stop"), ("seed", "options.seed")],
)
async def test_a_bad_value_that_a_validator_finds_names_the_callers_field(
    name: str, field: str
) -> None:
    sent = {"seed": "random_seed"}.get(name, name)
    reply = mistrals(422, {"detail": finding("less_than_equal", sent, "str")})
    async with serving(reply) as service, opened(service.url, kind="mistral") as model:
        with pytest.raises(InvalidRequest) as told:
            await events_of(model, asking(parameters={name: 2}, chosen=frozenset({name})))
        assert [p.field for p in told.value.problems] == [field]
        with pytest.raises(ModelRefused, match=f"the request's {sent}"):
            await events_of(model, asking(parameters={name: 2}))


@pytest.mark.parametrize(
    ("kind", "role"),
    [("azure_openai", "Cognitive Services OpenAI User"), ("mistral", "Cognitive Services User")],
)
async def test_each_kind_needs_its_own_role(kind: str, role: str) -> None:
    async def token() -> str:
        return "the-token"

    async with (
        serving(answer(401, {"detail": "no"})) as service,
        opened(service.url, kind=kind, token=token) as model,
    ):
        with pytest.raises(ModelRefused, match=f"the role {role} on the resource"):
            await events_of(model, asking())


async def test_the_identity_needs_a_role() -> None:
    async def token() -> str:
        return "the-token"

    reply = error(403, code="PermissionDenied")
    async with serving(reply) as service, opened(service.url, token=token) as model:
        with pytest.raises(
            ModelRefused, match=r"Cognitive Services OpenAI User.*AZURE_OPENAI__credential"
        ) as told:
            await events_of(model, asking())
    assert "authorization: bearer the-token" in service.heads[0].lower()
    assert "the-token" not in told.value.message


async def test_a_bad_value_of_the_callers_names_their_field() -> None:
    reply = error(400, param="stop[4]", code="array_above_max_length")
    async with serving(reply) as service, opened(service.url) as model:
        with pytest.raises(InvalidRequest) as told:
            await events_of(
                model, asking(parameters={"stop": ["a"] * 5}, chosen=frozenset({"stop"}))
            )
    assert [p.field for p in told.value.problems] == ["options.stop"]


async def test_a_model_of_the_callers_that_does_not_exist() -> None:
    async with serving(error(404)) as service, opened(service.url) as model:
        with pytest.raises(InvalidRequest, match="no deployment mine") as told:
            await events_of(model, asking(model="mine", chosen=frozenset({"model"})))
    assert [p.field for p in told.value.problems] == ["model"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "1e999"}, 10),
        ({"retry_after": "999999999999"}, 86_400),
        ({"retry_after": "soon"}, 10),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry_after": "Fri, 01 Jan 2999 00:00:00 GMT"}, 86_400),
        ({}, 10),
    ],
)
async def test_a_busy_service_says_for_how_long(headers: dict[str, str], seconds: float) -> None:
    async with serving(answer(429, {}, **headers)) as service, opened(service.url) as model:
        with pytest.raises(RateLimited) as told:
            await events_of(model, asking())
    assert told.value.retry_after == seconds


async def test_what_may_pass_is_tried_again_until_it_has() -> None:
    replies = [error(500), error(503), b"", error(409), SSE + HELLO + STOP]
    async with serving(*replies) as service, opened(service.url, retry_seconds=60) as model:
        assert await events_of(model, asking()) == [Delta("Hello"), Finish("stop")]
        assert len(service.heads) == 5


async def test_a_busy_service_is_asked_again_only_when_it_has_said_when() -> None:
    soon = answer(429, {}, retry_after_ms="1")
    async with serving(soon, soon, error(429)) as service:
        async with opened(service.url, retry_seconds=60) as model:
            with pytest.raises(RateLimited):
                await events_of(model, asking())
        assert len(service.heads) == 3
    async with serving(answer(429, {}, retry_after="30")) as service:
        async with opened(service.url, retry_seconds=4) as model:
            with pytest.raises(RateLimited) as told:
                await events_of(model, asking())
        assert len(service.heads) == 1
        assert told.value.retry_after == 30


async def test_attempts_stop_with_the_budget() -> None:
    async with serving(answer(503, {}, retry_after="30")) as service:
        async with opened(service.url, retry_seconds=4) as model:
            with pytest.raises(ModelUnavailable):
                await events_of(model, asking())
        assert len(service.heads) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_not_asked_again(status: int) -> None:
    reply = answer(status, {}, retry_after="0")
    async with serving(reply) as service, opened(service.url, retry_seconds=60) as model:
        with pytest.raises(ChatError):
            await events_of(model, asking())
        assert len(service.heads) == 1


async def test_nothing_is_asked_again_once_the_stream_began() -> None:
    junk = SSE + HELLO + b"data: <html>\n\n"
    async with serving(junk) as service, opened(service.url, retry_seconds=60) as model:
        told: list[ModelEvent] = []
        async with model.ask(asking()) as stream:
            with pytest.raises(ModelUnavailable, match="could not be read"):
                await collect(stream, told)
        assert told == [Delta("Hello")]
        assert len(service.heads) == 1


@pytest.mark.parametrize("rest", [b'data: {"choices"', b"data: <html>"])
async def test_a_stream_whose_last_line_is_half_a_one(rest: bytes) -> None:
    async with serving(SSE + HELLO + rest) as service, opened(service.url) as model:
        told: list[ModelEvent] = []
        async with model.ask(asking()) as stream:
            with pytest.raises(ModelUnavailable, match="could not be read"):
                await collect(stream, told)
    assert told == [Delta("Hello")]


async def test_a_stream_is_over_once_it_was_left() -> None:
    async with serving(SSE + HELLO + STOP) as service, opened(service.url) as model:
        async with model.ask(asking()) as stream:
            pass
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_an_endless_line_ends_the_stream() -> None:
    endless = SSE + HELLO + b"data: " + b"x" * (MAX_EVENT_BYTES + 1)
    async with serving(endless) as service, opened(service.url) as model:
        told: list[ModelEvent] = []
        async with model.ask(asking()) as stream:
            with pytest.raises(ModelUnavailable, match="too long"):
                await collect(stream, told)
    assert told == [Delta("Hello")]
