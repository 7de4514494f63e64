"""The fields of the completions request: what becomes of each on each kind of connection.

Services refuse what they do not know, and call some things by other names. So a field is sent as it
is, renamed, or refused by name before anything is sent; `FIELDS` says which, and nothing else does.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, structs

from shared.errors import ChatError, InvalidRequest, Misconfigured
from shared.messages import ModelRequest
from shared.models import mistral
from shared.settings import Kind


class Sent(Struct, frozen=True):
    """The field is sent, by another name where there is one."""

    name: str | None = None
    words: Mapping[str, str] = {}
    """Values that are called otherwise there."""
    change: Callable[[Any], Any] | None = None
    """What else is done to the value."""
    note: str = ""
    """The change in words, for the documentation."""

    def value(self, given: Any) -> Any:
        """The value as the service wants it."""
        if isinstance(given, str):
            return self.words.get(given, given)
        return given if self.change is None else self.change(given)


class Refused(Struct, frozen=True):
    """The service does not take the field, so that the app does not either."""

    why: str = ""


class Kept(Struct, frozen=True):
    """What callers say there is not passed on. `instead`: what the app itself sends, if it does."""

    instead: str = ""


type Rule = Sent | Refused | Kept


class Row(Struct, frozen=True):
    """A field's rule for each kind; `Sent()` is as it is."""

    azure_openai: Rule = Sent()
    openai: Rule = Sent()
    mistral: Rule = Sent()

    def rule(self, kind: Kind) -> Rule:
        rule: Rule = getattr(self, kind)
        return rule


def _everywhere(rule: Rule) -> Row:
    return Row(rule, rule, rule)


def _mistrals_own(mistrals: Rule, others: Rule) -> Row:
    return Row(others, others, mistrals)


_USAGE: Final = Kept("include_usage")
_ONLY_WITH_STORE: Final = Refused("OpenAI takes it only with store")

FIELDS: Final[Mapping[str, Row]] = {
    "model": _everywhere(Kept("the action's or the caller's model")),
    "messages": Row(
        Kept("the prompt"),
        Kept("the prompt"),
        Kept("the prompt; ids of tool calls as nine letters and digits"),
    ),
    "stream": _everywhere(Kept("true")),
    "stream_options": Row(_USAGE, _USAGE, Kept()),
    "temperature": Row(),
    "top_p": Row(),
    "max_completion_tokens": Row(mistral=Sent("max_tokens")),
    "max_tokens": _mistrals_own(Sent(), Sent("max_completion_tokens")),
    "stop": Row(),
    "seed": Row(mistral=Sent("random_seed")),
    "random_seed": _mistrals_own(Sent(), Sent("seed")),
    "presence_penalty": Row(),
    "frequency_penalty": Row(),
    "logit_bias": Row(mistral=Refused()),
    "logprobs": Row(),
    "top_logprobs": Row(),
    "n": Row(),
    "response_format": Row(),
    "tools": Row(mistral=Sent(change=mistral.tools, note="each function with `parameters`")),
    "tool_choice": _mistrals_own(Sent(words={"required": "any"}), Sent(words={"any": "required"})),
    "parallel_tool_calls": Row(),
    "prediction": Row(),
    "reasoning_effort": Row(),
    "metadata": Row(_ONLY_WITH_STORE, _ONLY_WITH_STORE),
    "prompt_mode": _mistrals_own(Sent(), Refused()),
    "safe_prompt": _mistrals_own(Sent(), Refused()),
    "store": _everywhere(Kept()),
    "user": _everywhere(Kept()),
}
"""Mistral's: https://docs.mistral.ai/api/#tag/chat. OpenAI's, and Azure's:
https://platform.openai.com/docs/api-reference/chat/create."""

CONVERSATION: Final = "conversation_id"
"""A member of `metadata` that is this app's own, and is never passed on."""

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
    options: dict[str, str]
    """The same for the action's options."""


def prepared(kind: Kind, request: ModelRequest) -> Parameters:
    """The request's parameters for a connection of that kind.

    Raises `InvalidRequest` for a field that the kind does not take, and `Misconfigured` where it
    was the app itself that set it.
    """
    values: dict[str, Any] = {}
    chosen: dict[str, str] = {n: n for n in ("model", "messages") if n in request.chosen}
    given: dict[str, str] = {}
    options: dict[str, str] = {}
    for name, value in request.parameters.items():
        field = contract_name(name)
        row = FIELDS.get(name)
        rule = Refused() if row is None else row.rule(kind)
        if isinstance(rule, Kept):
            continue
        if name == "metadata" and isinstance(value, dict):
            value = {key: said for key, said in value.items() if key != CONVERSATION}
            if not value:
                continue
        if isinstance(rule, Refused):
            why = f" ({rule.why})" if rule.why else ""
            raise _refusal(
                name in request.chosen,
                field,
                f"a connection of the kind {kind} does not take it{why}; leave it out.",
            )
        sent = rule.name or name
        if sent in given:
            raise _refusal(
                name in request.chosen,
                field,
                f"it means the same as {given[sent]}; give one of them.",
            )
        values[sent] = rule.value(value)
        given[sent] = field
        if name in request.chosen:
            chosen[sent] = field
        elif name not in _CONTRACT:
            options[sent] = field
    if (field_of_limit := chosen.get("max_completion_tokens")) is not None:
        chosen["max_tokens"] = field_of_limit
    return Parameters(values, chosen, options)


def said_to(kind: Kind, request: ModelRequest) -> ModelRequest:
    """The request with its messages as that kind takes them. Raises `InvalidRequest`."""
    if kind != "mistral":
        return request
    return structs.replace(request, messages=mistral.messages(request.messages))


def usage_on_request(kind: Kind) -> dict[str, Any]:
    """What asks for figures of usage, where they come only when asked for."""
    own = FIELDS["stream_options"].rule(kind) == _USAGE
    return {"stream_options": {"include_usage": True}} if own else {}


def _refusal(chosen: bool, field: str, why: str) -> ChatError:
    if chosen:
        return InvalidRequest(f"{field}: {why}", field=field)
    return Misconfigured(f"The action sets {field}: {why}")
