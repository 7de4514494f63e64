"""Everything that can go wrong here, in words that say what to do.

    ConsoleError
    ├── UsageError   a flag, a variable or the input is wrong; nothing was asked
    ├── Refused      the backend said no, or what answered is no chat backend
    ├── Unreachable  nobody answered, or only a gateway: trying again is safe and may help
    └── Left         the user does not wait for the answer's end

A message never holds the token.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ConsoleError(Exception):
    """The root: the message is a sentence to show."""


class UsageError(ConsoleError):
    """What was given is wrong; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One bad field of a request, by the API's name for it."""

    field: str
    message: str


class Refused(ConsoleError):
    """An answer that is no success, as the backend told it (RFC 9457).

    `code` is the API's, or `http_NNN` for an answer that is not the backend's own.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 0,
        problems: Sequence[FieldProblem] = (),
        retry_after: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.problems = tuple(problems)
        self.retry_after = retry_after
        """As the header has it: seconds, or a date; empty where there is none."""


class Unreachable(ConsoleError):
    """`sent` is false where not even a connection came about, so that nothing was asked."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class Left(ConsoleError):
    """The second Ctrl-C: the turn may go on, with nobody here to see it."""
