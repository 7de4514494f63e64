"""Ids of tool calls in a form that every service takes.

Mistral refuses an id that is not nine letters and digits ("Tool call id was … but must be a-z, A-Z,
0-9, with a length of 9", code 3280); the other services take any.
"""

import hashlib
import re
import string
from typing import Final

_LENGTH: Final = 9
_DIGITS: Final = string.digits + string.ascii_letters
_FORM = re.compile(r"[A-Za-z0-9]{9}")


def made_id(text: str) -> str:
    """Nine letters and digits, always the same for the same text."""
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest())
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)


def nine(call_id: str) -> str:
    """The id as Mistral takes it: itself, or what always stands for it."""
    return call_id if _FORM.fullmatch(call_id) else made_id(call_id)
