"""Which part of the history a prompt takes: whole turns, newest first, within two bounds.

A turn that brings the results of calls stays with the turn that made them: the two are one chain,
which is taken whole or not at all. Calls that nobody brought the results of are cut out of their
turn, and results whose calls are not there are left out with theirs. The newest chain is always
there: where it begins before what was read, without what its oldest turn answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.events import ToolCall
from shared.messages import FinishReason, ToolResult, Usage
from shared.prompts.tokens import PER_MESSAGE, estimate_tokens

PARTIAL = "\n\n[This answer was interrupted and is incomplete.]"
"""Marks a partial answer, so that the model does not take it for what it meant to say."""
_WHOLE: frozenset[FinishReason] = frozenset({"stop", "tool_calls"})
_CUT = "…"

type Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PastTurn:
    """One turn of the history, as the window sees it."""

    question: str
    answer: str
    finish_reason: FinishReason | None
    usage: Usage | None = None
    reasoning_tokens: int = 0
    results: tuple[ToolResult, ...] = ()
    """Instead of a question: what the calls of the turn before gave."""
    calls: tuple[ToolCall, ...] = ()

    @property
    def whole_answer(self) -> str:
        return self.answer if self.finish_reason in _WHOLE else self.answer + PARTIAL

    @property
    def tokens(self) -> int:
        """The model's own figures for what they cover, a safe estimate for the rest."""
        asked = self.question, *(result.content for result in self.results)
        question = sum(map(estimate_tokens, asked))
        answer = estimate_tokens(self.whole_answer)
        answer += sum(estimate_tokens(call.arguments) for call in self.calls)
        if self.usage and not self.usage.estimated:
            marker = estimate_tokens(self.whole_answer[len(self.answer) :])
            counted = self.usage.completion_tokens - self.reasoning_tokens
            if counted > 0:
                answer = counted + marker
            if self.usage.prompt_tokens > 0:
                question = min(question, self.usage.prompt_tokens)
        return question + answer + (1 + max(1, len(self.results))) * PER_MESSAGE


@dataclass(frozen=True, slots=True)
class _Taken:
    """A turn as it is sent: with its calls only where their results follow."""

    turn: PastTurn
    called: bool
    asked: bool = True
    """Whether what it answers is sent, too."""

    def messages(self) -> Iterator[Message]:
        turn = self.turn
        if self.asked:
            for result in turn.results:
                yield {"role": "tool", "tool_call_id": result.id, "content": result.content}
            if not turn.results:
                yield {"role": "user", "content": turn.question}
        text = turn.whole_answer if turn.answer.strip() or not self.called else None
        message: Message = {"role": "assistant", "content": text}
        if self.called:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in turn.calls
            ]
        yield message


def choose_window(
    turns: Iterable[PastTurn],
    max_messages: int,
    max_tokens: int,
    results: Sequence[ToolResult] = (),
) -> tuple[Message, ...]:
    """The messages that a prompt takes, oldest first, from turns that come newest first.

    `results`: what the prompt itself brings for the calls of the newest turn. Never more than
    `max_messages`, nor `max_tokens` by `PastTurn.tokens`; but the last turn, and what belongs to
    it, is always there, its texts cut at their front if need be.
    """
    chosen: list[list[Message]] = []
    messages_left, tokens_left = max(2, max_messages), max_tokens
    for chain in _chains(turns, {result.id for result in results}):
        messages = [message for taken in reversed(chain) for message in taken.messages()]
        tokens = sum(taken.turn.tokens for taken in chain)
        if not chosen and (len(messages) > messages_left or tokens > tokens_left):
            chosen.append(messages if tokens <= tokens_left else _cut(messages, max_tokens))
            break
        if len(messages) > messages_left or tokens > tokens_left:
            break
        chosen.append(messages)
        messages_left -= len(messages)
        tokens_left -= tokens
    return tuple(message for messages in reversed(chosen) for message in messages)


def _chains(turns: Iterable[PastTurn], wanted: set[str]) -> Iterator[list[_Taken]]:
    """Turns that belong together, newest first, without those that say nothing.

    `wanted`: the calls whose results the chain's oldest turn, or the prompt, brings.
    """
    chain: list[_Taken] = []
    newest = True
    for turn in turns:
        called = bool(wanted) and wanted <= {call.id for call in turn.calls}
        if wanted and not called:
            chain = []  # its results have lost their calls
        # A turn without an answer, or one that the content filter ended, is left out.
        if turn.finish_reason == "content_filter" or not (turn.answer.strip() or called):
            chain, wanted = [], set()
            continue
        chain.append(_Taken(turn, called))
        wanted = {result.id for result in turn.results}
        if not wanted:
            yield chain
            chain, newest = [], False
    if chain and newest:
        # It goes back further than was read: what is there of the last turn is sent all the same.
        yield [*chain[:-1], replace(chain[-1], asked=False)]


def _cut(messages: Sequence[Message], max_tokens: int) -> list[Message]:
    """The same messages within so many tokens: the newest text keeps most of it."""
    left = max(0, max_tokens - len(messages) * PER_MESSAGE)
    left -= sum(
        estimate_tokens(call["function"]["arguments"])
        for message in messages
        for call in message.get("tool_calls", ())
    )
    cut = []
    for message in reversed(messages):
        content = message["content"]
        if content is not None:
            content = _tail(content, max(0, left))
            left -= estimate_tokens(content)
        cut.append({**message, "content": content})
    return cut[::-1]


def _tail(text: str, tokens: int) -> str:
    """The end of a text that takes at most so many tokens, as far as one mark allows."""
    if estimate_tokens(text) <= tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(_CUT + text[-middle:]) <= tokens:
            low = middle
        else:
            high = middle - 1
    return _CUT + text[len(text) - low :]
