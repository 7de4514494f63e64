"""Checks the single fields of a chat completions request, with the service's words."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from local.simulator.errors import ServiceError, openai_error

_ARTICLES = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal"}

Check = Callable[[str, Any], None]


def _name_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    return _ARTICLES[type(value)]


def wrong_type(name: str, expected: str, value: Any) -> ServiceError:
    """400: a value of the wrong type; `expected` comes with its article."""
    return openai_error(
        f"Invalid type for '{name}': expected {expected}, but got {_name_of(value)} instead.",
        param=name,
        code="invalid_type",
    )


def _number(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong_type(name, "a decimal", value)
        _range("decimal", name, value, low, high)

    return check


def _integer(low: int | None = None, high: int | None = None) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(name, "an integer", value)
        _range("integer", name, value, low, high)

    return check


def _range(noun: str, name: str, value: float, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        _out_of_range(
            noun, name, f"below minimum value. Expected a value >= {low}", value, "below_min"
        )
    if high is not None and value > high:
        _out_of_range(
            noun, name, f"above maximum value. Expected a value <= {high}", value, "above_max"
        )


def _out_of_range(noun: str, name: str, rule: str, value: float, code: str) -> NoReturn:
    raise openai_error(
        f"Invalid '{name}': {noun} {rule}, but got {value} instead.",
        param=name,
        code=f"{noun}_{code}_value",
    )


def _typed(kind: type | tuple[type, ...], expected: str) -> Check:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind):
            raise wrong_type(name, expected, value)

    return check


def _messages(name: str, value: Any) -> None:
    _array(name, value)
    if not value:
        raise openai_error(
            f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            param=name,
            code="empty_array",
        )


def _stop(name: str, value: Any) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _string(f"{name}[{index}]", item)
        if len(value) > 4:
            raise openai_error(
                f"Invalid '{name}': array too long. Expected an array with maximum length 4, but "
                f"got an array with length {len(value)} instead.",
                param=name,
                code="array_above_max_length",
            )
    elif not isinstance(value, str):
        raise wrong_type(name, "one of an array of strings or string", value)


def _tools(name: str, value: Any) -> None:
    _array(name, value)
    for index, tool in enumerate(value):
        check_object(f"{name}[{index}]", tool)
        if tool.get("type") != "function" or not isinstance(tool.get("function"), dict):
            raise openai_error(
                f"Missing required parameter: '{name}[{index}].function'.",
                param=f"{name}[{index}].function",
                code="missing_required_parameter",
            )
        function_name = tool["function"].get("name")
        if not isinstance(function_name, str) or not re.fullmatch(r"[\w-]{1,64}", function_name):
            raise openai_error(
                f"Invalid '{name}[{index}].function.name': string does not match pattern. Expected "
                "a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
                param=f"{name}[{index}].function.name",
                code="invalid_value",
            )


def _tool_choice(name: str, value: Any) -> None:
    if not isinstance(value, str | dict):
        raise wrong_type(name, "one of a string or object", value)
    _one_of("none", "auto", "required")(name, value)


def _one_of(*words: str) -> Check:
    def check(name: str, value: Any) -> None:
        if isinstance(value, str) and value not in words:
            named = ", ".join(f"'{word}'" for word in words[:-1])
            raise openai_error(
                f"Invalid value: '{value}'. Supported values are: {named}, and '{words[-1]}'.",
                param=name,
                code="invalid_value",
            )

    return check


_string = _typed(str, "a string")
_boolean = _typed(bool, "a boolean")
_array = _typed(list, "an array of objects")
check_object = _typed(dict, "an object")

# Every field that the service knows; what is not here is refused by name.
FIELDS: Mapping[str, Check] = {
    "model": _string,
    "messages": _messages,
    "stream": _boolean,
    "stream_options": check_object,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "logit_bias": check_object,
    "logprobs": _boolean,
    "top_logprobs": _integer(0, 20),
    "max_tokens": _integer(1),
    "max_completion_tokens": _integer(1),
    "n": _integer(1, 128),
    "stop": _stop,
    "seed": _integer(),
    "user": _string,
    "response_format": check_object,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _boolean,
    "prediction": check_object,
    "metadata": check_object,
    "store": _boolean,
    "service_tier": _string,
    "reasoning_effort": _string,
    "verbosity": _string,
    "modalities": _array,
    "safety_identifier": _string,
    "prompt_cache_key": _string,
}
