"""A row's values in two columns: JSON that people can read, and its binary parts."""

import json
from typing import Any

import msgspec

from shared.history.rows import Value, Values

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(dict[str, bytes]).decode


def encode_values(values: Values) -> tuple[str, bytes]:
    """JSON of text, numbers and truth; MessagePack of bytes."""
    parts = {name: value for name, value in values.items() if isinstance(value, bytes)}
    rest = {name: value for name, value in values.items() if not isinstance(value, bytes)}
    # NUL, which databases refuse in text, is escaped as every control character is.
    return json.dumps(rest, ensure_ascii=False, separators=(",", ":")), _pack(parts)


def decode_values(properties: str, parts: bytes | None) -> dict[str, Value]:
    """The other way round."""
    values: dict[str, Any] = json.loads(properties)
    return values | _unpack(bytes(parts)) if parts else values
