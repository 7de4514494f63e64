"""The body of `POST /api/ai-chat` and of its stream."""

from typing import Any

from msgspec import Struct

from shared.errors import InvalidRequest
from shared.messages import ChatRequest, Identifier
from shared.protocols.chosen import Chosen, request_of
from shared.protocols.decoding import decode, read_value


class AiChatMessage(Struct):
    """One message. All but the last are what the client believes to have been said."""

    role: str
    content: str
    context: dict[str, Any] | None = None
    files: list[Any] | None = None


class SessionState(Struct, rename="camel", forbid_unknown_fields=True):
    """What carries the conversation: made here, and opaque to the client."""

    conversation_id: Identifier


class AiChatBody(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Every field of the body. `null` means absent."""

    messages: list[AiChatMessage] | None = None
    context: dict[str, Any] | None = None
    session_state: Any = None


def parse(body: bytes) -> ChatRequest:
    """The last message is what is asked. Raises `InvalidRequest` that names the field."""
    given = decode(body, AiChatBody)
    return request_of(
        read_value(given.context or {}, Chosen, "context"),
        conversation_id=_conversation(given.session_state),
        turn_id=None,
        user_prompt=_prompt(given.messages),
        parent="context",
    )


def _prompt(messages: list[AiChatMessage] | None) -> str:
    if not messages:
        raise InvalidRequest("messages must not be empty.", field="messages")
    field, last = f"messages[{len(messages) - 1}]", messages[-1]
    if last.role != "user":
        raise InvalidRequest(
            f"{field}.role must be user: the last message is what is asked.", field=f"{field}.role"
        )
    if last.files:
        raise InvalidRequest(
            f"{field}.files: no files are taken; send text only.", field=f"{field}.files"
        )
    if last.context:
        raise InvalidRequest(
            f"{field}.context has no meaning: what you choose goes into the request's context.",
            field=f"{field}.context",
        )
    if not last.content.strip():
        raise InvalidRequest(f"{field}.content must not be blank.", field=f"{field}.content")
    return last.content


def _conversation(session_state: Any) -> str | None:
    if session_state is None:
        return None
    return read_value(session_state, SessionState, "sessionState").conversation_id
