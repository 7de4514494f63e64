"""What a caller chooses for a turn, by the contract's names, on every protocol but OpenAI's."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidRequest
from shared.messages import ChatRequest, Document, ToolResult
from shared.protocols.decoding import MAX_SHOWN, read_options


class Chosen(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The fields of `POST /api/chat` that say how a turn is run. `null` means absent."""

    action: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    connection: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    deployment_name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    system_prompt: str | None = None
    prompt_template: str | None = None
    options: dict[str, Any] | None = None
    context: str | list[Document] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    on_disconnect: Literal["finish", "cancel"] | None = None


def request_of(
    chosen: Chosen,
    *,
    conversation_id: str | None,
    turn_id: str | None,
    user_prompt: str = "",
    tool_results: tuple[ToolResult, ...] = (),
    parent: str = "",
) -> ChatRequest:
    """What is asked. Raises `InvalidRequest` that names the field."""
    if chosen.model and chosen.deployment_name and chosen.model != chosen.deployment_name:
        raise InvalidRequest(
            "deploymentName is another name for model: send one of them.",
            field=f"{parent}.deploymentName" if parent else "deploymentName",
        )
    context = chosen.context
    return ChatRequest(
        user_prompt=user_prompt,
        tool_results=tool_results,
        conversation_id=conversation_id,
        turn_id=turn_id,
        action=chosen.action or "default",
        connection=chosen.connection,
        model=chosen.model or chosen.deployment_name,
        system_prompt=chosen.system_prompt,
        prompt_template=chosen.prompt_template,
        options=read_options(chosen.options),
        context=tuple(context) if isinstance(context, list) else context,
        temperature=chosen.temperature,
        max_completion_tokens=chosen.max_completion_tokens,
        on_disconnect=chosen.on_disconnect or "finish",
    )


def without_prompt[T: Chosen](chosen: T) -> T:
    """For a turn of results: without what goes into a prompt, as there is none."""
    return msgspec.structs.replace(chosen, prompt_template=None, context=None)


def check_one_each(results: Sequence[ToolResult], field: str) -> None:
    """Raises `InvalidRequest` where a call has two results."""
    seen: set[str] = set()
    for result in results:
        if result.id in seen:
            raise InvalidRequest(
                f"{field} must hold one result for each call: {result.id[:MAX_SHOWN]!r} has two.",
                field=field,
            )
        seen.add(result.id)
