"""Rows as values and back: head, question, answer, and a line of the list.

Writers give the properties that a write sets; readers take a whole row. A reader raises
`Undecodable` for a row that this app did not write.
"""

import unicodedata
from dataclasses import replace
from typing import cast, get_args

import msgspec

from shared.history import keys
from shared.history.base import Answer, Conversation, Head, NewTurn, Question
from shared.history.codec import Undecodable, body_values, decode_runs, encode_text, read_body
from shared.history.rows import Row, Value, Values
from shared.messages import FinishReason, ToolResult, Usage

MAX_TITLE_CHARS = 200
MAX_NAME_CHARS = 256
"""Of the names of an action, a model and a result variable; longer ones are cut."""

_REASONS: frozenset[str] = frozenset(get_args(FinishReason.__value__))


def clean_title(title: str) -> str:
    """A title as it is kept: one line of at most 200 characters, without control characters."""
    cut = _text_of(title.strip()[:MAX_TITLE_CHARS])
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in cut).strip()


def head_values(head: Head) -> dict[str, Value]:
    """All of a living head."""
    return {
        "title": head.title,
        "created": head.created,
        "updated": head.updated,
        "next": head.next,
        "count": head.count,
        "indexed": head.indexed,
    }


TOMBSTONE: Values = {"deleted": True}
"""What is left of a deleted conversation's head, for good."""


WHATEVER_ITS_AGE = 0
"""The cut-off in an intent that a caller's deletion wrote."""


def intent_values(cut: int) -> dict[str, Value]:
    """A promise to delete what began last before then, in ms."""
    return {"cut": cut}


def read_cut(row: Row) -> int:
    return _integer(row, "cut")


def cursor_values(before: int, after: str) -> dict[str, Value]:
    """Where a sweep stopped looking for what began last before then."""
    return {"before": before, "after": after}


def read_cursor(row: Row) -> tuple[int, str]:
    return _integer(row, "before"), _text(row, "after")


def read_next(row: Row) -> int:
    """The number of the next question, of a head that was read in part; 0: it is none."""
    return _integer(row, "next")


def read_head(row: Row) -> Head:
    if row.values.get("deleted") is True:
        return Head(row.etag, deleted=True)
    return Head(
        row.etag,
        title=_text(row, "title"),
        created=_integer(row, "created"),
        updated=_integer(row, "updated"),
        next=_integer(row, "next"),
        count=_integer(row, "count"),
        indexed=_integer(row, "indexed"),
    )


def index_values(head: Head) -> dict[str, Value]:
    """The conversation's line in the list; its key says the rest."""
    return {"title": head.title, "created": head.created, "count": head.count}


def read_index(row: Row) -> Conversation:
    parts = keys.index_parts(row.key)
    if parts is None:
        raise Undecodable("The key names no conversation.")
    updated, conversation = parts
    return Conversation(
        id=conversation,
        title=_text(row, "title"),
        created=_integer(row, "created"),
        updated=updated,
        count=_integer(row, "count"),
    )


def question_body(turn: NewTurn) -> bytes:
    """The text that was asked, or what the calls gave, as JSON."""
    if not turn.results:
        return encode_text(turn.question)
    results = [
        {"id": _text_of(result.id), "content": _text_of(result.content)} for result in turn.results
    ]
    return msgspec.json.encode(results)


def question_values(
    turn_id: str, body: bytes, created: int, *, results: bool = False
) -> dict[str, Value]:
    values: dict[str, Value] = {"turn": turn_id, "created": created, **body_values(body)}
    return values | {"results": True} if results else values


def read_question(row: Row) -> Question:
    body = read_body(row.values)
    text = ""
    results: tuple[ToolResult, ...] = ()
    try:
        if _flag(row, "results", False):
            results = msgspec.json.decode(body, type=tuple[ToolResult, ...])
        else:
            text = body.decode()
    except (UnicodeDecodeError, msgspec.MsgspecError) as exc:
        raise Undecodable("The question is neither UTF-8 nor results of calls.") from exc
    return Question(_number(row), _text(row, "turn"), _integer(row, "created"), text, results)


def new_answer(turn: NewTurn, number: int, now: int, lease: int) -> Answer:
    """The running answer that `begin` writes; its ETag comes with the write."""
    return Answer(
        number=number,
        turn_id=turn.turn_id,
        nonce=turn.nonce,
        digest=turn.digest,
        action=_text_of(turn.action)[:MAX_NAME_CHARS],
        model=_text_of(turn.model)[:MAX_NAME_CHARS],
        result_name=_text_of(turn.result_name)[:MAX_NAME_CHARS],
        created=now,
        running=True,
        lease=lease,
        etag="",
        hides=turn.replaces.hides if turn.replaces else None,
        runs=decode_runs(turn.body),
        body=turn.body,
    )


def answer_values(answer: Answer) -> dict[str, Value]:
    """All of a new answer. What is None, or not yet known, is not written."""
    values: dict[str, Value] = {
        "turn": answer.turn_id,
        "nonce": answer.nonce,
        "digest": answer.digest,
        "action": answer.action,
        "model": answer.model,
        "result": answer.result_name,
        "created": answer.created,
        "running": answer.running,
        "lease": answer.lease,
        **body_values(answer.body),
    }
    if answer.hides is not None:
        values["from"] = answer.hides
    return values


def answered_by(answer: Answer, model: str | None) -> Answer:
    """The answer, as that model's; None: as it is."""
    return answer if model is None else replace(answer, model=_text_of(model)[:MAX_NAME_CHARS])


def checkpoint_values(old: Answer, new: Answer) -> dict[str, Value]:
    """What changes where a running answer goes on."""
    values: dict[str, Value] = {**body_values(new.body, old.body), "lease": new.lease}
    return values if new.model == old.model else values | {"model": new.model}


def end_values(reason: FinishReason, usage: Usage, reasoning_tokens: int) -> dict[str, Value]:
    """What changes where an answer ends, besides its body."""
    return {
        "running": False,
        "lease": 0,
        "reason": reason,
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
        "total": usage.total_tokens,
        "estimated": usage.estimated,
        "reasoning": reasoning_tokens,
    }


def read_answer(row: Row) -> Answer:
    body = read_body(row.values)
    running = _flag(row, "running")
    return Answer(
        number=_number(row),
        turn_id=_text(row, "turn"),
        nonce=_text(row, "nonce"),
        digest=_text(row, "digest"),
        action=_text(row, "action"),
        model=_text(row, "model"),
        result_name=_text(row, "result"),
        created=_integer(row, "created"),
        running=running,
        lease=_integer(row, "lease"),
        etag=row.etag,
        stop=_flag(row, "stop", False),
        watch=_integer(row, "watch", 0),
        hides=_integer(row, "from") if "from" in row.values else None,
        runs=decode_runs(body),
        body=body,
        finish_reason=None if running else _reason(row),
        usage=None if running else _usage(row),
        reasoning_tokens=_integer(row, "reasoning", 0),
    )


def _usage(row: Row) -> Usage:
    return Usage(
        prompt_tokens=_integer(row, "prompt"),
        completion_tokens=_integer(row, "completion"),
        total_tokens=_integer(row, "total"),
        estimated=_flag(row, "estimated"),
    )


def _reason(row: Row) -> FinishReason:
    reason = _text(row, "reason")
    if reason not in _REASONS:
        raise Undecodable(f"There is no finish reason {reason!r}.")
    return cast(FinishReason, reason)


def turn_number(row: Row) -> int:
    """The number of a turn's answer, in the turn's own row."""
    return _integer(row, "number")


def _number(row: Row) -> int:
    number = keys.message_number(row.key)
    if number is None:
        raise Undecodable("The key is no message's.")
    return number


def _text(row: Row, name: str) -> str:
    value = row.values.get(name)
    if not isinstance(value, str):
        raise Undecodable(f"{name} must be text.")
    return value


def _integer(row: Row, name: str, default: int | None = None) -> int:
    value = row.values.get(name, default)
    if type(value) is not int or value < 0:
        raise Undecodable(f"{name} must be a whole number from 0.")
    return value


def _flag(row: Row, name: str, default: bool | None = None) -> bool:
    value = row.values.get(name, default)
    if not isinstance(value, bool):
        raise Undecodable(f"{name} must be true or false.")
    return value


def _text_of(text: str) -> str:
    return encode_text(text).decode()
