"""What a client asks: the log-in, batches of SQL, and calls of prepared statements."""

import struct
from dataclasses import dataclass

_NULL_LENGTH = 0xFFFF
_EXECUTE, _PREPARE_AND_EXECUTE, _UNPREPARE = 12, 13, 15
_PROCEDURES = (_EXECUTE, _PREPARE_AND_EXECUTE, _UNPREPARE)
_FEATURES, _FEDAUTH = 0x10, 2


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str
    database: str
    token: str | None
    """Of an identity, instead of user and password."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement; `kinds`: how its parameters were declared, such as varchar(512)."""

    sql: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Of a statement that is new, or prepared already, under `handle`."""

    handle: int | None
    prepared: Prepared | None
    values: list[str | bytes | int]
    forget: bool = False


class Bytes:
    """Reads little-endian values one after the other."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    @property
    def more(self) -> bool:
        return self.at < len(self.data)

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


def login(body: bytes) -> Login:
    """A LOGIN7 message."""

    def text(offset: int) -> bytes:
        start, characters = struct.unpack_from("<HH", body, offset)
        return body[start : start + 2 * characters]

    password = bytes(((b ^ 0xA5) << 4 & 0xF0) | ((b ^ 0xA5) >> 4) for b in text(44))
    token = None
    if body[27] & _FEATURES:
        (start,) = struct.unpack_from("<H", body, 56)
        token = _token(Bytes(body, struct.unpack_from("<I", body, start)[0]))
    user, database = text(40).decode("utf-16-le"), text(68).decode("utf-16-le")
    return Login(user, password.decode("utf-16-le"), database, token)


def _token(features: Bytes) -> str | None:
    while (feature := features.number(1)) != 0xFF:
        data = features.take(features.number(4))
        if feature == _FEDAUTH:
            return data[5 : 5 + int.from_bytes(data[1:5], "little")].decode("utf-16-le")
    return None


def batch(body: bytes) -> str:
    return body[int.from_bytes(body[:4], "little") :].decode("utf-16-le")


def call(body: bytes) -> Call:
    """A call of sp_prepexec, sp_execute or sp_unprepare. Raises `ValueError` for others."""
    data = Bytes(body, int.from_bytes(body[:4], "little"))
    if data.number(2) != _NULL_LENGTH or (procedure := data.number(2)) not in _PROCEDURES:
        raise ValueError(f"The procedure {procedure} is not expected.")
    data.number(2)
    values = []
    while data.more:
        data.take(2 * data.number(1))
        data.number(1)
        values.append(_value(data))
    handle, *rest = values
    if procedure != _PREPARE_AND_EXECUTE:
        assert isinstance(handle, int)
        return Call(handle, None, rest, forget=procedure == _UNPREPARE)
    declared, sql, *rest = rest
    assert isinstance(sql, str)
    assert isinstance(declared, str)
    # A comma in brackets belongs to a type: none of those that are used has two numbers.
    kinds = tuple(one.split(" ", 1)[1] for one in declared.split(",")) if declared else ()
    return Call(None, Prepared(sql, kinds), rest)


def _value(data: Bytes) -> str | bytes | int:
    kind = data.number(1)
    if kind == 0x26:
        data.number(1)
        return int.from_bytes(data.take(data.number(1)), "little")
    size = data.number(2)
    if kind not in (0xE7, 0xA7, 0xA5):
        raise ValueError(f"A parameter of the type {kind:#x} is not expected.")
    if kind != 0xA5:
        data.take(5)  # the collation
    value = _long(data) if size == _NULL_LENGTH else data.take(data.number(2))
    if kind == 0xA5:
        return value
    return value.decode("utf-16-le" if kind == 0xE7 else "cp1252")


def _long(data: Bytes) -> bytes:
    data.number(8)
    value = b""
    while size := data.number(4):
        value += data.take(size)
    return value


def wants_token(body: bytes) -> bool:
    """Whether a PRELOGIN message says that an identity's token comes."""
    at = 0
    while body[at] != 0xFF:
        if body[at] == 6:
            return True
        at += 5
    return False
