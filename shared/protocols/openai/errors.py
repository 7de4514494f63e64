"""Errors as OpenAI tells them: `{"error": {"message", "type", "param", "code"}}`.

The status makes the class of the exception in OpenAI's and Mistral's SDKs. They ask again by
themselves after 408, 409, 429 and 5xx, unless `x-should-retry` says `false`.
https://platform.openai.com/docs/guides/error-codes
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from shared.errors import (
    ChatError,
    FieldLocked,
    InternalError,
    InvalidRequest,
    ModelUnavailable,
    NotFound,
    PayloadTooLarge,
    UnknownModel,
)
from shared.events import End, Error
from shared.messages import FinishReason

MODEL_NOT_FOUND: Final = "model_not_found"

_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_NAMES: Final = {
    "maxCompletionTokens": "max_completion_tokens",
    "systemPrompt": "messages",
    "userPrompt": "messages",
    "toolResults": "messages",
    "conversationId": "metadata.conversation_id",
    "turnId": "Idempotency-Key",
    "action": "model",
    "connection": "model",
    "options": None,
}
"""What callers of this protocol call the contract's fields."""
_LOCKED: Final = {
    "systemPrompt": "It is what system and developer messages say.",
    "options": "They are all fields but model, messages, stream, temperature and the limit of "
    "tokens.",
}
"""What a caller of this protocol has to know of a field that is not open."""


class Ended(NamedTuple):
    """How a turn without an end of the model's is told."""

    status: int
    message: str


_ENDED: Final[Mapping[FinishReason, Ended]] = {
    "cancelled": Ended(409, "The answer was stopped."),
    "disconnected": Ended(409, "Nobody was listening any more."),
    "incomplete": Ended(ModelUnavailable.status, "The answer broke off."),
    "error": Ended(InternalError.status, "Something went wrong."),
}


class Refusal(NamedTuple):
    """An error before a response began."""

    status: int
    body: bytes
    headers: dict[str, str]


def refusal(error: ChatError) -> Refusal:
    """How an error is told that has a status."""
    code, status = error.code, error.status
    field = error.problems[0].field if error.problems else None
    if field == "model" and isinstance(error, UnknownModel | NotFound):
        code, status = MODEL_NOT_FOUND, NotFound.status
    name = _name(field)
    message = error.message
    if isinstance(error, FieldLocked):
        message = " ".join(filter(None, (message, _LOCKED.get(field or ""))))
    elif field and name and isinstance(error, InvalidRequest | PayloadTooLarge):
        message = message.replace(field, name)
    asked_again = status == 409 or status >= 500
    headers = {"x-should-retry": "false"} if asked_again and not error.retryable else {}
    return Refusal(status, _body(message, status, name, code), headers)


def told(end: End, error: Error | None, *, said: bool = False) -> tuple[int, bytes] | None:
    """Status and body of a turn that ended otherwise than by the model's own end; None: it did.

    An answer that the content filter stopped is one, as far as it came; nothing at all is none.
    `said`: there is one by pieces, of which the end has no text.
    """
    if end.finish_reason == "content_filter" and (said or end.text):
        return None
    if error is not None:
        status = _STATUSES.get(error.code, InternalError.status)
        return status, _body(error.message, status, None, error.code)
    ended = _ENDED.get(end.finish_reason)
    if ended is None:
        return None
    return ended.status, _body(ended.message, ended.status, None, end.finish_reason)


def _name(field: str | None) -> str | None:
    if field is None:
        return None
    return _NAMES.get(field, field.removeprefix("options."))


def _body(message: str, status: int, param: str | None, code: str) -> bytes:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return msgspec.json.encode({"error": error})


def _statuses(root: type[ChatError]) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind in root.__subclasses__():
        found |= {kind.code: kind.status} | _statuses(kind)
    return found


_STATUSES: Final[Mapping[str, int]] = _statuses(ChatError)
