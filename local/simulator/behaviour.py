"""What the simulator can be asked to do: one struct for each kind of behaviour.

The same values come as directives in a message and as JSON through the control API; the member
`kind` says which it is. `after` counts chunks of content; where the answer is shorter, the end of
its content counts. Times are in milliseconds.
"""

from typing import Annotated, Any, Literal, get_args

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=3_600_000)]
Category = Literal[
    "hate",
    "self_harm",
    "sexual",
    "violence",
    "profanity",
    "jailbreak",
    "indirect_attack",
    "protected_material_text",
    "protected_material_code",
]
Jitter = Literal["none", "uniform", "exponential"]
Status = Annotated[int, msgspec.Meta(ge=400, le=599)]


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class Say(_Base, frozen=True, tag="say"):
    """Answer exactly this text."""

    text: str


class Repeat(_Base, frozen=True, tag="repeat"):
    """Answer a text over and over; each time is one chunk."""

    n: Count
    text: str = "x "


class Tokens(_Base, frozen=True, tag="tokens"):
    """Answer exactly n tokens, at moments that are random unless `jitter` says otherwise."""

    n: Count
    ms: Milliseconds | None = None
    jitter: Jitter = "exponential"


class Echo(_Base, frozen=True, tag="echo"):
    """Answer the messages that arrived, as JSON: `[{"role", "content"}]`."""


class Tool(_Base, frozen=True, tag="tool"):
    """Call a function, where the request offers tools; `arguments` is JSON text.

    `bare`, in Mistral's form only: without an id, and with the arguments as an object.
    """

    name: str
    arguments: str = "{}"
    bare: bool = False


class Reasoning(_Base, frozen=True, tag="reasoning"):
    """Send this text as `reasoning_content` before the answer."""

    text: str


class Pace(_Base, frozen=True, tag="pace"):
    """Leave this much time between chunks, on average."""

    ms: Milliseconds
    jitter: Jitter = "uniform"


class Slow(_Base, frozen=True, tag="slow"):
    """Be silent before the response headers, or between them and the first token."""

    first: Milliseconds = 0.0
    headers: Milliseconds = 0.0


class Hold(_Base, frozen=True, tag="hold"):
    """Pause until released; `before` means before the response headers."""

    after: Count = 0
    before: bool = False
    name: str = "hold"


class Stall(_Base, frozen=True, tag="stall"):
    """Be silent for ever with the connection open; `before` as for `hold`."""

    after: Count = 0
    before: bool = False


class Cut(_Base, frozen=True, tag="cut"):
    """Close the connection in mid-body; with `reset` by a TCP reset."""

    after: Count = 0
    reset: bool = False


class End(_Base, frozen=True, tag="end"):
    """End the body properly, but without a finish reason and without `[DONE]`."""

    after: Count = 0


class StreamError(_Base, frozen=True, tag="error"):
    """Send an error inside the 200 and end the body."""

    after: Count = 0
    message: str = "The server had an error while processing your request. Sorry about that!"
    code: str | None = None


class Junk(_Base, frozen=True, tag="junk"):
    """Send one event whose data is not JSON, and go on."""

    after: Count = 0


class FilteredOutput(_Base, frozen=True, tag="filtered_output"):
    """Let the content filter stop the answer, for a category."""

    after: Count = 0
    category: Category = "violence"


class Length(_Base, frozen=True, tag="length"):
    """Stop the answer as if the token limit were reached."""

    after: Count = 0


class StatusCode(_Base, frozen=True, tag="status"):
    """Answer with an error status; `retry_after` is in seconds."""

    code: Status
    retry_after: Annotated[float, msgspec.Meta(ge=0)] | None = None
    retry_after_ms: Milliseconds | None = None


class Html(_Base, frozen=True, tag="html"):
    """Answer with an HTML page, as a gateway does."""

    code: Annotated[int, msgspec.Meta(ge=200, le=599)] = 502


class FilteredPrompt(_Base, frozen=True, tag="filtered_prompt"):
    """Let the content filter refuse the prompt, for a category."""

    category: Category = "violence"


class AsyncFilter(_Base, frozen=True, tag="async_filter"):
    """Send the filter's results in chunks of their own, one of them after the finish reason.

    With a `category` it fires: the last of them stops the answer after so many chunks of content,
    or, `late`, comes when the answer has ended.
    """

    category: Category | None = None
    after: Count = 0
    late: bool = False


class NoUsage(_Base, frozen=True, tag="no_usage"):
    """Leave the usage chunk out, though it was asked for."""


class Crlf(_Base, frozen=True, tag="crlf"):
    """End lines by CR LF."""


class NoSpace(_Base, frozen=True, tag="nospace"):
    """Write `data:` without a space behind it."""


class Split(_Base, frozen=True, tag="split"):
    """Write so many bytes at a time, across events and characters."""

    size: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 1


Interruption = Hold | Stall | Cut | End | StreamError | Junk
Refusal = StatusCode | Html | FilteredPrompt
Behaviour = (
    Say
    | Repeat
    | Tokens
    | Echo
    | Tool
    | Reasoning
    | Pace
    | Slow
    | Hold
    | Stall
    | Cut
    | End
    | StreamError
    | Junk
    | FilteredOutput
    | Length
    | StatusCode
    | Html
    | FilteredPrompt
    | AsyncFilter
    | NoUsage
    | Crlf
    | NoSpace
    | Split
)

# The names of all kinds, as directives and JSON use them.
KINDS = tuple(sorted(str(kind.__struct_config__.tag) for kind in get_args(Behaviour)))


def behaviour_from(value: Any, *, strict: bool = True) -> Behaviour:
    """Make a behaviour from decoded JSON; raises `ValueError` that names what is wrong."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; known are {', '.join(KINDS)}")
    try:
        behaviour: Behaviour = msgspec.convert(value, Behaviour, strict=strict)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc
    if isinstance(behaviour, Tool):
        _check_arguments(behaviour)
    return behaviour


def _check_arguments(tool: Tool) -> None:
    try:
        msgspec.json.decode(tool.arguments, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise ValueError(f"`arguments` of a tool must be a JSON object as text: {exc}") from exc
