"""Messages of TDS: packets with a header of eight bytes."""

import struct
from typing import Protocol

BATCH, RPC, ATTENTION, LOGIN, PRELOGIN, ANSWER = 1, 3, 6, 16, 18, 4
_LAST = 1
_BODY = 4096 - 8


class Reader(Protocol):
    async def readexactly(self, size: int, /) -> bytes: ...


async def read_message(reader: Reader) -> tuple[int, bytes]:
    """Kind and body. Raises `IncompleteReadError` at the end."""
    body = bytearray()
    while True:
        kind, status, length = struct.unpack(">BBH4x", await reader.readexactly(8))
        body += await reader.readexactly(length - 8)
        if status & _LAST:
            return kind, bytes(body)


def message(body: bytes, kind: int = ANSWER) -> bytes:
    """The packets that carry `body`."""
    parts = [body[at : at + _BODY] for at in range(0, len(body), _BODY)] or [b""]
    return b"".join(
        struct.pack(">BBHHBB", kind, part is parts[-1], len(part) + 8, 0, n & 255, 0) + part
        for n, part in enumerate(parts, 1)
    )
