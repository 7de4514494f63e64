"""What rows of one conversation say together: a `View`, whatever some of them hold."""

import logging
from collections.abc import Callable, Sequence

from shared.errors import StoreUnavailable
from shared.history import keys
from shared.history.base import Answer, Head, Question, View
from shared.history.codec import Undecodable
from shared.history.records import read_answer, read_head, read_question
from shared.history.rows import Row

_log = logging.getLogger(__name__)


def view(head: Row | None, messages: Sequence[Row], limit: int) -> View:
    """Head and messages as they were read, newest first; fewer than `limit`: these are all.

    A row that cannot be decoded is left out, and with it the other half of its turn.
    """
    told = required(read_head, head) if head else None
    if told and told.deleted:
        return View(told)
    answers: list[Answer] = []
    questions: list[Question] = []
    spoilt: set[int] = set()
    lowest = 0
    for row in messages:
        number = keys.message_number(row.key)
        if number is None:
            report(row)
            continue
        lowest = number
        try:
            if number % 2:
                answers.append(read_answer(row))
            else:
                questions.append(read_question(row))
        except Undecodable as exc:
            report(row, exc)
            spoilt.add(number)
    return View(
        told,
        tuple(answer for answer in answers if answer.number - 1 not in spoilt),
        tuple(question for question in questions if question.number + 1 not in spoilt),
        lowest=lowest if len(messages) >= limit else 0,
    )


def required[T: (Head, Answer, Question, int)](read: Callable[[Row], T], row: Row) -> T:
    """The value of a row that nothing can be done without. Raises `StoreUnavailable`."""
    try:
        return read(row)
    except Undecodable as exc:
        report(row, exc)
        raise StoreUnavailable(
            "A part of the conversation is stored in a form that cannot be read."
        ) from exc


def report(row: Row, reason: Exception | None = None) -> None:
    """Say in the log which row cannot be read; its content stays out."""
    _log.warning("The row %s cannot be read: %s", row.key, reason or "not a row of the history")
