"""Everything that can go wrong, as callers are told it.

    ChatError
    ├── InvalidRequest            400 invalid_request
    │   ├── UnknownModel          the same
    │   ├── ContentFiltered       400 content_filtered
    │   └── ContextLengthExceeded 400 context_length_exceeded
    ├── Unauthenticated           401 unauthenticated
    ├── FieldLocked               403 field_locked
    ├── NotFound                  404 not_found
    ├── NotAcceptable             406 not_acceptable
    ├── ConversationBusy          409 conversation_busy
    ├── TurnMismatch              409 turn_mismatch
    ├── PayloadTooLarge           413 payload_too_large
    ├── UnsupportedMediaType      415 unsupported_media_type
    ├── RateLimited               429 rate_limited
    ├── Overloaded                429 overloaded
    ├── Misconfigured             500 misconfigured
    ├── InternalError             500 internal_error
    ├── ModelRefused              502 model_refused
    ├── ModelUnavailable          503 model_unavailable
    │   └── ModelBrokeOff         the same
    ├── StoreUnavailable          503 store_unavailable
    ├── RetrievalUnavailable      503 retrieval_unavailable
    └── ModelTimeout              504 model_timeout

A message is safe to show: it never holds a key, a token, a stack trace or an upstream body.
Vendor errors become one of these at one boundary each (`models`, `history`,
`retrieval`, `identity`).
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request, and what would be right."""

    field: str
    message: str


class ChatError(Exception):
    """The root: a stable code, the HTTP status it has before a response begins, a safe message."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    retryable: ClassVar[bool] = False
    """Whether asking again, as a new turn, may help."""

    def __init__(
        self, message: str, *, field: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problems: tuple[FieldProblem, ...] = (
            (FieldProblem(field, message),) if field is not None else ()
        )
        self.retry_after = retry_after
        """Seconds, for the header `Retry-After`."""


class InvalidRequest(ChatError):
    code, status, title = "invalid_request", 400, "The request is not valid"


class UnknownModel(InvalidRequest):
    """The service knows no model of the name that the caller gave."""


class ContentFiltered(InvalidRequest):
    code, title = "content_filtered", "The content filter refused the prompt"


class ContextLengthExceeded(InvalidRequest):
    code, title = "context_length_exceeded", "The prompt is longer than the model can read"


class Unauthenticated(ChatError):
    code, status, title = "unauthenticated", 401, "Sign in first"


class FieldLocked(ChatError):
    code, status, title = "field_locked", 403, "The action does not let callers set this field"


class NotFound(ChatError):
    code, status, title = "not_found", 404, "Not found"


class NotAcceptable(ChatError):
    code, status, title = "not_acceptable", 406, "No such response format"


class ConversationBusy(ChatError):
    """Another turn of the conversation runs; `turn_id` says which."""

    code, status, title = "conversation_busy", 409, "Another turn of the conversation is running"
    retryable = True

    def __init__(self, turn_id: str) -> None:
        super().__init__(
            f"Turn {turn_id} is still running: wait for its end, or stop it.", retry_after=2
        )
        self.turn_id = turn_id


class TurnMismatch(ChatError):
    code, status, title = "turn_mismatch", 409, "The turn does not match"


class PayloadTooLarge(ChatError):
    code, status, title = "payload_too_large", 413, "Too large"


class UnsupportedMediaType(ChatError):
    code, status, title = "unsupported_media_type", 415, "The body must be JSON"


class RateLimited(ChatError):
    code, status, title = "rate_limited", 429, "Too many requests"
    retryable = True


class Overloaded(ChatError):
    code, status, title = "overloaded", 429, "This instance is full"
    retryable = True


class Misconfigured(ChatError):
    """A setting is wrong or missing; the message names it and says what it must be."""

    code, status, title = "misconfigured", 500, "The app is not set up"


class InternalError(ChatError):
    code, status, title = "internal_error", 500, "Something went wrong in the backend"
    retryable = True


class ModelRefused(ChatError):
    """The model service refused the app itself: key, role or deployment."""

    code, status, title = "model_refused", 502, "The model service refused the app"


class ModelUnavailable(ChatError):
    code, status, title = "model_unavailable", 503, "The model does not answer"
    retryable = True


class ModelBrokeOff(ModelUnavailable):
    """The connection was lost in mid-stream; once a response has begun, its end is `incomplete`."""


class StoreUnavailable(ChatError):
    code, status, title = "store_unavailable", 503, "The history cannot be reached"
    retryable = True


class RetrievalUnavailable(ChatError):
    code, status, title = "retrieval_unavailable", 503, "The documents cannot be searched"
    retryable = True


class ModelTimeout(ChatError):
    code, status, title = "model_timeout", 504, "The model was silent for too long"
    retryable = True
