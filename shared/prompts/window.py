"""Which part of the history a prompt takes: whole turns, newest first, within two bounds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.messages import FinishReason, Usage
from shared.prompts.tokens import PER_MESSAGE, estimate_tokens

PARTIAL = "\n\n[This answer was interrupted and is incomplete.]"
"""Marks a partial answer, so that the model does not take it for what it meant to say."""
_WHOLE: frozenset[FinishReason] = frozenset({"stop", "tool_calls"})
_CUT = "…"


@dataclass(frozen=True, slots=True)
class PastTurn:
    """One turn of the history, as the window sees it."""

    question: str
    answer: str
    finish_reason: FinishReason | None
    usage: Usage | None = None
    reasoning_tokens: int = 0

    @property
    def useful(self) -> bool:
        """A turn without an answer, or one that the content filter ended, is left out."""
        return bool(self.answer.strip()) and self.finish_reason != "content_filter"

    @property
    def whole_answer(self) -> str:
        return self.answer if self.finish_reason in _WHOLE else self.answer + PARTIAL

    @property
    def tokens(self) -> int:
        """The model's own figures for what they cover, a safe estimate for the rest."""
        question, answer = estimate_tokens(self.question), estimate_tokens(self.whole_answer)
        if self.usage and not self.usage.estimated:
            marker = estimate_tokens(self.whole_answer[len(self.answer) :])
            counted = self.usage.completion_tokens - self.reasoning_tokens
            if counted > 0:
                answer = counted + marker
            if self.usage.prompt_tokens > 0:
                question = min(question, self.usage.prompt_tokens)
        return question + answer + 2 * PER_MESSAGE


def choose_window(
    turns: Iterable[PastTurn], max_messages: int, max_tokens: int
) -> tuple[dict[str, str], ...]:
    """The messages that a prompt takes, oldest first, from turns that come newest first.

    Never more than `max_messages`, nor `max_tokens` by `PastTurn.tokens`; but the last turn is
    always there, cut at its front if need be.
    """
    chosen: list[tuple[str, str]] = []
    left = max_tokens
    for turn in turns:
        if not turn.useful:
            continue
        if 2 * (len(chosen) + 1) > max(2, max_messages):
            break
        if turn.tokens > left:
            if not chosen:
                chosen.append(_cut(turn, max_tokens))
            break
        chosen.append((turn.question, turn.whole_answer))
        left -= turn.tokens
    return tuple(_messages(chosen))


def _messages(chosen: Sequence[tuple[str, str]]) -> Iterable[dict[str, str]]:
    for question, answer in reversed(chosen):
        yield {"role": "user", "content": question}
        yield {"role": "assistant", "content": answer}


def _cut(turn: PastTurn, max_tokens: int) -> tuple[str, str]:
    left = max(0, max_tokens - 2 * PER_MESSAGE)
    answer = _tail(turn.whole_answer, left)
    return _tail(turn.question, left - estimate_tokens(answer)), answer


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
