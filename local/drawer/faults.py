"""The catalogue: every fault that the drawer can arm for the next question.

Titles and sentences are shown on the page: they say what will be seen there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from local.simulator.behaviour import (
    AsyncFilter,
    Behaviour,
    Crlf,
    Cut,
    Echo,
    End,
    FilteredOutput,
    FilteredPrompt,
    Hold,
    Html,
    Junk,
    Length,
    NoSpace,
    NoUsage,
    Pace,
    Reasoning,
    Repeat,
    Say,
    Slow,
    Split,
    Stall,
    StatusCode,
    StreamError,
    Tokens,
    Tool,
)

type Group = Literal["When it says it", "How it breaks off", "What it refuses", "How it writes"]

_PACE: Final = "When it says it"
_BREAK: Final = "How it breaks off"
_REFUSE: Final = "What it refuses"
_WRITE: Final = "How it writes"

NO_FAULTS: Final[Mapping[type, str]] = {
    Say: "chooses the answer's text",
    Repeat: "chooses the answer's text",
    Tokens: "chooses the answer's length and pace",
    Echo: "chooses the answer's text; the drawer shows the messages anyway",
    Reasoning: "adds thoughts, as some models do",
    Tool: "answers tools that the request offers, and the page offers none",
}
"""Kinds of behaviour that are not in the catalogue, and why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `name` is its own, `about` one sentence on what will be seen."""

    name: str
    group: Group
    title: str
    about: str
    behaviour: Behaviour


FAULTS: Final = (
    Fault("pace", _PACE, "Slow words", "The words come a quarter of a second apart.", Pace(ms=250)),
    Fault(
        "slow-first",
        _PACE,
        "8 s of silence first",
        "The answer begins after 5 s without a word; the words follow 3 s later.",
        Slow(first=8000),
    ),
    Fault(
        "slow-headers",
        _PACE,
        "8 s until it answers at all",
        "The same on the page: the backend waits for the model's headers, too.",
        Slow(headers=8000),
    ),
    Fault(
        "hold",
        _PACE,
        "Hold after 8 tokens",
        "The answer stands still until you let it go on.",
        Hold(after=8),
    ),
    Fault(
        "hold-before",
        _PACE,
        "Hold before the first token",
        "No word comes until you let it go on.",
        Hold(before=True),
    ),
    Fault(
        "stall",
        _PACE,
        "Stall after 8 tokens",
        "The answer stands still, and ends with an error after 180 s; Stop ends it now.",
        Stall(after=8),
    ),
    Fault(
        "stall-before",
        _PACE,
        "Stall before the first token",
        "No word comes, and after 180 s an error; Stop ends it now.",
        Stall(before=True),
    ),
    Fault(
        "cut",
        _BREAK,
        "Cut after 12 tokens",
        "The answer keeps its 12 tokens, says that it broke off, and can be asked again.",
        Cut(after=12),
    ),
    Fault(
        "cut-reset",
        _BREAK,
        "Reset after 12 tokens",
        "The same by a TCP reset, which may lose the last tokens.",
        Cut(after=12, reset=True),
    ),
    Fault(
        "end",
        _BREAK,
        "End without a reason after 12 tokens",
        "The same again: a proper end that says no reason counts as broken off.",
        End(after=12),
    ),
    Fault(
        "error",
        _BREAK,
        "Error inside the answer after 12 tokens",
        "The answer keeps its 12 tokens; below them it says that the model reported an error.",
        StreamError(after=12),
    ),
    Fault(
        "junk",
        _BREAK,
        "Junk after 12 tokens",
        "The answer keeps its 12 tokens; below them it says that what followed was no JSON.",
        Junk(after=12),
    ),
    Fault(
        "filtered-output",
        _BREAK,
        "Content filter after 10 tokens",
        "The answer stops there and says that the content filter did it.",
        FilteredOutput(after=10),
    ),
    Fault(
        "length",
        _BREAK,
        "Length limit after 10 tokens",
        "The answer stops there and says that it reached its limit.",
        Length(after=10),
    ),
    Fault(
        "busy",
        _REFUSE,
        "429, free again in 3 s",
        "The answer comes 3 s late: the backend waits as told and asks again.",
        StatusCode(code=429, retry_after=3),
    ),
    Fault(
        "busy-long",
        _REFUSE,
        "429, free again in 20 s",
        "The question is refused, and the button to try again counts 20 s down.",
        StatusCode(code=429, retry_after=20),
    ),
    Fault(
        "status-500",
        _REFUSE,
        "500, once",
        "Nothing is seen: the backend asks again, and the answer comes.",
        StatusCode(code=500, retry_after=0),
    ),
    Fault(
        "status-503",
        _REFUSE,
        "503, back in 20 s",
        "The question is refused at once: the backend does not wait that long.",
        StatusCode(code=503, retry_after=20),
    ),
    Fault(
        "html-502",
        _REFUSE,
        "A gateway's 502 page, once",
        "Nothing is seen: the backend asks again, and the answer comes.",
        Html(code=502),
    ),
    Fault(
        "html-200",
        _REFUSE,
        "An HTML page with status 200",
        "The question is refused: what came is no stream, and the endpoint may be wrong.",
        Html(code=200),
    ),
    Fault(
        "filtered-prompt",
        _REFUSE,
        "Content filter refuses the question",
        "The question is refused and goes back into the box.",
        FilteredPrompt(),
    ),
    Fault(
        "no-usage",
        _WRITE,
        "No usage",
        "The answer's tokens are an estimate, and say so.",
        NoUsage(),
    ),
    Fault(
        "async-filter",
        _WRITE,
        "Filter results in chunks of their own",
        "Nothing is seen: those chunks hold no text.",
        AsyncFilter(),
    ),
    Fault(
        "split",
        _WRITE,
        "One byte at a time",
        "Nothing is seen: events and letters are put together again.",
        Split(size=1),
    ),
    Fault(
        "crlf",
        _WRITE,
        "CR LF line ends",
        "Nothing is seen: both kinds of line ends are read.",
        Crlf(),
    ),
    Fault(
        "no-space",
        _WRITE,
        "No space after data:",
        "Nothing is seen: the space is optional.",
        NoSpace(),
    ),
)

BY_NAME: Final[Mapping[str, Fault]] = {fault.name: fault for fault in FAULTS}


def fault_of(behaviours: tuple[Behaviour, ...]) -> Fault | None:
    """The fault that the simulator's script holds; None: somebody else has queued that."""
    found = (fault for fault in FAULTS if behaviours == (fault.behaviour,))
    return next(found, None)
