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


def decode_values(properties: str, parts: bytes | None = None) -> dict[str, Value]:
    """The other way round. What is no part any more counts, though the parts still hold it."""
    values: dict[str, Any] = json.loads(properties)
    return _unpack(bytes(parts)) | values if parts else values
