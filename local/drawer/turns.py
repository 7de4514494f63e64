"""What the proxy saw of the last turn: when it began and ended, and what was asked."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec
from aiohttp import ClientResponse, StreamReader, web

_CHAT = "/api/chat"
_STREAM = re.compile(r"/api/conversations/([^/]+)/turns/([^/]+)/stream")
# As much as the app takes by default; what is longer is passed on, and not looked at.
_MOST_BYTES = 1 << 20


class _Asked(msgspec.Struct, rename="camel"):
    """What counts here of the body of `POST /api/chat`."""

    user_prompt: str | None = None
    conversation_id: str | None = None
    turn_id: str | None = None


@dataclass(slots=True)
class Turn:
    """One turn, as the proxy saw it; times in seconds since 1970.

    `ended` is None until a response has come to its proper end, whoever was there to see it.
    """

    began: float
    prompt: str | None = None
    conversation_id: str | None = None
    turn_id: str | None = None
    status: int | None = None
    connections: int = 0
    cut: int = 0
    """How many of its connections were cut on purpose."""
    ended: float | None = None


class Turns:
    """The last turn, and the streams that are relayed now."""

    def __init__(self) -> None:
        self.last: Turn | None = None
        self._open: set[TurnExchange] = set()

    def watch(self, request: web.Request) -> "TurnExchange | None":
        """An exchange for what asks or follows a turn, None for everything else."""
        path = request.rel_url.raw_path
        if request.method == "POST" and path == _CHAT:
            return TurnExchange(self)
        found = _STREAM.fullmatch(path)
        if request.method != "GET" or found is None:
            return None
        exchange = TurnExchange(self)
        exchange.join(unquote(found[1]), unquote(found[2]))
        return exchange

    def cut(self) -> int:
        """Breaks every stream that is relayed now; gives how many."""
        return sum(exchange.cut() for exchange in tuple(self._open))

    def begin(self, turn: Turn) -> Turn:
        """A question was asked; the same one again, after a lost answer, is the same turn."""
        last = self.last
        refused = last is not None and (last.status or 0) >= 400
        if last and not refused and turn.turn_id and _ids(last) == _ids(turn):
            return last
        self.last = turn
        return turn

    def opened(self, exchange: "TurnExchange") -> None:
        self._open.add(exchange)

    def closed(self, exchange: "TurnExchange") -> None:
        self._open.discard(exchange)


class TurnExchange:
    """One request that asks or follows a turn. Implements `local.principal.Exchange`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._arrived = time.time()
        self._turn: Turn | None = None
        self._follows = False
        self._response: ClientResponse | None = None

    def join(self, conversation_id: str, turn_id: str) -> None:
        """It follows this turn: of interest where that is the last one."""
        self._follows = True
        last = self._turns.last
        if last and _ids(last) == (conversation_id, turn_id):
            self._turn = last
            last.connections += 1

    async def upload(self, body: StreamReader) -> AsyncIterator[bytes]:
        """Passes the body on as it comes, and reads the question in it."""
        kept = bytearray()
        async for chunk in body.iter_any():
            if len(kept) <= _MOST_BYTES:
                kept += chunk
            yield chunk
        asked = _asked(bytes(kept))
        self._turn = self._turns.begin(
            Turn(self._arrived, asked.user_prompt, asked.conversation_id, asked.turn_id)
        )
        self._turn.connections += 1

    def answered(self, response: ClientResponse) -> None:
        self._response = response
        self._turns.opened(self)
        if self._turn:
            headers = response.headers
            self._turn.status = self._turn.status or response.status
            self._turn.conversation_id = headers.get(
                "x-conversation-id", self._turn.conversation_id
            )
            self._turn.turn_id = headers.get("x-turn-id", self._turn.turn_id)

    def over(self, *, whole: bool) -> None:
        self._turns.closed(self)
        # An attempt to attach that is refused says nothing of the turn.
        refused = self._follows and self._response is not None and self._response.status >= 400
        if self._turn and whole and not refused:
            self._turn.ended = self._turn.ended or time.time()

    def cut(self) -> bool:
        """Ends the response as if the host had broken it off."""
        self._turns.closed(self)
        if self._response is None:
            return False
        self._response.close()
        if self._turn:
            self._turn.cut += 1
        return True


def _ids(turn: Turn) -> tuple[str | None, str | None]:
    return turn.conversation_id, turn.turn_id


def _asked(body: bytes) -> _Asked:
    try:
        return msgspec.json.decode(body, type=_Asked)
    except msgspec.DecodeError:
        # The app says what is wrong with it.
        return _Asked()
