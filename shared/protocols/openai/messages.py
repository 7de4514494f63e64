"""The messages of a completions request: checked by role, and as they are sent on."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidRequest

Name = Annotated[str, Meta(max_length=64)]
"""Of who speaks: OpenAI's bound, so that it is no place for a prompt."""


class TextPart(Struct, frozen=True, tag_field="type", tag="text", forbid_unknown_fields=True):
    text: str


class ImageUrl(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    url: str
    detail: str | None = None


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url", forbid_unknown_fields=True):
    image_url: ImageUrl | str
    """Mistral also takes the address alone."""


class RefusalPart(Struct, frozen=True, tag_field="type", tag="refusal", forbid_unknown_fields=True):
    refusal: str


class CalledFunction(Struct, frozen=True):
    name: str
    arguments: str | dict[str, Any]
    """Mistral also takes the object itself."""


class Call(Struct, frozen=True, kw_only=True):
    """One call of an assistant message."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class SystemMessage(
    Struct, frozen=True, tag_field="role", tag="system", forbid_unknown_fields=True
):
    content: str | list[TextPart]
    name: Name | None = None


class DeveloperMessage(
    Struct, frozen=True, tag_field="role", tag="developer", forbid_unknown_fields=True
):
    content: str | list[TextPart]
    name: Name | None = None


class UserMessage(Struct, frozen=True, tag_field="role", tag="user", forbid_unknown_fields=True):
    content: str | list[TextPart | ImagePart]
    name: Name | None = None


class AssistantMessage(Struct, frozen=True, kw_only=True, tag_field="role", tag="assistant"):
    """An answer as a client hands it back.

    Clients leave much in it that is theirs (`parsed`, `annotations`, a call's `index`, what the
    model thought). Only what is named here is sent on, but for the last three.
    """

    content: str | list[TextPart | RefusalPart] | None = None
    tool_calls: list[Call] | None = None
    refusal: str | None = None
    name: Name | None = None
    prefix: bool | None = None
    audio: Any = None
    function_call: Any = None


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool", forbid_unknown_fields=True):
    content: str | list[TextPart]
    tool_call_id: str
    name: str | None = None
    """Not sent on: the call's id says whose result it is."""


type AnyMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
type Content = str | Sequence[TextPart | ImagePart | RefusalPart] | None

_NOT_TAKEN = {
    "prefix": "an answer cannot be begun for the model",
    "audio": "only text is taken",
    "function_call": "send tool_calls",
}


def said_in(content: Content) -> str:
    """The text of a content, parts on lines of their own."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content if isinstance(part, TextPart))


def has_images(content: Content) -> bool:
    return isinstance(content, list) and any(isinstance(part, ImagePart) for part in content)


def sent(message: AnyMessage) -> dict[str, Any]:
    """The message in the field's standard form, without what only its sender needs."""
    match message:
        case AssistantMessage():
            made: dict[str, Any] = {"role": "assistant", "content": _content(message.content)}
            if message.tool_calls:
                made["tool_calls"] = [_call(call) for call in message.tool_calls]
            if message.refusal is not None:
                made["refusal"] = message.refusal
        case ToolMessage():
            return {
                "role": "tool",
                "tool_call_id": message.tool_call_id,
                "content": _content(message.content),
            }
        case _:
            role = type(message).__struct_config__.tag
            made = {"role": role, "content": _content(message.content)}
    if message.name is not None:
        made["name"] = message.name
    return made


def check_calls(messages: Sequence[AnyMessage]) -> None:
    """Raises `InvalidRequest` unless every call has its result, right behind it, and nothing else.

    Nor is anything taken that would be lost: an answer without content, or with a member that no
    connection sends.
    """
    waiting: Counter[str] = Counter()
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                raise InvalidRequest(
                    f"{at}.tool_call_id must be the id of a call in the assistant message before "
                    "it, which no other message answers.",
                    field=f"{at}.tool_call_id",
                )
            waiting[message.tool_call_id] -= 1
            if not waiting[message.tool_call_id]:
                del waiting[message.tool_call_id]
            continue
        _check_answered(waiting, index)
        if isinstance(message, AssistantMessage):
            _check_answer(message, at)
            waiting = Counter(call.id for call in message.tool_calls or ())
    _check_answered(waiting, len(messages))


def _check_answered(waiting: Counter[str], index: int) -> None:
    if waiting:
        raise InvalidRequest(
            f"messages[{index}] must be a tool message: an assistant message's tool_calls are "
            "followed by one result each, and there is none yet for "
            f"{', '.join(waiting.elements())[:200]}.",
            field="messages",
        )


def _check_answer(message: AssistantMessage, at: str) -> None:
    for name, why in _NOT_TAKEN.items():
        if getattr(message, name):
            raise InvalidRequest(f"{at}.{name} is not taken: {why}.", field=f"{at}.{name}")
    if message.content is None and not message.tool_calls and message.refusal is None:
        raise InvalidRequest(f"{at} must have content or tool_calls.", field=f"{at}.content")


def _content(content: Content) -> Any:
    if content is None or isinstance(content, str):
        return content
    return [_part(part) for part in content]


def _part(part: TextPart | ImagePart | RefusalPart) -> Any:
    if isinstance(part, ImagePart) and isinstance(part.image_url, str):
        return {"type": "image_url", "image_url": {"url": part.image_url}}
    return msgspec.to_builtins(part)


def _call(call: Call) -> dict[str, Any]:
    arguments = call.function.arguments
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.function.name, "arguments": arguments},
    }
