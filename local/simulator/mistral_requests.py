"""Checks the body of a request as Mistral's API does, and reads it.

What is not in the schema is refused, in messages too. Its answer lists every finding, in pydantic's
words: https://docs.mistral.ai/api/#tag/chat.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local.simulator.errors import ServiceError
from local.simulator.models import Model
from local.simulator.requests import ChatCall, ChatMessage

type Place = tuple[str | int, ...]
type Finding = dict[str, Any]
type Check = Callable[[Place, Any], Iterator[Finding]]

_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
_MEMBERS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "prefix"},
    "tool": {"role", "content", "tool_call_id", "name"},
}


def mistral_error(
    status: int, message: object, kind: str, code: str | int | None = None
) -> ServiceError:
    """An error as Mistral words it: without the member `error`."""
    body = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    return ServiceError(status, body | {"raw_status_code": status})


def unauthorized() -> ServiceError:
    """401: no key, or a wrong one."""
    return ServiceError(401, {"detail": "Unauthorized"})


def invalid(findings: list[Finding]) -> ServiceError:
    """422: the body does not fit the schema."""
    return mistral_error(422, {"detail": findings}, "invalid_request_error")


def unknown_model(name: str) -> ServiceError:
    """400: no model of this name."""
    return mistral_error(400, f"Invalid model: {name}", "invalid_model", "1500")


def too_long(window: int, prompt: int) -> ServiceError:
    """400: the prompt does not fit into the context window; both in tokens."""
    return mistral_error(
        400,
        f"Prompt contains {prompt} tokens and 0 draft tokens, too large for model with {window} "
        "maximum context length",
        "invalid_request_prompt",
        "3051",
    )


def mistral_by_status(status: int) -> ServiceError:
    """Mistral's usual answer with this status."""
    match status:
        case 401:
            return unauthorized()
        case 422:
            return invalid([_finding("missing", ("body", "messages"), "Field required", {})])
        case 429:
            return mistral_error(429, "Rate limit exceeded", "rate_limited", "1300")
        case _ if status >= 500:
            return mistral_error(status, "Service unavailable.", "internal_server_error", "1000")
        case _:
            return mistral_error(status, f"Status {status}.", "invalid_request_error")


def required_model() -> ServiceError:
    """422: the body names no model."""
    return invalid([_finding("missing", ("body", "model"), "Field required", None)])


def read_mistral_call(body: Mapping[str, Any], model: Model) -> ChatCall:
    """Check a request; raises `ServiceError` 422 with all that is wrong, or 400."""
    findings = list(_findings(body))
    if findings:
        raise invalid(findings)
    given = {name: value for name, value in body.items() if value is not None}
    for name in given:
        if name in model.refuses:
            raise mistral_error(
                400, f"{name} is not supported by this model", "invalid_request_invalid_args"
            )
    messages = given["messages"]
    _check_order(messages)
    stop = given.get("stop", ())
    return ChatCall(
        messages=tuple(
            ChatMessage(m["role"], _text(m.get("content")), m.get("content")) for m in messages
        ),
        stream=given.get("stream", False),
        include_usage=False,
        include_obfuscation=False,
        limit=given.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        has_tools=bool(given.get("tools")),
        wants_json=given.get("response_format", {}).get("type") in ("json_object", "json_schema"),
        choices=given.get("n", 1),
        top_logprobs=given.get("top_logprobs", 0) if given.get("logprobs") else None,
    )


def _findings(body: Mapping[str, Any]) -> Iterator[Finding]:
    if body.get("messages") is None:
        yield _finding("missing", ("body", "messages"), "Field required", dict(body))
    for name, value in body.items():
        place: Place = ("body", name)
        check = MISTRAL_FIELDS.get(name)
        if check is None:
            yield _extra(place, value)
        elif value is not None:
            yield from check(place, value)


def _finding(kind: str, place: Place, words: str, given: Any) -> Finding:
    return {"type": kind, "loc": list(place), "msg": words, "input": given}


def _extra(place: Place, given: Any) -> Finding:
    return _finding("extra_forbidden", place, "Extra inputs are not permitted", given)


def _typed(kind: type | tuple[type, ...], noun: str) -> Check:
    def check(place: Place, value: Any) -> Iterator[Finding]:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield _finding(f"{noun}_type", place, f"Input should be a valid {noun}", value)

    return check


def _number(low: float, high: float, kind: type | tuple[type, ...] = (int, float)) -> Check:
    typed = _typed(kind, "number")

    def check(place: Place, value: Any) -> Iterator[Finding]:
        wrong = list(typed(place, value))
        yield from wrong
        if not wrong and value < low:
            words = f"Input should be greater than or equal to {low:g}"
            yield _finding("greater_than_equal", place, words, value)
        if not wrong and value > high:
            words = f"Input should be less than or equal to {high:g}"
            yield _finding("less_than_equal", place, words, value)

    return check


def _words(*allowed: str) -> Check:
    def check(place: Place, value: Any) -> Iterator[Finding]:
        if value not in allowed:
            names = " or ".join(f"'{name}'" for name in allowed)
            yield _finding("enum", place, f"Input should be {names}", value)

    return check


def _object(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    def check(place: Place, value: Any) -> Iterator[Finding]:
        if not isinstance(value, dict):
            yield _finding("model_type", place, "Input should be a valid dictionary", value)
            return
        for name in required:
            if name not in value:
                yield _finding("missing", (*place, name), "Field required", value)
        known = {**required, **optional}
        for name, member in value.items():
            if name not in known:
                yield _extra((*place, name), member)
            elif member is not None:
                yield from known[name]((*place, name), member)

    return check


def _list(item: Check) -> Check:
    def check(place: Place, value: Any) -> Iterator[Finding]:
        if not isinstance(value, list):
            yield _finding("list_type", place, "Input should be a valid list", value)
            return
        for index, each in enumerate(value):
            yield from item((*place, index), each)

    return check


def _stop(place: Place, value: Any) -> Iterator[Finding]:
    yield from (_list(_string) if isinstance(value, list) else _string)(place, value)


def _tool_choice(place: Place, value: Any) -> Iterator[Finding]:
    named = _object({"function": _object({"name": _string}, {})}, {"type": _words("function")})
    enum = _words("auto", "none", "any", "required")
    yield from (named if isinstance(value, dict) else enum)(place, value)


def _content(place: Place, value: Any) -> Iterator[Finding]:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        yield _finding("string_type", place, "Input should be a valid string", value)
        return
    for index, part in enumerate(value):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "image_url", "document_url", "input_audio", "thinking"):
            yield _finding("union_tag_invalid", (*place, index), "Input tag is unknown", part)


def _messages(place: Place, value: Any) -> Iterator[Finding]:
    if not isinstance(value, list) or not value:
        yield _finding("too_short", place, "List should have at least 1 item", value)
        return
    for index, message in enumerate(value):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _MEMBERS:
            words = "Input tag should be 'system', 'user', 'assistant' or 'tool'"
            yield _finding("union_tag_invalid", (*place, index), words, message)
            continue
        at: Place = (*place, index, role)
        for name, member in message.items():
            if name not in _MEMBERS[role]:
                yield _extra((*at, name), member)
        if message.get("content") is not None:
            yield from _content((*at, "content"), message["content"])
        elif role != "assistant":
            yield _finding("missing", (*at, "content"), "Field required", message)
        if (calls := message.get("tool_calls")) is not None:
            yield from _calls((*at, "tool_calls"), calls)


def _arguments(place: Place, value: Any) -> Iterator[Finding]:
    if not isinstance(value, str | dict):
        yield _finding("string_type", place, "Input should be a valid string", value)


def _check_order(messages: list[dict[str, Any]]) -> None:
    """Calls and their results belong together, and the last word is a user's or a tool's."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            _check_call_id(call_id)
            if call_id not in waiting:
                raise _wrong_order("Unexpected tool call id in tool results")
            waiting.remove(str(call_id))
            continue
        if waiting:
            raise _wrong_order("Not the same number of function calls and responses")
        for call in message.get("tool_calls") or ():
            _check_call_id(call.get("id", "null"))
            waiting.append(call["id"])
    last = messages[-1]
    if waiting or (last["role"] not in ("user", "tool") and not last.get("prefix")):
        raise _wrong_order(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got "
            f"{last['role']}"
        )


def _wrong_order(words: str) -> ServiceError:
    return mistral_error(400, words, "invalid_request_message_order", "3230")


def _check_call_id(call_id: Any) -> None:
    if not isinstance(call_id, str) or not _CALL_ID.fullmatch(call_id):
        raise mistral_error(
            400,
            f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9.",
            "invalid_function_call",
            "3280",
        )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(p["text"] for p in content or () if isinstance(p.get("text"), str))


_string = _typed(str, "string")
_boolean = _typed(bool, "boolean")
_dictionary = _typed(dict, "dictionary")
_natural = _number(0, 1 << 62, int)
_function = _object(
    {"name": _string, "parameters": _dictionary}, {"description": _string, "strict": _boolean}
)
_schema = _object(
    {"name": _string, "schema": _dictionary}, {"description": _string, "strict": _boolean}
)
_calls = _list(
    _object(
        {"function": _object({"name": _string, "arguments": _arguments}, {})},
        {"id": _string, "type": _string, "index": _natural},
    )
)

# Every field that Mistral's API knows; what is not here is refused.
MISTRAL_FIELDS: Mapping[str, Check] = {
    "model": _string,
    "messages": _messages,
    "stream": _boolean,
    "temperature": _number(0, 1.5),
    "top_p": _number(0, 1),
    "max_tokens": _natural,
    "min_tokens": _natural,
    "stop": _stop,
    "random_seed": _natural,
    "metadata": _dictionary,
    "response_format": _object(
        {}, {"type": _words("text", "json_object", "json_schema"), "json_schema": _schema}
    ),
    "tools": _list(_object({"function": _function}, {"type": _words("function")})),
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _boolean,
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "repetition_penalty": _number(0, 2),
    "top_k": _natural,
    "n": _number(1, 1 << 62, int),
    "logprobs": _boolean,
    "top_logprobs": _natural,
    "prompt_logprobs": _boolean,
    "top_prompt_logprobs": _natural,
    "prediction": _object({}, {"type": _words("content"), "content": _string}),
    "prompt_mode": _words("reasoning"),
    "reasoning_effort": _words("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "safe_prompt": _boolean,
    "guardrails": _list(_dictionary),
    "prompt_cache_key": _string,
    "service_tier": _string,
}
