"""What a check says where something is not as it must be."""

from dataclasses import dataclass
from typing import Literal

type Kind = Literal[
    "asked_again",
    "asked_though_busy",
    "busy",
    "busy_after_end",
    "count",
    "deleted_lives",
    "end_state",
    "forked",
    "internal",
    "left_behind",
    "log",
    "lost_text",
    "mismatch",
    "missing",
    "no_end",
    "not_calm",
    "not_freed",
    "odd_status",
    "position",
    "probe",
    "replaced",
    "replay",
    "stop_ignored",
    "strange",
    "title",
    "told_otherwise",
    "twice",
    "vanished",
    "went_on",
]
"""docs/chaos.md says what each means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`turn` None: it is about the conversation; both None: about the run."""

    kind: Kind
    says: str
    conversation: str | None = None
    turn: str | None = None
