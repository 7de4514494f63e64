"""What a server answers: tokens."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

DONE, DONE_PROC, DONE_IN_PROC = 0xFD, 0xFE, 0xFF
MORE, ERROR, COUNT, ATTENTION = 1, 2, 0x10, 0x20
_COLLATION = bytes([0x09, 0x04, 0xD0, 0x00, 0x34])
_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class Trouble(Exception):
    """An error of the server: its number, severity and words."""

    number: int
    severity: int
    words: str


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: varchar, nvarchar(max), varbinary(max) or int."""

    name: str
    kind: str


def prelogin(encryption: int, *, by_token: bool) -> bytes:
    options = [(0, bytes([16, 0, 16, 0, 0, 0])), (1, bytes([encryption])), (2, b"\0"), (4, b"\0")]
    options += [(6, b"\1")] if by_token else []
    head, data = b"", b""
    for option, value in options:
        head += struct.pack(">BHH", option, len(options) * 5 + 1 + len(data), len(value))
        data += value
    return head + b"\xff" + data


def logged_in(database: str, *, by_token: bool) -> bytes:
    program = "Microsoft SQL Server".encode("utf-16-le")
    acknowledged = b"\x01" + struct.pack(">I", 0x74000004) + bytes([len(program) // 2]) + program
    named = database.encode("utf-16-le")
    return (
        _token(0xE3, b"\x01" + bytes([len(database)]) + named + b"\0")
        + _token(0xE3, b"\x07\x05" + _COLLATION + b"\0")
        + _token(0xE3, b"\x04\x04" + "4096".encode("utf-16-le") + b"\0")
        + _token(0xAD, acknowledged + bytes([16, 0, 16, 0]))
        + (b"\xae\x02" + struct.pack("<I", 0) + b"\xff" if by_token else b"")
        + done(DONE)
    )


def begun(descriptor: bytes) -> bytes:
    """A transaction, which the client names from now on."""
    return _token(0xE3, b"\x08\x08" + descriptor + b"\0")


def ended(descriptor: bytes, *, committed: bool) -> bytes:
    return _token(0xE3, bytes([9 if committed else 10]) + b"\0\x08" + descriptor)


def trouble(error: Trouble) -> bytes:
    words, server = error.words.encode("utf-16-le"), "stand-in".encode("utf-16-le")
    return _token(
        0xAA,
        struct.pack("<iBBH", error.number, 1, error.severity, len(error.words))
        + words
        + bytes([8])
        + server
        + b"\0"
        + struct.pack("<i", 1),
    )


def done(kind: int, status: int = 0, rows: int = 0) -> bytes:
    return bytes([kind]) + struct.pack("<HHQ", status, 0, rows)


def returned(handle: int | None) -> bytes:
    """The status of a procedure that did its work, and what it gives back."""
    out = b"\x79" + struct.pack("<i", 0)
    if handle is not None:
        out += b"\xac" + struct.pack("<HBBIH", 0, 0, 1, 0, 0) + b"\x26\x04"
        out += _value("int", handle)
    return out


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> bytes:
    """A result set."""
    out = bytearray(b"\x81" + struct.pack("<H", len(columns)))
    for column in columns:
        out += struct.pack("<IH", 0, 9) + _type(column.kind)
        out += bytes([len(column.name)]) + column.name.encode("utf-16-le")
    for row in rows:
        out += b"\xd1"
        for column, value in zip(columns, row, strict=True):
            out += _value(column.kind, value)
    return bytes(out)


def _type(kind: str) -> bytes:
    return {
        "varchar": b"\xa7" + struct.pack("<H", 8000) + _COLLATION,
        "nvarchar(max)": b"\xe7" + struct.pack("<H", _MAX) + _COLLATION,
        "varbinary(max)": b"\xa5" + struct.pack("<H", _MAX),
        "int": b"\x26\x04",
    }[kind]


def _value(kind: str, value: object) -> bytes:
    if isinstance(value, int):
        return b"\x04" + struct.pack("<i", value)
    if isinstance(value, str):
        data = value.encode("utf-16-le" if kind == "nvarchar(max)" else "cp1252")
    else:
        assert isinstance(value, bytes)
        data = value
    if kind == "varchar":
        return struct.pack("<H", len(data)) + data
    chunk = struct.pack("<I", len(data)) + data if data else b""
    return struct.pack("<Q", len(data)) + chunk + struct.pack("<I", 0)


def _token(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<H", len(data)) + data
