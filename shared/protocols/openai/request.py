"""The body of `POST /api/v1/chat/completions`, by OpenAI's and by Mistral's names.

https://platform.openai.com/docs/api-reference/chat/create
https://docs.mistral.ai/api/endpoint/chat
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from shared.errors import InvalidRequest
from shared.messages import ID_PATTERN, ChatRequest, Identifier, ToolResult, WholeOptions
from shared.protocols.decoding import convert, decode
from shared.protocols.openai.messages import (
    AnyMessage,
    DeveloperMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
    check_calls,
    has_images,
    said_in,
    sent,
)

CONVERSATION_HEADER = "x-conversation-id"
KEY_HEADER = "idempotency-key"
CONVERSATION_FIELD = "metadata.conversation_id"

TOOL_CHOICES = {"none": "none", "auto": "auto", "required": "required", "any": "required"}
"""What may be said instead of a named function, and its standard form: `any` is Mistral's."""

_MUST_BE = {
    "role": "must be system, developer, user, assistant or tool",
    "type": "is none that is taken here: content parts are text, and for users also image_url",
}
_OLD = {"functions": "tools", "function_call": "tool_choice"}
_OPTIONS = tuple(field.name for field in msgspec.structs.fields(WholeOptions))
_PIECES = ("n", "logprobs")


class StreamOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`include_obfuscation` is known, and nothing is obfuscated."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CompletionBody(WholeOptions, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Every field of the body: those of `WholeOptions`, and these. `null` means absent."""

    messages: Annotated[list[AnyMessage], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None
    store: bool | None = None


class Completion(Struct, frozen=True, kw_only=True):
    """What was asked, but for who is to answer; and how it is to be told."""

    request: ChatRequest
    model: str | None
    """As the caller names it."""
    stream: bool
    include_usage: bool

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        options = self.request.options
        n = options.n if isinstance(options, WholeOptions) else UNSET
        return 1 if n is UNSET else n


def parse(body: bytes, headers: Mapping[str, str]) -> Completion:
    """Raises `InvalidRequest` that names the field, what is wrong with it and what is right.

    Headers (in lower case): `x-conversation-id`, and `idempotency-key`, which is the turn's id
    where there is a conversation and means nothing where there is none.
    """
    given = {
        name: value for name, value in decode(body, dict[str, Any]).items() if value is not None
    }
    for name, instead in _OLD.items():
        if name in given:
            raise InvalidRequest(f"{name} is not taken any more: send {instead}.", field=name)
    if not given.get("messages"):
        raise InvalidRequest("messages must hold at least one message.", field="messages")
    asked = convert(given, CompletionBody, _MUST_BE)
    conversation, metadata = _conversation(asked.metadata, headers.get(CONVERSATION_HEADER))
    options = _options(asked, metadata)
    pieces = options is not None and (options.n is not UNSET or options.logprobs is not UNSET)
    if pieces and conversation is not None:
        field = next(name for name in _PIECES if getattr(options, name) is not UNSET)
        raise InvalidRequest(
            f"{field} cannot go with a conversation, which keeps one answer: leave one out.",
            field=field,
        )
    request = _asked(asked.messages, conversation, headers.get(KEY_HEADER))
    stream = asked.stream_options
    return Completion(
        request=msgspec.structs.replace(
            request,
            pieces=pieces,
            system_prompt=_system_prompt(asked.messages),
            options=options,
            temperature=asked.temperature,
            max_completion_tokens=_limit(asked),
        ),
        model=asked.model,
        stream=asked.stream,
        include_usage=stream is not None and stream.include_usage is True,
    )


def turn_id(key: str) -> str:
    """The turn's id that an idempotency key stands for; a key of another form is hashed to one."""
    if re.match(ID_PATTERN, key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _conversation(
    metadata: dict[str, Any] | UnsetType, header: str | None
) -> tuple[str | None, dict[str, Any] | UnsetType]:
    """The conversation that is named, and the metadata that is not ours."""
    rest = {} if metadata is UNSET else dict(metadata)
    named = rest.pop("conversation_id", None)
    if named is not None:
        try:
            msgspec.convert(named, Identifier)
        except msgspec.ValidationError as exc:
            raise _no_identifier(CONVERSATION_FIELD) from exc
    if header is not None and not re.match(ID_PATTERN, header):
        raise _no_identifier(CONVERSATION_HEADER)
    if named is not None and header is not None and named != header:
        raise InvalidRequest(
            f"{CONVERSATION_FIELD} and the header {CONVERSATION_HEADER} name different "
            "conversations: send one of them.",
            field=CONVERSATION_FIELD,
        )
    return named or header, rest or UNSET


def _no_identifier(field: str) -> InvalidRequest:
    return InvalidRequest(f"{field} must be 1 to 64 letters, digits, - or _.", field=field)


def _options(asked: CompletionBody, metadata: dict[str, Any] | UnsetType) -> WholeOptions | None:
    """The options that were given. One answer without log probabilities is what there is anyway."""
    given = {name: getattr(asked, name) for name in _OPTIONS}
    given["metadata"] = metadata
    if given["n"] == 1:
        given["n"] = UNSET
    if given["logprobs"] is False:
        given["logprobs"] = UNSET
    if given["top_logprobs"] is not UNSET and given["logprobs"] is UNSET:
        raise InvalidRequest("top_logprobs needs logprobs: true.", field="top_logprobs")
    if isinstance(choice := given["tool_choice"], str):
        if choice not in TOOL_CHOICES:
            raise InvalidRequest(
                f"tool_choice must be one of {', '.join(TOOL_CHOICES)}, or name a function.",
                field="tool_choice",
            )
        given["tool_choice"] = TOOL_CHOICES[choice]
    given = {name: value for name, value in given.items() if value is not UNSET}
    return WholeOptions(**given) if given else None


def _limit(asked: CompletionBody) -> int | None:
    old, new = asked.max_tokens, asked.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            "max_tokens is another name for max_completion_tokens: send one of them.",
            field="max_tokens",
        )
    return new if new is not None else old


def _system_prompt(messages: Sequence[AnyMessage]) -> str | None:
    """All that system and developer messages say, wherever they stand."""
    said = [
        said_in(message.content)
        for message in messages
        if isinstance(message, SystemMessage | DeveloperMessage)
    ]
    return "\n\n".join(said) if said else None


def _asked(
    messages: Sequence[AnyMessage], conversation: str | None, key: str | None
) -> ChatRequest:
    """The question, with all that comes before it where there is no history to know it."""
    at = [
        index
        for index, message in enumerate(messages)
        if not isinstance(message, SystemMessage | DeveloperMessage)
    ]
    if not at:
        raise InvalidRequest(
            "messages must hold the user's question: system and developer messages alone ask "
            "nothing.",
            field="messages",
        )
    spoken = [messages[index] for index in at]
    last, field = spoken[-1], f"messages[{at[-1]}]"
    question = said_in(last.content) if isinstance(last, UserMessage) else None
    shown = isinstance(last, UserMessage) and has_images(last.content)
    if question is not None and not question.strip() and not shown:
        raise InvalidRequest(f"{field}.content must not be blank.", field=f"{field}.content")
    if conversation is None:
        check_calls(messages)
        if not isinstance(last, UserMessage | ToolMessage):
            raise InvalidRequest(
                f"{field} must be the user's question, or what a tool gave: it is the last, and "
                "nothing else can be answered.",
                field=field,
            )
        brought = tuple(sent(message) for message in spoken)
        return ChatRequest(user_prompt=question or "", messages=brought, store=False)
    turn = turn_id(key) if key else None
    if question is not None and not shown:
        return ChatRequest(user_prompt=question, conversation_id=conversation, turn_id=turn)
    if isinstance(last, ToolMessage):
        return ChatRequest(
            user_prompt="",
            tool_results=_results(spoken),
            conversation_id=conversation,
            turn_id=turn,
        )
    raise InvalidRequest(
        "With a conversation the last message must be the user's text, or the results of the "
        "tools that the last turn called: what comes before is read from the history.",
        field=field,
    )


def _results(spoken: Sequence[AnyMessage]) -> tuple[ToolResult, ...]:
    """The tool messages at the end, in their order."""
    results: list[ToolResult] = []
    for message in reversed(spoken):
        if not isinstance(message, ToolMessage):
            break
        content = said_in(message.content)
        results.append(ToolResult(id=message.tool_call_id, content=content))
    return tuple(reversed(results))
