"""How a turn begins in the store, or is found to be there already.

No refusal before the turn's own row was looked up: it may be older than the window. No error code
is a verdict: after a conflict or a lost reply, look whose row it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.errors import (
    ChatError,
    ConversationBusy,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    TurnMismatch,
)
from shared.history.base import (
    Answer,
    Begun,
    Conflict,
    Head,
    HistoryStore,
    NewTurn,
    Place,
    Replaced,
    View,
)
from shared.turns.chain import with_its_chain
from shared.turns.follow import settled, usage_of

GIVE_UP_SECONDS = 10.0
"""Of conflicts and lost replies, before the store counts as unavailable."""
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be begun: all of `NewTurn` but what only the store's state can tell."""

    place: Place
    turn: NewTurn
    replaces: str | None
    brought_id: bool
    """The caller brought the turn's id, so that it may be there already."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The turn is ours: the window's view was read in the request that found it free."""

    begun: Begun
    view: View
    sent: float
    """When the write was sent, by the loop's clock: the lease counts from there."""


async def begin_turn(
    store: HistoryStore,
    asked: Asked,
    messages: int,
    clock: Callable[[], int],
    admit: Callable[[], Awaitable[None]] | None = None,
) -> Opened | Answer:
    """Begin it, or give the answer of the turn of that id, which may be running elsewhere.

    `admit` is awaited once, before anything is written: what it raises leaves nothing behind.
    Raises `ConversationBusy`, `TurnMismatch`, `NotFound`, `InvalidRequest` (results that answer
    nothing), `PayloadTooLarge`, `StoreUnavailable`.
    """
    loop = asyncio.get_running_loop()
    place, turn = asked.place, asked.turn
    tried: Head | None = None
    trying = doubted = False
    sent = loop.time()
    view = View(None)
    give_up = loop.time() + GIVE_UP_SECONDS
    cause = "Try again."
    while True:
        late = loop.time() >= give_up  # one more look: what was sent last may have landed
        try:
            seen = await store.read(place, messages)
            if seen.head is not None and seen.head.deleted:
                raise NotFound("There is no such conversation.")
            # Nobody is to be admitted to what is only told again.
            older = admit is not None and seen.lowest > 0
            always = trying or older or doubted
            found = await _look_up(store, asked, seen, always=always)
            replaced = None if found else await _replaced(store, asked, seen)
        except StoreUnavailable:
            if not trying or late:
                raise
            await asyncio.sleep(PAUSE_SECONDS)  # it may have landed: that is not left open
            continue
        if found is not None:
            if found.nonce == turn.nonce and found.running and seen.head is not None:
                return Opened(Begun(place, seen.head, tried, found), view, sent)
            if found.digest != turn.digest:
                raise TurnMismatch(
                    f"Turn {turn.turn_id} was asked with another body: use a new turnId."
                )
            if not found.over(clock()):
                return found
            return await settled(store, place, found.number, turn.turn_id, clock)
        newest = _newest(seen)
        dead = newest if newest is not None and newest.over(clock()) else None
        if dead is None and (refusal := _refusal(asked, newest)):
            raise refusal
        if turn.results and dead is None and (wrong := await _wrong_results(store, asked, seen)):
            if doubted or not asked.brought_id:
                raise wrong
            doubted = True  # they may be those of a turn that is older than what was read
            continue
        if late:
            raise StoreUnavailable(f"The history took no new turn. {cause}", retry_after=2)
        if dead is not None:
            await _reap(store, place, dead)
            continue
        if admit is not None:
            await admit()
            admit = None
        view, tried, trying, sent = seen, seen.head, True, loop.time()
        try:
            new = replace(turn, replaces=replaced)
            begun = await store.begin(place, seen.head, new, clock())
        except (Conflict, StoreUnavailable) as exc:
            if isinstance(exc, StoreUnavailable):
                cause = exc.message
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        return Opened(begun, view, sent)


def _newest(view: View) -> Answer | None:
    """The newest turn; None where there is none, or where its row cannot be read."""
    if view.head is None or not view.answers:
        return None
    newest = view.answers[0]
    return newest if newest.number == view.head.next - 1 else None


async def _look_up(store: HistoryStore, asked: Asked, view: View, *, always: bool) -> Answer | None:
    """The turn's own row: in the view, or, before any refusal or after a conflict, by its id."""
    turn_id = asked.turn.turn_id
    for answer in view.answers:
        if answer.turn_id == turn_id:
            return answer
    if not asked.brought_id or view.head is None:
        return None
    if not always and _refusal(asked, _newest(view)) is None:
        return None
    number = await store.find(asked.place, turn_id)
    return None if number is None else await store.answer(asked.place, number)


def _refusal(asked: Asked, newest: Answer | None) -> ChatError | None:
    if newest is not None and newest.running:
        return ConversationBusy(newest.turn_id)
    if asked.replaces is not None and (newest is None or newest.turn_id != asked.replaces):
        return TurnMismatch(
            f"replaces must name the conversation's last turn, which {asked.replaces} is not."
        )
    return None


async def _replaced(store: HistoryStore, asked: Asked, view: View) -> Replaced | None:
    """What is to be hidden: results take the place of a turn, a question that of its chain."""
    newest = _newest(view)
    if newest is None or newest.turn_id != asked.replaces or newest.running:
        return None  # there is nothing to replace, or nothing yet
    if asked.turn.results:
        return Replaced.one(newest)
    return await with_its_chain(store, asked.place, view, newest)


async def _wrong_results(store: HistoryStore, asked: Asked, view: View) -> InvalidRequest | None:
    """What is wrong with results that are not those of the last turn's calls, one for each."""
    last = _newest(view)
    if last is not None and asked.replaces is not None:  # it is the one before that called
        number = last.below
        last = next((a for a in view.answers if a.number == number), None)
        if last is None and number > 0:
            last = await store.answer(asked.place, number)
    calls = [call.id for call in last.calls] if last and last.finish_reason == "tool_calls" else []
    if sorted(calls) == sorted(result.id for result in asked.turn.results):
        return None
    right = f"one for each of {', '.join(calls)}" if calls else "it ended without any: ask anew"
    return InvalidRequest(
        f"toolResults must answer the calls of the conversation's last turn: {right}.",
        field="toolResults",
    )


async def _reap(store: HistoryStore, place: Place, answer: Answer) -> None:
    try:
        await store.reap(place, answer, usage_of(answer))
    except Conflict:
        await asyncio.sleep(0)  # somebody else wrote: the next read says what
