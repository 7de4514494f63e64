"""The names of a request's fields: the contract's, the standard ones, and those of each kind."""

from typing import Any, Final

from msgspec import Struct

from shared.errors import ChatError, InvalidRequest, Misconfigured
from shared.messages import ModelRequest
from shared.settings import Kind

NOT_TAKEN: Final[dict[Kind, frozenset[str]]] = {
    "azure_openai": frozenset({"metadata", "prompt_mode", "safe_prompt"}),
    "openai": frozenset({"metadata", "prompt_mode", "safe_prompt"}),
}
"""Fields that a kind of connection does not know: refused by name before anything is sent."""

RENAMED: Final[dict[Kind, dict[str, str]]] = {
    "azure_openai": {"random_seed": "seed"},
    "openai": {"random_seed": "seed"},
}
"""Other names for a field that a kind knows."""

_CONTRACT: Final[dict[str, str]] = {
    "model": "model",
    "temperature": "temperature",
    "max_completion_tokens": "maxCompletionTokens",
    "max_tokens": "maxCompletionTokens",
}


def contract_name(name: str) -> str:
    """What callers call the parameter: `temperature`, `maxCompletionTokens`, `options.top_p`."""
    return _CONTRACT.get(name, f"options.{name}")


class Parameters(Struct, frozen=True):
    """What is sent, by the names that the kind knows."""

    values: dict[str, Any]
    chosen: dict[str, str]
    """For each name that the caller chose, the contract's name of the caller's field."""


def prepared(kind: Kind, request: ModelRequest) -> Parameters:
    """The request's parameters for a connection of that kind.

    Raises `InvalidRequest` for a field that the kind does not take, and `Misconfigured` where it
    was the app itself that set it.
    """
    values: dict[str, Any] = {}
    chosen: dict[str, str] = {"model": "model"} if "model" in request.chosen else {}
    given: dict[str, str] = {}
    for name, value in request.parameters.items():
        field = contract_name(name)
        if name in NOT_TAKEN[kind]:
            raise _refusal(
                name in request.chosen,
                field,
                f"a connection of the kind {kind} does not take it; leave it out.",
            )
        sent = RENAMED[kind].get(name, name)
        if sent in given:
            raise _refusal(
                name in request.chosen,
                field,
                f"it means the same as {given[sent]}; give one of them.",
            )
        values[sent] = value
        given[sent] = field
        if name in request.chosen:
            chosen[sent] = field
    if (field_of_limit := chosen.get("max_completion_tokens")) is not None:
        chosen["max_tokens"] = field_of_limit
    return Parameters(values, chosen)


def _refusal(chosen: bool, field: str, why: str) -> ChatError:
    if chosen:
        return InvalidRequest(f"{field}: {why}", field=field)
    return Misconfigured(f"The action sets {field}: {why}")
