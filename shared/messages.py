"""The values that pass between the layers: frozen, and free of HTTP, SDKs and storage."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"
Identifier = Annotated[str, Meta(pattern=ID_PATTERN)]

ResultName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z", max_length=64)]
"""The name under which a caller is given the whole answer."""
RESULT_FIELDS = frozenset(
    {
        "conversationId",
        "turnId",
        "finishReason",
        "usage",
        "citations",
        "retrieval",
        "toolCalls",
        "error",
    }
)
"""Fields of the JSON response beside it; the result cannot have one of these names."""

type FinishReason = Literal[
    "stop",
    "length",
    "content_filter",
    "tool_calls",
    "cancelled",
    "disconnected",
    "incomplete",
    "error",
]
"""How a turn ended: the first four as the model said. `cancelled`: on purpose; `disconnected`:
everybody left; `incomplete`: the model's stream ended without a reason, or the instance died."""


class Caller(Struct, frozen=True):
    """Who the platform says is calling. `owner` is None for an anonymous caller."""

    owner: str | None = None


class ModelService(Struct, frozen=True):
    """Who a model is asked at. `provider`: by the name that OpenTelemetry's conventions give it."""

    provider: str
    address: str
    port: int


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a caller's own `history`."""

    role: Literal["user", "assistant"]
    content: str


class ToolResult(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one of the model's calls gave; `id` is the call's."""

    id: str
    content: str


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One piece of context: a result of a vector search."""

    content: str
    id: str | None = None
    title: str | None = None
    url: str | None = None
    score: float | None = None


type SearchMode = Literal["vector", "text", "hybrid"]
"""By meaning, by words, or by both (reciprocal rank fusion)."""
type FilterValue = str | int | float | bool
type Filter = Mapping[str, FilterValue | tuple[FilterValue, ...]]
"""Every name must have the value, or one of the values, in a document's metadata."""


class Usage(Struct, frozen=True, rename="camel"):
    """Tokens of one turn; `estimated` where the model never said."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool = False


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The further fields of the completions request, by their own names. The list is closed."""

    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    stop: str | list[str] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    random_seed: int | UnsetType = UNSET
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | UnsetType = UNSET
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | UnsetType = UNSET
    response_format: dict[str, Any] | UnsetType = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET
    tool_choice: str | dict[str, Any] | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    prediction: dict[str, Any] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    prompt_mode: str | UnsetType = UNSET
    safe_prompt: bool | UnsetType = UNSET


class WholeOptions(Options, frozen=True, kw_only=True):
    """What only `/api/v1` takes besides."""

    n: Annotated[int, Meta(ge=1, le=4)] | UnsetType = UNSET
    logprobs: bool | UnsetType = UNSET
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | UnsetType = UNSET
    logit_bias: dict[str, float] | UnsetType = UNSET


class ChatRequest(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a caller asks, on any protocol, before any default is applied.

    A turn answers `user_prompt`, or goes on with `tool_results`: then the prompt is empty.
    `messages` are all that a caller without a history brings, but for the system prompt, in the
    field's standard form: sent as they came, instead of the history. The text of the last one,
    where it is the user's, is `user_prompt`, and stands there as rendered. `pieces`: its caller is
    told what the model says, choice by choice (`events.Piece`), not one answer.
    """

    user_prompt: str
    tool_results: tuple[ToolResult, ...] = ()
    messages: tuple[dict[str, Any], ...] | None = None
    pieces: bool = False
    conversation_id: str | None = None
    turn_id: str | None = None
    action: str = "default"
    connection: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    prompt_template: str | None = None
    options: Options | None = None
    history: tuple[Message, ...] | None = None
    context: str | tuple[Document, ...] | None = None
    temperature: float | None = None
    max_completion_tokens: int | None = None
    result_variable_name: str | None = None
    replaces: str | None = None
    store: bool = True
    on_disconnect: Literal["finish", "cancel"] = "finish"

    def digest(self) -> str:
        """SHA-256, in hex, of what was asked: the same for a retry, whatever the protocol."""
        asked = msgspec.to_builtins(self)
        for name in ("conversationId", "turnId", "resultVariableName", "onDisconnect"):
            asked.pop(name, None)
        return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()


class ModelRequest(Struct, frozen=True, kw_only=True):
    """What a model is asked: messages and parameters in the field's standard form.

    `parameters` go by OpenAI's names (`max_completion_tokens`, `seed`, …); those named in
    `chosen` were set by the caller and are never dropped silently. It also names `model` and
    `messages` where they are the caller's.
    """

    model: str
    messages: tuple[dict[str, Any], ...]
    parameters: dict[str, Any]
    chosen: frozenset[str] = frozenset()
    within: float | None = None
    """Seconds within which what fails is told, and so may be tried again; None: as the model's own
    budget says."""
    pieces: bool = False
    """Give what the model says as `events.Piece`, every choice of it, and its `Finish`."""
