"""Bodies: what an answer consists of, as bytes that only grow at their end, cut into properties.

An answer's body is its runs, one after the other: 0xFF, a letter for the kind, then UTF-8. The
byte 0xFF never occurs in UTF-8, so a run of text grows by appending the text, and a checkpoint
writes only the properties from the first changed one on. A question's body is its text.

Neighbouring text of one kind is one run, and empty text is none: as for a `Position`.
"""

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from shared.events import Citations, Delta, Error, Reasoning, StoredEvent, ToolCall
from shared.history.rows import Value, Values

PART_BYTES = 60_000
"""One property holds this much; Table Storage's limit is 64 KiB."""
MAX_PARTS = 10
MAX_BODY_BYTES = PART_BYTES * MAX_PARTS
"""The longest body; there are no overflow rows."""

_MARK = b"\xff"
_TEXT: dict[bytes, type[Delta] | type[Reasoning]] = {b"d": Delta, b"r": Reasoning}
_JSON: dict[bytes, type[Citations] | type[ToolCall] | type[Error]] = {
    b"c": Citations,
    b"t": ToolCall,
    b"e": Error,
}
_KINDS = {kind: letter for table in (_TEXT, _JSON) for letter, kind in table.items()}
_json = msgspec.json.Encoder()


class Undecodable(ValueError):
    """Stored bytes that are not what this app writes."""


def encode_text(text: str) -> bytes:
    """UTF-8 of any text: what is no Unicode (a lone surrogate) becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def encode_runs(events: Iterable[StoredEvent]) -> bytes:
    """The body that says these events."""
    body, last = bytearray(), b""
    for event in events:
        letter = _KINDS[type(event)]
        if isinstance(event, Delta | Reasoning):
            if not event.text:
                continue
            if letter != last:
                body += _MARK + letter
            body += encode_text(event.text)
        else:
            body += _MARK + letter + _encode_json(event)
        last = letter
    return bytes(body)


def decode_runs(body: bytes) -> tuple[StoredEvent, ...]:
    """The runs of a body, neighbouring text merged. Raises `Undecodable`."""
    before, *runs = body.split(_MARK)
    if before:
        raise Undecodable("The body does not begin with a run.")
    if any(a[:1] == b[:1] and a[:1] in _TEXT for a, b in pairwise(runs)):
        raise Undecodable("Neighbouring text is in two runs.")
    return tuple(map(_decode_run, runs))


def _decode_run(run: bytes) -> StoredEvent:
    letter, payload = run[:1], run[1:]
    try:
        if text := _TEXT.get(letter):
            if not payload:
                raise Undecodable("A run of text is empty.")
            return text(payload.decode())
        return msgspec.json.decode(payload, type=_JSON[letter])
    except KeyError:
        raise Undecodable(f"There is no kind {letter!r} of run.") from None
    except (UnicodeDecodeError, msgspec.MsgspecError) as exc:
        raise Undecodable("A run is not what its kind says.") from exc


def _encode_json(event: StoredEvent) -> bytes:
    try:
        return _json.encode(event)
    except UnicodeEncodeError:
        return _json.encode(_cleaned(msgspec.to_builtins(event)))


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return encode_text(value).decode()
    if isinstance(value, dict):
        return {name: _cleaned(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(member) for member in value]
    return value


def body_values(body: bytes, stored: bytes = b"") -> dict[str, Value]:
    """Properties that make a row which holds `stored` hold `body`: those that change, and `size`.

    Raises `ValueError` for more than `MAX_BODY_BYTES`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"A body has {len(body)} bytes; a row holds {MAX_BODY_BYTES}.")
    parts = range(_parts(len(body)))
    if body == stored:
        parts = range(0)
    elif body.startswith(stored):
        parts = parts[len(stored) // PART_BYTES :]
    values: dict[str, Value] = {
        f"b{part}": body[part * PART_BYTES : (part + 1) * PART_BYTES] for part in parts
    }
    values["size"] = len(body)
    return values


def read_body(values: Values) -> bytes:
    """The body in a row: as much as its `size` says. Raises `Undecodable`."""
    size = values.get("size")
    if type(size) is not int or not 0 <= size <= MAX_BODY_BYTES:
        raise Undecodable("The row does not say how long its body is.")
    parts = [values.get(f"b{part}") for part in range(_parts(size))]
    body = b"".join(part for part in parts if isinstance(part, bytes))
    if len(body) != size:
        raise Undecodable("The body is not as long as the row says.")
    return body


def _parts(size: int) -> int:
    return -(-size // PART_BYTES)
