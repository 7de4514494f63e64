"""Goes through every request over HTTPS with a bearer token; run as a process of its own.

A TLS client reads `SSL_CERT_FILE` once, when its process starts.
Arguments: the table service's URL, the table.
"""

import asyncio
import sys
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.history.base import Conflict
from shared.history.store import Store
from shared.history.table import TableRows
from shared.settings import Storage
from tests.contracts.acting import MINE, begin, finish, new_turn


@dataclass
class Token:
    token: str
    expires_on: int


class Unsigned:
    """A credential whose tokens are well-formed and signed by nobody: the emulator takes them."""

    def __init__(self) -> None:
        self.scopes: set[str] = set()

    async def get_token(self, *scopes: str, **options: Any) -> Token:
        self.scopes.update(scopes)
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
        }
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        text = b".".join(urlsafe_b64encode(msgspec.json.encode(p)).rstrip(b"=") for p in parts)
        return Token(f"{text.decode()}.c2lnbmF0dXJl", now + 3600)


async def main(url: str, table: str) -> None:
    credential = Unsigned()
    storage = Storage(setting="CHAT_STORAGE__tableServiceUri", table=table, endpoint=url)
    store = Store(TableRows(storage, credential))
    try:
        await store.ready()
        await finish(store, await begin(store))
        view = await store.read(MINE, 4)
        assert [a.finish_reason for a in view.answers] == ["stop"]
        try:
            await store.begin(MINE, None, new_turn("t9"), 0)
        except Conflict:
            print("conflict")
        assert (await store.rename(MINE, "new")).title == "new"
        assert len((await store.conversations("me", 5, None)).items) == 1
        await store.delete(MINE)
        await store.purge(MINE)
        assert await store.find(MINE, "t1") is None
        assert credential.scopes == {"https://storage.azure.com/.default"}
    finally:
        await store.aclose()
    print("all requests passed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
