"""What happens in a turn, as the backend tells it: one JSON object an event (docs/api.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Start:
    """The turn runs."""

    position: str


@dataclass(frozen=True, slots=True)
class Document:
    """Something the answer was given to read."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Citations:
    """What the answer can cite, in the order of its numbers, from 1."""

    position: str
    documents: tuple[Document, ...]
    notes: tuple[str, ...] = ()
    """What there is to say of the search, a sentence each."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the model's reasoning."""

    position: str
    text: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer."""

    position: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asks for; `arguments` is what the model wrote, JSON if all is well."""

    position: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong; an End follows."""

    position: str
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """In tokens; `estimated` where the model did not say."""

    prompt: int
    completion: int
    total: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class End:
    """The last event: why, and the whole text as it is kept, which is what counts."""

    position: str
    reason: str
    text: str
    usage: Usage | None


type Event = Start | Citations | Thought | Delta | ToolCall | Failure | End


def decode(data: str) -> Event | None:
    """The event in `data`, or None for a type of later versions.

    Raises ValueError for what is no event at all.
    """
    try:
        return _event(json.loads(data))
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError("an event lacks something, or is no object") from exc


def _event(raw: Mapping[str, Any]) -> Event | None:
    position = str(raw["position"])
    match raw["type"]:
        case "start":
            return Start(position)
        case "citations":
            return citations(raw["documents"], raw, position)
        case "reasoning":
            return Thought(position, str(raw["text"]))
        case "delta":
            return Delta(position, str(raw["text"]))
        case "tool_call":
            return tool_call(raw, position)
        case "error":
            return failure(raw, position)
        case "end":
            # Its name is the action's, or whoever began the turn chose it.
            text = str(next(iter(raw["result"].values()), None) or "")
            return End(position, str(raw["finishReason"]), text, usage(raw.get("usage")))
    return None


def tool_call(raw: Mapping[str, Any], position: str = "") -> ToolCall:
    """A call, in an event or in a stored message."""
    return ToolCall(position, str(raw["name"]), str(raw["arguments"]))


def failure(raw: Mapping[str, Any] | None, position: str = "") -> Failure | None:
    """What went wrong, where something did: in an event, or in a stored message."""
    if not raw:
        return None
    return Failure(position, str(raw["code"]), str(raw["message"]), bool(raw.get("retryable")))


def document(raw: Mapping[str, Any]) -> Document:
    """A citation's document; it may have no title and no address."""
    return Document(
        title=str(raw.get("title") or raw.get("id") or ""), url=str(raw.get("url") or "")
    )


def citations(documents: Any, retrieval: Mapping[str, Any], position: str = "") -> Citations:
    """What an answer can cite: in an event, which says all, or in a stored message's two parts."""
    left_out = [document(item) for item in retrieval.get("leftOut") or ()]
    names = ", ".join(item.title or item.url or "a document" for item in left_out)
    said = {
        "Answered without documents: ": (retrieval.get("error") or {}).get("message"),
        "Looked for: ": retrieval.get("query"),
        "Found, but no room for: ": names,
    }
    notes = tuple(f"{what}{words}" for what, words in said.items() if words)
    return Citations(position, tuple(map(document, documents)), notes)


def usage(raw: Mapping[str, Any] | None) -> Usage | None:
    """What a turn took, where that is known."""
    if not raw:
        return None
    return Usage(
        prompt=int(raw["promptTokens"]),
        completion=int(raw["completionTokens"]),
        total=int(raw["totalTokens"]),
        estimated=bool(raw.get("estimated")),
    )
