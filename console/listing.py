"""Conversations as they are listed: numbered, with title and age."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.errors import UsageError
from console.options import is_id
from console.printable import one_line

DEFAULT, MOST = 20, 100
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One conversation; `updated` is when its last turn began."""

    id: str
    title: str
    updated: datetime


def entry(raw: Mapping[str, Any]) -> Entry:
    """An entry of the backend's list."""
    return Entry(str(raw["id"]), str(raw["title"]), datetime.fromisoformat(str(raw["updatedAt"])))


def age(updated: datetime, now: datetime) -> str:
    """How long ago that was: `now`, `5 min`, `3 h`, `12 d`."""
    seconds = (now - updated).total_seconds()
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return "now"


def list_lines(entries: Sequence[Entry], current: str, now: datetime, columns: int) -> list[str]:
    """One line each: number, age, title; the current one is marked."""
    width = len(str(len(entries)))
    return [
        f"{'*' if item.id == current else ' '} {number:>{width}}  {age(item.updated, now):>6}  "
        f"{one_line(item.title, max(10, columns - width - 13))}"
        for number, item in enumerate(entries, 1)
    ]


def how_many(argument: str) -> int:
    """The number that /list was given; raises UsageError."""
    if not argument:
        return DEFAULT
    if not (argument.isascii() and argument.isdigit()) or not 1 <= int(argument[:9]) <= MOST:
        raise UsageError(f"/list takes a number of conversations, 1 to {MOST}.")
    return int(argument)


def chosen(argument: str, entries: Sequence[Entry]) -> str:
    """The id that /open was given, itself or by its number in the last list; raises UsageError."""
    if not argument:
        raise UsageError("/open takes a number of the last /list, or a conversation's id.")
    if argument.isascii() and argument.isdigit() and len(argument) <= len(str(MOST)):
        if not entries:
            raise UsageError("There was no list yet: /list shows one, with numbers.")
        if not 1 <= int(argument) <= len(entries):
            raise UsageError(f"There is no number {argument}: the list has 1 to {len(entries)}.")
        return entries[int(argument) - 1].id
    if not is_id(argument):
        raise UsageError("A conversation's id has 1 to 64 letters, digits, - and _.")
    return argument
