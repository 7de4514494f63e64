"""What can be typed instead of a question."""

import re
from dataclasses import dataclass

_COMMAND = re.compile(r"/([^\s/]*)(?:[ \t]+(.*))?")
_LEAVING = frozenset({"", "exit", "quit", "/exit", "/quit"})

HELP = """\
/new          begin a new conversation; this one is kept
/clear        delete this conversation for good, and begin a new one
/list [N]     the N newest conversations (20)
/open N|ID    go on with one of them
/retry        ask the last question again, in the place of its answer
/help         this
exit          leave, as do quit, an empty line and Ctrl-D

Enter asks, Alt-Enter (Esc, Enter) makes a new line. Ctrl-C stops an answer; a second one leaves it.
What begins with / and is no command is asked with a space in front."""

NAMES = ("new", "clear", "list", "open", "retry", "help")


@dataclass(frozen=True, slots=True)
class Command:
    """`/name argument`; the name may be one that there is not."""

    name: str
    argument: str


def is_leaving(line: str) -> bool:
    """Whether the line ends the program."""
    return line.strip().lower() in _LEAVING


def command_of(line: str) -> Command | None:
    """The command in a line, or None for a question: `/etc/hosts` and several lines are one."""
    match = _COMMAND.fullmatch(line.rstrip())
    return Command(match[1].lower(), (match[2] or "").strip()) if match else None


def unknown_words(name: str) -> str:
    """What there is instead of a command that there is not."""
    there_are = ", ".join(f"/{name}" for name in NAMES)
    return f"There is no command /{name}. There are {there_are}; exit leaves."
