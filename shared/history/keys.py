"""Where each row of the history is: partition keys and row keys.

One partition an owner, so that a turn commits in one transaction and nobody's query can reach
another's rows. Within it, `,` separates the parts of a key: no id contains one.

    v,<conversation>,!                    the head
    v,<conversation>,m<9999999999 - n>    message n, so that the newest come first
    t,<conversation>,<turn>               which number a turn's answer has
    i,<9999999999999 - ms>,<conversation> the list, newest first

    c,!                                   what its owner has used of the limits

Intents of deletions have a partition of their own, and so have what the whole app has used and
where the last sweep stopped.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from shared.history.base import Place

INTENTS = "intents"
"""The partition of what deletions have promised."""

SWEEP = "sweep"
"""The partition of what a sweep leaves for the next one."""
CURSOR = "cursor"
"""Where it stopped."""

COUNTS = "counts"
"""The partition of what the whole app has used."""
SHARDS = 16
"""So many rows share the app's count: a row takes one write at a time."""

_MOST_NUMBER = 9_999_999_999
_MOST_TIME = 9_999_999_999_999
_MAX_OWNER_BYTES = 180
_INDEX = re.compile(r"i,([0-9]{13}),([A-Za-z0-9_-]{1,64})", re.ASCII)
_HEAD = re.compile(r"v,([A-Za-z0-9_-]{1,64}),!")
_INTENT = re.compile(r"([uha],[A-Za-z0-9_-]*),([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a conversation's rows are: all that a sweep knows, as no key tells every owner."""

    partition: str
    conversation: str

    @property
    def intent(self) -> str:
        """The key of the promise to delete it."""
        return f"{self.partition},{self.conversation}"


def partition(place: Place) -> str:
    """The partition of a conversation: its owner's, or its own where it is anonymous."""
    if place.owner is None:
        return f"a,{place.conversation}"
    return owner_partition(place.owner)


def owner_partition(owner: str) -> str:
    """The partition of an owner, whatever characters and however many the name has."""
    name = owner.encode("utf-8", "surrogatepass")
    if len(name) <= _MAX_OWNER_BYTES:
        return f"u,{_base64url(name)}"
    return f"h,{_base64url(sha256(name).digest())}"


def head(conversation: str) -> str:
    return f"v,{conversation},!"


def message(conversation: str, number: int) -> str:
    return f"v,{conversation},m{_MOST_NUMBER - number:010d}"


def messages_end(conversation: str) -> str:
    """Above every message of the conversation."""
    return f"v,{conversation},n"


def message_number(key: str) -> int | None:
    """The number in a message's key; None: it is no such key."""
    digits = key.rpartition(",m")[2]
    if len(digits) == 10 and digits.isascii() and digits.isdecimal():
        return _MOST_NUMBER - int(digits)
    return None


def turn(conversation: str, turn_id: str) -> str:
    return f"t,{conversation},{turn_id}"


def turns(conversation: str) -> tuple[str, str]:
    """From and up to: every turn of the conversation."""
    return f"t,{conversation},", f"t,{conversation}-"


def index(updated: int, conversation: str) -> str:
    return f"i,{_MOST_TIME - updated:013d},{conversation}"


INDEXES = ("i,", "i-")
"""From and up to: every conversation of the list."""


def index_parts(key: str) -> tuple[int, str] | None:
    """`updated` and conversation in an index key; None: it is no such key."""
    found = _INDEX.fullmatch(key)
    return (_MOST_TIME - int(found[1]), found[2]) if found else None


COUNT = "c,!"
"""What an owner has used of the limits, in the owner's partition."""


def shard(number: int) -> str:
    """One of the rows that add up to the app's count."""
    return f"c,{number:02d}"


ALL_SHARDS = ("c,", "c-")
"""From and up to: all of them."""


def spot(place: Place) -> Spot:
    return Spot(partition(place), place.conversation)


def spot_of_head(partition: str, key: str) -> Spot | None:
    """The conversation whose head this is; None: it is no such key."""
    found = _HEAD.fullmatch(key)
    return Spot(partition, found[1]) if found else None


def intent(place: Place) -> str:
    return spot(place).intent


INTENTS_RANGE = ("a", "v")
"""From and up to: every intent."""


def spot_of_intent(key: str) -> Spot | None:
    """The conversation that an intent is about; None: it is no such key."""
    found = _INTENT.fullmatch(key)
    return Spot(found[1], found[2]) if found else None


def behind(key: str) -> str:
    """The lowest key above this one: no character of a key is lower than `!`."""
    return f"{key}!"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
