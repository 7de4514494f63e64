"""What happens in a turn: the only thing that models produce and protocols encode.

A stream of events is a sequence of **runs**: neighbouring text events of one kind make one run,
every other event is a run of its own. A `Position` is (run, offset): the runs before it and
`offset` units of it have been seen, where a unit is a code point of text, or the whole of any
other event. Runs do not depend on how text was cut into chunks, so a position means the same on
every instance. `Start` is run 0.
"""

import re
from typing import Any, NamedTuple

from msgspec import Raw, Struct

from shared.messages import Document, FinishReason, ModelService, Usage

_POSITION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})", re.ASCII)


class Position(NamedTuple):
    """How much of a turn has been seen; opaque to callers."""

    run: int
    offset: int

    def __str__(self) -> str:
        return f"{self.run}.{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position | None":
        """The position that `str` made; None where the text is no position."""
        found = _POSITION.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None


BEGINNING = Position(0, 0)


class Start(Struct, frozen=True, tag="start", rename="camel"):
    """The turn has begun. Without a history (`store: false`) the ids are None."""

    conversation_id: str | None
    turn_id: str | None
    action: str
    model: str
    new: bool


class RetrievalFailure(Struct, frozen=True):
    """Why an answer has no documents of its action; `code` and `message` as in `errors`."""

    code: str
    message: str


class Citations(Struct, frozen=True, tag="citations", rename="camel", omit_defaults=True):
    """The documents that the answer may cite, in the order of their numbers; without content."""

    documents: tuple[Document, ...]
    left_out: tuple[Document, ...] = ()
    """Those that the context's token budget had no room for, best first."""
    query: str | None = None
    """What was looked for, where it is not the question as it came."""
    failure: RetrievalFailure | None = None
    """The documents could not be searched, and the action answers all the same."""


class Reasoning(Struct, frozen=True, tag="reasoning"):
    """A piece of what the model thinks aloud."""

    text: str


class Delta(Struct, frozen=True, tag="delta"):
    """A piece of the answer."""

    text: str


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """One complete call that the model wants made; `arguments` is the model's own JSON text."""

    index: int
    id: str
    name: str
    arguments: str


class Piece(Struct, frozen=True, tag="piece"):
    """What one choice of several says, or a choice with log probabilities, as the model said it.

    Only where the request wants `pieces`: such a turn has neither text nor calls of its own, and
    is never stored.
    """

    index: int
    delta: dict[str, Any]
    logprobs: Raw | None = None
    """As JSON on one line: as objects they would take several times the memory."""
    finish_reason: str | None = None


class Error(Struct, frozen=True, tag="error"):
    """What went wrong after the response began; `code` and `message` as in `errors`."""

    code: str
    message: str
    retryable: bool


class End(Struct, frozen=True, tag="end", rename="camel"):
    """The one last event of every turn; `text` is the whole answer."""

    finish_reason: FinishReason
    usage: Usage
    text: str


class Finish(Struct, frozen=True):
    """How the model says that it ended. Internal to a turn: callers see `End`.

    `reason` is one of the four that a model gives. `usage` may come with it, after it, or never.
    """

    reason: FinishReason | None = None
    usage: Usage | None = None
    reasoning_tokens: int = 0
    filtered: tuple[str, ...] = ()
    """The categories of the content filter that fired, where it stopped the answer."""


class Answering(Struct, frozen=True):
    """Another model answers than was asked, as its connection failed. The first event, if any.

    Internal to a turn: callers see it in `Start`.
    """

    model: str
    service: ModelService | None = None


type TextEvent = Reasoning | Delta
type StoredEvent = Citations | Reasoning | Delta | ToolCall | Error
"""What the answer's row keeps; `Start` and `End` are told from its other fields."""
type ShownEvent = StoredEvent | Piece
type ModelEvent = Answering | Reasoning | Delta | ToolCall | Piece | Finish
type Event = Start | ShownEvent | End
