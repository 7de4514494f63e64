"""The body of `POST /api/chat`, checked field by field."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidRequest
from shared.messages import (
    RESULT_FIELDS,
    ChatRequest,
    Document,
    Identifier,
    Message,
    Options,
    ResultName,
    ToolResult,
)

NOT_BESIDE_RESULTS = {
    "promptTemplate": "it renders a prompt, and with results there is none",
    "context": "it goes into a prompt, and with results there is none: put it into a result",
    "history": "the calls that they answer are in the stored history, which it would replace",
}
"""Fields that have no meaning beside `toolResults`, and why."""

_EXPECTED = re.compile(r"(?P<what>.*?) - at `(?P<path>[^`]*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MAX_SHOWN = 80
_MUST_BE = {
    "conversationId": "must be 1 to 64 letters, digits, - or _",
    "turnId": "must be 1 to 64 letters, digits, - or _",
    "replaces": "must be 1 to 64 letters, digits, - or _",
    "resultVariableName": "must be a name: letters, digits and _, no digit first, 64 at most",
    "onDisconnect": "must be finish or cancel",
    "role": "must be user or assistant",
}
"""Where the library's own words would not tell a caller what is right."""


class ChatBody(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every field of the body. `null` means absent."""

    user_prompt: str | None = None
    tool_results: list[ToolResult] | None = None
    conversation_id: Identifier | None = None
    turn_id: Identifier | None = None
    action: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    connection: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    deployment_name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    system_prompt: str | None = None
    prompt_template: str | None = None
    options: dict[str, Any] | None = None
    history: list[Message] | None = None
    context: str | list[Document] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    result_variable_name: ResultName | None = None
    replaces: Identifier | None = None
    store: bool | None = None
    on_disconnect: Literal["finish", "cancel"] | None = None


def parse(body: bytes) -> ChatRequest:
    """Raises `InvalidRequest` that names the field, what is wrong with it and what is right."""
    given = decode(body, ChatBody)
    if given.tool_results is not None:
        _check_results(given, given.tool_results)
    elif given.user_prompt is None or not given.user_prompt.strip():
        raise InvalidRequest("userPrompt must not be blank.", field="userPrompt")
    if given.model and given.deployment_name and given.model != given.deployment_name:
        raise InvalidRequest(
            "deploymentName is another name for model: send one of them.", field="deploymentName"
        )
    if given.result_variable_name in RESULT_FIELDS:
        raise InvalidRequest(
            f"resultVariableName must not be one of {', '.join(sorted(RESULT_FIELDS))}.",
            field="resultVariableName",
        )
    request = ChatRequest(
        user_prompt=given.user_prompt or "",
        tool_results=tuple(given.tool_results or ()),
        conversation_id=given.conversation_id,
        turn_id=given.turn_id,
        action=given.action or "default",
        connection=given.connection,
        model=given.model or given.deployment_name,
        system_prompt=given.system_prompt,
        prompt_template=given.prompt_template,
        options=_options(given.options),
        history=None if given.history is None else tuple(given.history),
        context=tuple(given.context) if isinstance(given.context, list) else given.context,
        temperature=given.temperature,
        max_completion_tokens=given.max_completion_tokens,
        result_variable_name=given.result_variable_name,
        replaces=given.replaces,
        store=given.store is not False,
        on_disconnect=given.on_disconnect or "finish",
    )
    if not request.store:
        _check_stateless(request)
    if request.tool_results and request.conversation_id is None:
        raise InvalidRequest(
            "toolResults go on with a conversation: send its conversationId.",
            field="conversationId",
        )
    return request


def decode[T](body: bytes, kind: type[T]) -> T:
    """JSON in UTF-8 as `kind`. Raises `InvalidRequest`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), kind) from exc
    except RecursionError as exc:
        raise InvalidRequest("The body is nested too deeply.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(
            "The body is not JSON in UTF-8, or holds half a surrogate pair."
        ) from exc


def _options(given: dict[str, Any] | None) -> Options | None:
    asked = {name: value for name, value in (given or {}).items() if value is not None}
    if not asked:
        return None
    try:
        return msgspec.convert(asked, Options)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), Options, "options") from exc


def _check_results(given: ChatBody, results: list[ToolResult]) -> None:
    """What can be said of results before the conversation is known."""
    if given.user_prompt is not None:
        raise InvalidRequest(
            "toolResults come instead of userPrompt: send one of them.", field="toolResults"
        )
    if not results:
        raise InvalidRequest(
            "toolResults must hold one result for each call of the last turn.", field="toolResults"
        )
    seen: set[str] = set()
    for result in results:
        if result.id in seen:
            raise InvalidRequest(
                f"toolResults must hold one result for each call: {result.id[:_MAX_SHOWN]!r} has "
                "two.",
                field="toolResults",
            )
        seen.add(result.id)
    values = {
        "promptTemplate": given.prompt_template,
        "context": given.context,
        "history": given.history,
    }
    for field, why in NOT_BESIDE_RESULTS.items():
        if values[field] is not None:
            raise InvalidRequest(f"{field} cannot go with toolResults: {why}.", field=field)


def _check_stateless(request: ChatRequest) -> None:
    for field, value in (
        ("conversationId", request.conversation_id),
        ("turnId", request.turn_id),
        ("replaces", request.replaces),
        ("toolResults", request.tool_results or None),
    ):
        if value is not None:
            raise InvalidRequest(
                f"{field} has no meaning with store: false, which has no conversation.",
                field=field,
            )


def _field_error(text: str, kind: type, parent: str = "") -> InvalidRequest:
    found = _EXPECTED.fullmatch(text)
    what, path = (found["what"], found["path"]) if found else (text, "$")
    field = ".".join(part for part in (parent, path.removeprefix("$").lstrip(".")) if part)
    if unknown := _UNKNOWN.fullmatch(what):
        name = unknown["name"][:_MAX_SHOWN]
        field = f"{field}.{name}" if field else name
        known = ""
        if field in (name, f"{parent}.{name}"):
            names = (f.encode_name for f in msgspec.structs.fields(kind))
            known = f" The fields are: {', '.join(names)}."
        return InvalidRequest(f"There is no field {field}.{known}", field=field)
    message = what.replace("`", "")
    if len(message) > 4 * _MAX_SHOWN:
        message = message[: 4 * _MAX_SHOWN] + "…"
    if not field:
        return InvalidRequest(f"The body: {message}.")
    right = _MUST_BE.get(field.rpartition(".")[2])
    if right and ", got " not in message:
        return InvalidRequest(f"{field} {right}.", field=field)
    return InvalidRequest(f"{field}: {message}.", field=field)


def read_value[T](value: Any, kind: type[T], field: str) -> T:
    """What was decoded, as `kind`; `field` says where it stood. Raises `InvalidRequest`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), kind, field) from exc


def read_options(given: dict[str, Any] | None) -> Options | None:
    """The further fields of the completions request. Raises `InvalidRequest` by field."""
    return _options(given)
