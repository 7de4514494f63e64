"""The body of `POST /api/chat`, checked field by field."""

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
    ResultName,
    ToolResult,
)
from shared.protocols.chosen import Chosen, check_one_each, request_of
from shared.protocols.decoding import decode

NOT_BESIDE_RESULTS = {
    "promptTemplate": "it renders a prompt, and with results there is none",
    "context": "it goes into a prompt, and with results there is none: put it into a result",
    "history": "the calls that they answer are in the stored history, which it would replace",
}
"""Fields that have no meaning beside `toolResults`, and why."""


class ChatBody(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every field of the body, those of `Chosen` in their places. `null` means absent."""

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
    if given.result_variable_name in RESULT_FIELDS:
        raise InvalidRequest(
            f"resultVariableName must not be one of {', '.join(sorted(RESULT_FIELDS))}.",
            field="resultVariableName",
        )
    request = request_of(
        msgspec.convert(given, Chosen, from_attributes=True),
        conversation_id=given.conversation_id,
        turn_id=given.turn_id,
        user_prompt=given.user_prompt or "",
        tool_results=tuple(given.tool_results or ()),
    )
    request = msgspec.structs.replace(
        request,
        history=None if given.history is None else tuple(given.history),
        result_variable_name=given.result_variable_name,
        replaces=given.replaces,
        store=given.store is not False,
    )
    if not request.store:
        _check_stateless(request)
    if request.tool_results and request.conversation_id is None:
        raise InvalidRequest(
            "toolResults go on with a conversation: send its conversationId.",
            field="conversationId",
        )
    return request


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
    check_one_each(results, "toolResults")
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
