"""Checks the body of a chat completions request as the service does, and reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from local.simulator.errors import ServiceError, openai_error
from local.simulator.fields import FIELDS, check_object, wrong_type
from local.simulator.models import Model

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")


@dataclass(frozen=True)
class ChatMessage:
    """A message that was sent: its text, and its content exactly as it came."""

    role: str
    text: str
    content: Any


@dataclass(frozen=True)
class ChatCall:
    """A request that has been checked."""

    messages: tuple[ChatMessage, ...]
    stream: bool
    include_usage: bool
    include_obfuscation: bool
    limit: int | None
    stop: tuple[str, ...]
    has_tools: bool
    wants_json: bool
    choices: int = 1
    # So many likely tokens beside each one's log probability; None: no log probabilities.
    top_logprobs: int | None = None

    def last_user_text(self) -> str:
        """Give the text of the last message that a user said, or an empty one."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def decode_body(raw: bytes) -> dict[str, Any]:
    """Decode a JSON object; raises `ServiceError` 400."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as exc:
        raise openai_error(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
            "using your HTTP library correctly. The API expects a JSON payload, but what was sent "
            "was not valid JSON.)"
        ) from exc


def read_call(body: Mapping[str, Any], model: Model) -> ChatCall:
    """Check a request against a model; raises `ServiceError` 400 for the first thing wrong."""
    unknown = [name for name in body if name not in FIELDS or name in model.unknown]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise openai_error(f"Unrecognized request argument{plural} supplied: {', '.join(unknown)}")
    if body.get("messages") is None:
        raise openai_error(
            "Missing required parameter: 'messages'.",
            param="messages",
            code="missing_required_parameter",
        )
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        FIELDS[name](name, value)
    _check_model_limits(given, model)
    _check_combinations(given)
    messages = tuple(_read_message(i, message) for i, message in enumerate(given["messages"]))
    _check_tool_results(given["messages"])
    stop = given.get("stop", ())
    options = given.get("stream_options", {})
    return ChatCall(
        messages=messages,
        stream=given.get("stream", False),
        include_usage=bool(options.get("include_usage")),
        include_obfuscation=options.get("include_obfuscation") is not False,
        limit=given.get("max_completion_tokens", given.get("max_tokens")),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        has_tools=bool(given.get("tools")),
        wants_json=given.get("response_format", {}).get("type") in ("json_object", "json_schema"),
        choices=given.get("n", 1),
        top_logprobs=given.get("top_logprobs", 0) if given.get("logprobs") else None,
    )


def _check_model_limits(given: Mapping[str, Any], model: Model) -> None:
    if "max_tokens" in given and not model.takes_max_tokens:
        raise _unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    for name in given:
        if name in model.refuses:
            raise _unsupported(name)
    temperature = given.get("temperature", 1)
    if model.fixed_temperature and temperature != 1:
        raise _only_default("temperature", temperature)
    if model.fixed_temperature and given.get("n", 1) != 1:
        raise _only_default("n", given["n"])
    for name in ("max_tokens", "max_completion_tokens"):
        if given.get(name, 0) > model.max_completion_tokens:
            raise openai_error(
                f"{name} is too large: {given[name]}. This model supports at most "
                f"{model.max_completion_tokens} completion tokens, whereas you provided "
                f"{given[name]}.",
                param=name,
                code="invalid_value",
            )


def _check_combinations(given: Mapping[str, Any]) -> None:
    if "max_tokens" in given and "max_completion_tokens" in given:
        raise openai_error(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    if "stream_options" in given and not given.get("stream"):
        raise openai_error(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    if "top_logprobs" in given and not given.get("logprobs"):
        raise openai_error(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            param="top_logprobs",
        )
    if "metadata" in given and not given.get("store"):
        raise openai_error(
            "The 'metadata' parameter is only allowed when 'store' is enabled.", param="metadata"
        )
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in given and not given.get("tools"):
            raise openai_error(
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
                param=name,
            )


def _unsupported(name: str, advice: str = "") -> ServiceError:
    return openai_error(
        f"Unsupported parameter: '{name}' is not supported with this model.{advice}",
        param=name,
        code="unsupported_parameter",
    )


def _only_default(name: str, value: Any) -> ServiceError:
    return openai_error(
        f"Unsupported value: '{name}' does not support {value} with this model. Only the default "
        "(1) value is supported.",
        param=name,
        code="unsupported_value",
    )


def _read_message(index: int, message: Any) -> ChatMessage:
    at = f"messages[{index}]"
    check_object(at, message)
    role = message.get("role")
    if role is None:
        raise openai_error(
            f"Missing required parameter: '{at}.role'.",
            param=f"{at}.role",
            code="missing_required_parameter",
        )
    if role not in _ROLES:
        names = ", ".join(f"'{name}'" for name in _ROLES[:-1])
        raise openai_error(
            f"Invalid value: '{role}'. Supported values are: {names}, and '{_ROLES[-1]}'.",
            param=f"{at}.role",
            code="invalid_value",
        )
    content = message.get("content")
    if content is None and not (role == "assistant" and message.get("tool_calls")):
        raise openai_error(
            "Invalid value for 'content': expected a string, got null.",
            param=f"messages.[{index}].content",
        )
    return ChatMessage(role, _text_of(f"{at}.content", content), content)


def _text_of(at: str, content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong_type(at, "one of a string or array of objects", content)
    for index, part in enumerate(content):
        check_object(f"{at}[{index}]", part)
    return "\n".join(
        part["text"]
        for part in content
        if part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _check_tool_results(messages: list[dict[str, Any]]) -> None:
    """Tool calls and their results must follow each other, each call with one result."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise openai_error(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            open_calls.discard(message["tool_call_id"])
            continue
        _check_answered(open_calls, index)
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            raise wrong_type(f"messages[{index}].tool_calls", "an array of objects", calls)
        open_calls = {str(call.get("id")) for call in calls}
    _check_answered(open_calls, len(messages))


def _check_answered(open_calls: set[str], index: int) -> None:
    if open_calls:
        raise openai_error(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(sorted(open_calls)),
            param=f"messages.[{index}].role",
        )
