"""Ids of UI messages, and the ids of turns that follow from them. Pure."""

import base64
import hashlib
import re

import msgspec

from shared.messages import ID_PATTERN

_ANSWER = "-answer"


def turn_of(message_id: str) -> str:
    """The id of the turn that a user's message asks: its own, where that can be a turn's."""
    return message_id if re.match(ID_PATTERN, message_id) else derived("message", message_id)


def answer_id(turn_id: str) -> str:
    """The id of the message that answers; the question's would replace the question on a page."""
    return turn_id + _ANSWER


def turn_of_answer(message_id: str) -> str | None:
    """The turn whose answer has this id; None where the id was not made here."""
    return message_id.removesuffix(_ANSWER) if message_id.endswith(_ANSWER) else None


def derived(*parts: str | int) -> str:
    """A turn's id that follows from what is asked, so that a retry asks for the same turn."""
    seed = msgspec.json.encode(parts)
    return base64.urlsafe_b64encode(hashlib.sha256(seed).digest()[:24]).decode()
