"""The body of `POST /api/ui-chat`, as `useChat` posts it."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidRequest
from shared.messages import ID_PATTERN, ChatRequest, ToolResult
from shared.protocols.chosen import Chosen, check_one_each, request_of, without_prompt
from shared.protocols.decoding import decode
from shared.protocols.ui_messages.ids import derived, turn_of, turn_of_answer

_KINDS_LEFT_OUT = ("data-",)
"""Parts of a question that are for the page alone."""


class UiMessage(Struct):
    """One message. All but the last are what the page believes to have been said."""

    id: Annotated[str, Meta(min_length=1)]
    role: str
    parts: list[dict[str, Any]]


class UiChatBody(Chosen, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every field of the body: what `useChat` sends, and beside it what its page chooses.

    `null` means absent. `message` stands for `messages` where a page sends only the last one.
    """

    id: str = ""
    messages: list[UiMessage] | None = None
    message: UiMessage | None = None
    trigger: Literal["submit-message", "regenerate-message"] | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class UiChat:
    """What is asked: a turn under its id, or one in the place of another.

    `again` None: a turn as any other. Else the conversation has to say which turn it replaces.
    `continues`: the id of the message that the answer goes on with.
    """

    request: ChatRequest
    again: "Again | None" = None
    continues: str | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """A question is asked once more: `asked` is the turn that its message asked at first.

    `named`: the turn whose answer is to be made anew, where the client says so. `edited`: it is not
    the same question, so that whoever asks the same means the same turn.
    """

    asked: str
    named: str | None
    edited: bool

    def instead_of(self, request: ChatRequest, replaced: str) -> ChatRequest:
        """The request for the turn in the place of `replaced`; the same ids for a retry."""
        changes = {"turn_id": derived("again", self.asked, replaced), "replaces": replaced}
        return msgspec.structs.replace(request, **changes)


def parse(body: bytes) -> UiChat:
    """Raises `InvalidRequest` that names the field, what is wrong with it and what is right."""
    given = decode(body, UiChatBody)
    if not re.match(ID_PATTERN, given.id):
        raise InvalidRequest("id must be 1 to 64 letters, digits, - or _.", field="id")
    field, last = _last(given)
    if last.role not in ("user", "assistant"):
        raise InvalidRequest(f"{field}.role must be user or assistant.", field=f"{field}.role")
    if last.role == "assistant":
        return UiChat(_continued(given, last, field), continues=last.id)
    asked = turn_of(last.id)
    request = request_of(
        given, conversation_id=given.id, turn_id=asked, user_prompt=_prompt(last, field)
    )
    named = given.message_id
    if given.trigger == "regenerate-message":
        answered = None if named is None else turn_of_answer(named)
        return UiChat(request, Again(asked, answered, edited=False))
    if named is not None and named == last.id:
        return UiChat(request, Again(asked, None, edited=True))
    return UiChat(request)


def _last(given: UiChatBody) -> tuple[str, UiMessage]:
    """What is asked, and the name of its field."""
    if given.message is not None:
        if given.messages is not None:
            raise InvalidRequest("Send messages or message, not both.", field="message")
        return "message", given.message
    if not given.messages:
        raise InvalidRequest("messages must not be empty.", field="messages")
    return f"messages[{len(given.messages) - 1}]", given.messages[-1]


def _prompt(message: UiMessage, field: str) -> str:
    texts: list[str] = []
    for number, part in enumerate(message.parts):
        kind, name = part.get("type"), f"{field}.parts[{number}]"
        if kind == "text":
            text = part.get("text")
            if not isinstance(text, str):
                raise InvalidRequest(f"{name}.text must be a text.", field=f"{name}.text")
            texts.append(text)
        elif kind == "file":
            raise InvalidRequest(f"{name}: no files are taken; send text only.", field=name)
        elif not (isinstance(kind, str) and kind.startswith(_KINDS_LEFT_OUT)):
            raise InvalidRequest(
                f"{name}.type must be text: a question is made of text parts.",
                field=f"{name}.type",
            )
    prompt = "\n".join(texts)
    if not prompt.strip():
        raise InvalidRequest(
            f"{field}.parts must have a text, not a blank one.", field=f"{field}.parts"
        )
    return prompt


def _continued(given: UiChatBody, message: UiMessage, field: str) -> ChatRequest:
    """The turn after one that called: it brings what the calls of the message's last step gave."""
    if given.trigger == "regenerate-message":
        raise InvalidRequest(
            f"{field}.role must be user: an answer is made anew from its question.",
            field=f"{field}.role",
        )
    steps = 0
    results: list[ToolResult] = []
    for part in message.parts:
        if part.get("type") == "step-start":
            steps += 1
            results = []
        elif (result := _result(part)) is not None:
            results.append(result)
    if not results:
        raise InvalidRequest(
            f"{field}.parts must have the outputs of tools: an answer alone asks nothing.",
            field=f"{field}.parts",
        )
    check_one_each(results, f"{field}.parts")
    turn_id = derived("results", message.id, steps, *sorted(result.id for result in results))
    # `useChat` posts its transport's whole body each time, also what is for the questions alone.
    return request_of(
        without_prompt(given),
        conversation_id=given.id,
        turn_id=turn_id,
        tool_results=tuple(results),
    )


def _result(part: dict[str, Any]) -> ToolResult | None:
    """What a call gave; None for other parts, and for calls that have given nothing yet."""
    kind, call = part.get("type"), part.get("toolCallId")
    if not isinstance(kind, str) or not isinstance(call, str):
        return None
    if kind != "dynamic-tool" and not kind.startswith("tool-"):
        return None
    match part.get("state"):
        case "output-available":
            output = part.get("output")
            content = output if isinstance(output, str) else msgspec.json.encode(output).decode()
        case "output-error":
            error = part.get("errorText")
            content = msgspec.json.encode({"error": error}).decode()
        case _:
            return None
    return ToolResult(id=call, content=content)
