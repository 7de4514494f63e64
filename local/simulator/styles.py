"""What differs between the URLs that the simulator serves: names, versions, and words."""

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.simulator import errors
from local.simulator.mistral_requests import invalid, required_model, unknown_model
from local.simulator.models import ALIASES, MISTRAL_ALIASES, Model
from local.simulator.records import Style
from local.simulator.requests import decode_body

# What Azure's `/models` knows of every model: the rest is passed on only when it is told to.
_COMMON_FIELDS = frozenset(
    {
        "model",
        "messages",
        "stream",
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "response_format",
        "tools",
        "tool_choice",
    }
)
_VERSION = re.compile(r"20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(-preview)?")
_FIRST_VERSION = "2023-05-15"

ALIASES_OF: Mapping[Style, Mapping[str, Model]] = {
    "azure-v1": {},
    "azure-dated": {},
    "azure-models": MISTRAL_ALIASES,
    "openai": ALIASES,
    "mistral": MISTRAL_ALIASES,
}
# What Mistral's list says of a model besides.
CARD = {
    "capabilities": {"completion_chat": True, "function_calling": True},
    "default_model_temperature": 0.3,
    "type": "base",
}


def speaks_mistral(style: Style, model: Model) -> bool:
    """Whether requests and answers are in Mistral's form."""
    return style == "mistral" or (model.of_mistral and style != "openai")


def check_extra(request: web.Request, body: Mapping[str, Any]) -> None:
    """Refuse what only some models know, unless it is to be passed on."""
    extra = sorted(set(body) - _COMMON_FIELDS)
    if extra and request.headers.get("extra-parameters") != "pass-through":
        raise errors.extra_parameters(extra)


def decoded(raw: bytes, style: Style) -> dict[str, Any]:
    """The body as a JSON object; raises `ServiceError`."""
    try:
        return decode_body(raw)
    except errors.ServiceError as exc:
        if style != "mistral":
            raise
        finding = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error"}
        raise invalid([finding]) from exc


def nameless(style: Style) -> errors.ServiceError:
    """The body names no model."""
    if style == "mistral":
        return required_model()
    return errors.openai_error("you must provide a model parameter")


def unknown_model_of(style: Style, name: str) -> errors.ServiceError:
    """There is no model of that name."""
    match style:
        case "openai":
            return errors.unknown_model(name)
        case "mistral":
            return unknown_model(name)
        case _:
            return errors.unknown_deployment()


def check_version(version: str | None) -> None:
    """Raise `ServiceError` for an `api-version` that is missing or none."""
    if version is None:
        raise errors.unknown_path()
    if not _VERSION.fullmatch(version) or version < _FIRST_VERSION:
        raise errors.unknown_version()
