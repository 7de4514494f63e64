"""Finds what to answer: by directive, from the history, the context or the documents."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from local.simulator.behaviour import (
    AsyncFilter,
    Behaviour,
    Echo,
    FilteredOutput,
    Length,
    Reasoning,
    Repeat,
    Say,
    Tokens,
    Tool,
)
from local.simulator.documents import Library, Section, words_of
from local.simulator.models import Model
from local.simulator.requests import ChatCall
from local.simulator.tokens import filler, pieces_of

_ABOUT_HISTORY = re.compile(
    r"\b(?:did|have)\s+i\s+(?:just\s+)?(?:say|said|ask|asked|write|written|tell|told)\b"
    r"|\bmy\s+(?:last|first|previous|earlier)\s+(?:question|message|prompt)s?\b"
    r"|\b(?:i\s+(?:said|asked|told\s+you)|said|asked)\s+(?:before|first|earlier)\b"
    r"|\bdo\s+you\s+remember\b",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"\s*(?:hi|hello|hey|hallo|good\s+(?:morning|day|evening))?\b\W*\Z", re.IGNORECASE
)
_CONTEXT = re.compile(r"\A\s*Context:\s*\n(?P<context>.*)\n\s*\n(?P<question>.+)\Z", re.DOTALL)
_ENTRY = re.compile(r"^\[\d+\][^\n]*", re.MULTILINE)
_REWRITING = re.compile(
    r"\AConversation:\n(?P<said>.*)\n\nNext message:\n(?P<next>.+)\Z", re.DOTALL
)
"""How the backend has a follow-up question rewritten (shared/prompts/rewriting.py)."""
_POINTS_BACK = re.compile(r"\b(?:it|its|that|this|they|them|these|those|there)\b", re.IGNORECASE)
_LONGEST = 900
_THOUGHT = " The user wants an answer, so I look for words that I know and say what I find."


@dataclass(frozen=True)
class ToolCall:
    """A function call; its arguments are JSON text in pieces."""

    name: str
    arguments: tuple[str, ...]
    bare: bool = False


@dataclass(frozen=True)
class Answer:
    """What the model will say: pieces of one token each, unless a directive says otherwise."""

    pieces: Sequence[str]
    finish_reason: str
    reasoning: Sequence[str] = ()
    hidden_tokens: int = 0
    tool_calls: Sequence[ToolCall] = ()

    def completion_tokens(self) -> int:
        """Count everything that was generated."""
        arguments = sum(len(call.arguments) + 1 for call in self.tool_calls)
        return self.reasoning_tokens() + len(self.pieces) + arguments

    def reasoning_tokens(self) -> int:
        """Count what was generated before the answer, seen or not."""
        return self.hidden_tokens + len(self.reasoning)


def answer_to(
    call: ChatCall,
    question: str,
    behaviours: Sequence[Behaviour],
    model: Model,
    library: Library,
) -> Answer:
    """Answer a request whose last user message, without its directives, is the question."""
    tools = _tools(call, behaviours)
    pieces = _scripted(call, behaviours)
    if pieces is None:
        pieces = [] if tools else pieces_of(_formatted(call, _compose(call, question, library)))
    reasoning, hidden = _reasoning(behaviours, model)
    pieces, finish_reason = _stopped(pieces, call.stop, "tool_calls" if tools else "stop")
    answer = Answer(pieces, finish_reason, reasoning, hidden, tools)
    return _scripted_end(_limited(answer, call.limit), behaviours)


def _tools(call: ChatCall, behaviours: Sequence[Behaviour]) -> list[ToolCall]:
    # A tool's result answers the directive; calling again would never end.
    if not call.has_tools or call.messages[-1].role == "tool":
        return []
    return [
        ToolCall(tool.name, tuple(pieces_of(tool.arguments)), tool.bare)
        for tool in behaviours
        if isinstance(tool, Tool)
    ]


def _scripted(call: ChatCall, behaviours: Sequence[Behaviour]) -> list[str] | None:
    for behaviour in reversed(behaviours):
        match behaviour:
            case Say(text=text):
                return pieces_of(text)
            case Repeat(n=n, text=text):
                return [text] * n
            case Tokens(n=n):
                return filler(n)
            case Echo():
                sent = [{"role": m.role, "content": m.content} for m in call.messages]
                return pieces_of(msgspec.json.encode(sent).decode())
    return None


def _reasoning(behaviours: Sequence[Behaviour], model: Model) -> tuple[list[str], int]:
    for behaviour in reversed(behaviours):
        if isinstance(behaviour, Reasoning):
            return pieces_of(behaviour.text), 0
    if model.shows_reasoning:
        return pieces_of(_THOUGHT), 0
    return [], model.reasoning_tokens


def _formatted(call: ChatCall, text: str) -> str:
    """Put the text into an object where the request wants JSON."""
    return msgspec.json.encode({"answer": text}).decode() if call.wants_json else text


def _stopped(pieces: list[str], stop: Sequence[str], reason: str) -> tuple[list[str], str]:
    """Cut the answer before the first stop sequence."""
    if not any(stop):
        return pieces, reason
    text = "".join(pieces)
    ends = [at for at in (text.find(word) for word in stop if word) if at >= 0]
    return (pieces_of(text[: min(ends)]), "stop") if ends else (pieces, reason)


def _limited(answer: Answer, limit: int | None) -> Answer:
    """Cut an answer to a number of tokens; thoughts come first and count."""
    if limit is None or answer.completion_tokens() <= limit:
        return answer
    hidden = min(answer.hidden_tokens, limit)
    reasoning = answer.reasoning[: limit - hidden]
    pieces = answer.pieces[: limit - hidden - len(reasoning)]
    return Answer(pieces, "length", reasoning, hidden)


def _scripted_end(answer: Answer, behaviours: Sequence[Behaviour]) -> Answer:
    for behaviour in behaviours:
        match behaviour:
            case FilteredOutput(after=after) | AsyncFilter(category=str(), after=after, late=False):
                reason = "content_filter"
            case Length(after=after):
                reason = "length"
            case _:
                continue
        return Answer(answer.pieces[:after], reason, answer.reasoning, answer.hidden_tokens)
    return answer


def _compose(call: ChatCall, question: str, library: Library) -> str:
    if call.messages[-1].role == "tool":
        return _from_tools(call)
    if rewriting := _REWRITING.match(question):
        return _rewritten(rewriting["said"], rewriting["next"])
    rendered = _CONTEXT.match(question)
    if rendered:
        found = _from_context(rendered["context"], rendered["question"])
        if found:
            return found
        question = rendered["question"]
    if _ABOUT_HISTORY.search(question):
        return _from_history(call)
    section = library.find(question)
    return _from_section(section) if section else _introduction(call, question, library)


def _rewritten(said: str, question: str) -> str:
    """The question, with what the user asked before where it points back to that."""
    before = [line.removeprefix("User: ") for line in said.splitlines() if line[:6] == "User: "]
    if before and _POINTS_BACK.search(question):
        return f"{question} ({before[-1]})"
    return question


def _from_tools(call: ChatCall) -> str:
    results = []
    for message in reversed(call.messages):
        if message.role != "tool":
            break
        results.append(message.text)
    return "The tools said:\n\n" + "\n".join(_quote(text) for text in reversed(results))


def _from_context(context: str, question: str) -> str | None:
    marks = [match.start() for match in _ENTRY.finditer(context)]
    if marks:
        edges = [*marks, len(context)]
        entries = [context[a:b].strip() for a, b in pairwise(edges)]
    else:
        entries = [part.strip() for part in context.split("\n\n") if part.strip()]
    named = [
        Section(entry.partition("\n")[0] if marks else "the context", "", entry)
        for entry in entries
    ]
    # Who was given numbered documents answers from them, or not at all.
    found = Library(named).find(question, 0.0) if marks else Library(named).find(question)
    if found is None:
        return "The documents that I was given do not say that." if marks else None
    text = found.text.partition("\n")[2].strip() if marks else found.text
    return f"{_shortened(_from_best(text, question))}\n\nThis is from {found.source}."


def _from_best(text: str, question: str) -> str:
    """The text from the paragraph on that has most of the question's words."""
    asked = words_of(question)
    paragraphs = text.split("\n\n")
    shares = [len(asked & words_of(paragraph)) for paragraph in paragraphs]
    best = shares.index(max(shares))
    inside_code = sum(part.count("```") for part in paragraphs[:best]) % 2 == 1
    return text if inside_code else "\n\n".join(paragraphs[best:])


def _from_history(call: ChatCall) -> str:
    said = [m.text for m in call.messages if m.role == "user"][:-1]
    if not said:
        return f"Nothing before this, as far as I can see. {_sent(call)}"
    lines = "\n".join(f"{n}. {_quote(text)}" for n, text in enumerate(said, 1))
    return f"Before this you said:\n\n{lines}\n\n{_sent(call)}"


def _from_section(section: Section) -> str:
    return f"{_shortened(section.text)}\n\nSource: *{section.source}*, “{section.title}”."


def _introduction(call: ChatCall, question: str, library: Library) -> str:
    missed = "" if _GREETING.match(question) else " I found nothing about that."
    titles = library.titles(4)
    examples = " Try one of these: " + ", ".join(f"*{title}*" for title in titles) + "."
    return (
        "Hello! I am a **model simulator**: I stand in for a language model and answer from this "
        f"project's own documents, by simple matching of words.{missed}"
        f"{examples if titles else ''}\n\n{_sent(call)}"
    )


def _sent(call: ChatCall) -> str:
    count = len(call.messages)
    return f"I was sent {count} message{'' if count == 1 else 's'} with this request."


def _quote(text: str) -> str:
    short = text if len(text) <= 300 else text[:299] + "…"
    return "> " + short.replace("\n", "\n> ")


def _shortened(text: str) -> str:
    """Take whole paragraphs up to about a screenful; a code block stays whole."""
    taken: list[str] = []
    for paragraph in text.split("\n\n"):
        inside_code = sum(part.count("```") for part in taken) % 2 == 1
        if taken and not inside_code and sum(map(len, taken)) + len(paragraph) > _LONGEST:
            break
        taken.append(paragraph)
    return "\n\n".join(taken)
