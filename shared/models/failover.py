"""Several connections as one model: the next one is asked where one fails before its first event.

How it goes, all within one budget of time, `RETRY_SECONDS` or what is left until the response
begins, so that a failure is told within 5 s:

- In the order of the chain, each connection is asked once, the next one at once after one that is
  busy (429), failed (408, 409, 5xx), broke off before its first event, or was not in time.
- In time: as long as others wait to be asked, one must be reached within what the budget leaves to
  it, a second for each of them kept back. Once it has the request it is waited for as any model is:
  one that thinks may send nothing for a minute, not even headers, and who is given up is paid for
  all the same. Only where models are allowed no longer silence (`CHAT_MODEL_TIMEOUT_SECONDS`) than
  the budget, the next one is asked after nearly that.
- One that said 429 with `Retry-After` is not asked before that, by any request. Without it, only
  this request does not ask it again.
- Once all were asked, those that failed are asked again, each after a pause that grows, and a busy
  one when it said that it is free; who was asked less often goes first.
- Where nobody may be asked any more within the budget, the one that is free soonest decides what is
  told: mostly 429 with the shortest `Retry-After`.

Nothing else is tried elsewhere: a request that is refused (400, the filter), or a set-up that is
(401, 403, 404), is told as it is. Only what a fallback cannot serve for what it is itself counts
for nothing: a field of the caller's that it does not take, a prompt longer than it reads. After the
first event, and after the budget, nobody else is asked.

A fallback is always asked for its own connection's model: names of the caller's or the action's
are the first connection's. What the action sets and its kind does not take is left out.

`Answering` tells who is asked before they answer, so that a response that begins meanwhile says so.

Headers that count down what is left (`x-ratelimit-remaining-…`) are not read: every instance sees
its own share of the truth, Azure's do not say until when, and the one request that a 429 costs goes
to the next connection at once.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import msgspec

from shared.errors import (
    ChatError,
    ContentFiltered,
    InvalidRequest,
    Misconfigured,
    ModelBrokeOff,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
)
from shared.events import Answering, ModelEvent
from shared.messages import ModelRequest
from shared.models.completions import FIRST_DELAY, RETRY_SECONDS, ChatCompletions, Failed
from shared.models.failures import busy
from shared.models.fields import prepared
from shared.models.stream import ModelStream
from shared.settings import Kind

KEPT_SECONDS: Final = 1.0
"""Of the budget, for each connection that waits to be asked."""
SILENCE_SHARE: Final = 0.9
"""Of the silence that a model is allowed: the next one is asked before the turn gives up."""
LEAST_SECONDS: Final = 0.5
"""To reach a service, however little of the budget is left to it."""

_log = logging.getLogger(__name__)


class FailOver:
    """A `ChatModel` over the connections of a chain, two or more.

    `silence`: seconds that a model may be silent before its turn gives it up.
    """

    def __init__(
        self,
        chain: Sequence[ChatCompletions],
        *,
        silence: float,
        budget: float = RETRY_SECONDS,
    ) -> None:
        self._chain = tuple(chain)
        self._silence = silence * SILENCE_SHARE
        self._budget = budget

    @asynccontextmanager
    async def ask(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[Sequence[ModelEvent]]]:
        """See `ChatModel.ask`. What entering may raise, the first read does."""
        budget = self._budget if request.within is None else min(self._budget, request.within)
        stream = _Stream(self._chain, request, _now() + budget, self._silence)
        try:
            yield stream
        finally:
            await stream.aclose()


class _Candidate:
    """A connection of the chain, for one request."""

    def __init__(self, client: ChatCompletions, request: ModelRequest, *, first: bool) -> None:
        self.client = client
        self.request = request if first else _for_fallback(client, request)
        self.first = first
        self.attempts = 0
        self.delay = FIRST_DELAY * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
        self.unfit = False
        """It cannot serve this request, whatever the others do."""
        self.free = client.rests.until(self.request.model)
        """When it may be asked next, by the loop's clock."""
        self.failure: ChatError | None = None

    def failed(self, error: ChatError, wait: float | None) -> None:
        """Note how; `wait` None: it has not said when it is free again."""
        self.failure = error
        self.free = _now() + (wait if wait is not None else error.retry_after or self.delay)
        self.delay *= random.uniform(1.5, 2.5)  # noqa: S311  # jitter, no secret

    def told(self) -> ChatError:
        """What is told where nobody else is free sooner."""
        if self.failure is None or isinstance(self.failure, RateLimited):
            return busy(max(0.0, self.free - _now()))
        return self.failure


class _Stream:
    """Iterates over what arrived together, from whoever answers."""

    def __init__(
        self,
        chain: Sequence[ChatCompletions],
        request: ModelRequest,
        deadline: float,
        silence: float,
    ) -> None:
        self._candidates = [
            _Candidate(client, request, first=number == 0) for number, client in enumerate(chain)
        ]
        self._deadline = deadline
        self._silence = silence
        self._named = self._candidates[0]
        """Who answers, as far as was told."""
        self._asked: _Candidate | None = None
        self._stream: ModelStream | None = None
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ModelEvent]:
        if self._begun and self._stream is not None:
            return await self._stream.__anext__()
        while True:
            candidate = self._asked or await self._choose()
            if candidate is not self._named:
                self._named = self._asked = candidate
                service = candidate.client.connection.service
                return (Answering(candidate.request.model, service),)
            self._asked = None
            events = await self._first_of(candidate)
            if events is not None:
                return events

    async def aclose(self) -> None:
        """Let the model go."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _choose(self) -> _Candidate:
        """Who is asked next, once they may be. Raises what is told where nobody may."""
        while True:
            able = [c for c in self._candidates if not c.unfit]
            now = _now()
            free = [c for c in able if c.free <= now]
            if free and now <= self._deadline:
                return min(free, key=lambda c: c.attempts)
            known = [c for c in able if c.failure is not None or c.free > now]
            soonest = min(known or able, key=lambda c: c.free)
            if max(now, soonest.free) > self._deadline:
                error = soonest.told()
                raise error from error.__cause__
            await asyncio.sleep(soonest.free - now)

    async def _first_of(self, candidate: _Candidate) -> Sequence[ModelEvent] | None:
        """The first events of this one; None: it has failed, and others may be asked."""
        began = _now()
        candidate.attempts += 1
        if candidate.attempts == 1 and not candidate.first:
            candidate.request = fitting(candidate.client.connection.kind, candidate.request)
        try:
            async with asyncio.timeout_at(self._silent_at(began)):
                self._stream = await candidate.client.begin(
                    candidate.request, candidate.delay, self._reached_within(began)
                )
                events = await self._stream.__anext__()
        except TimeoutError as exc:
            late = ModelTimeout(f"The model service said nothing for {_now() - began:.1f} seconds.")
            late.__cause__ = exc
            await self._give_up(candidate, late, candidate.delay)
        except Failed as failed:
            failed.error.__cause__ = failed.__cause__
            await self._give_up(candidate, failed.error, failed.wait)
        except ChatError as error:
            await self._give_up(candidate, error, None)
        except StopAsyncIteration:
            nothing = ModelBrokeOff("The model's stream ended before anything was said.")
            await self._give_up(candidate, nothing, candidate.delay)
        else:
            self._begun = True
            return events
        return None

    def _waiting(self, now: float) -> int:
        """How many have not been asked yet, and may be."""
        return sum(not (c.attempts or c.unfit or c.free > now) for c in self._candidates)

    def _reached_within(self, now: float) -> float:
        """Seconds for connecting."""
        left, waiting = self._deadline - now, self._waiting(now)
        share = max(left / (waiting + 1), left - waiting * KEPT_SECONDS)
        return share if waiting else max(share, LEAST_SECONDS)

    def _silent_at(self, now: float) -> float | None:
        """When the next one is asked instead; None: there is none, or it is too late for it."""
        silent = now + self._silence
        return silent if self._waiting(now) and silent <= self._deadline else None

    async def _give_up(self, candidate: _Candidate, error: ChatError, wait: float | None) -> None:
        """Note its failure. Raises one that others would not help with."""
        await self.aclose()
        candidate.failed(error, wait)
        if isinstance(error, RateLimited | ModelUnavailable | ModelTimeout):
            outcome = "failed"
        elif candidate.first or not _is_its_own(error):
            raise error from error.__cause__
        else:
            candidate.unfit = True
            outcome = "cannot serve the request"
        name = candidate.client.connection.name
        _log.warning("The connection %s %s (%s): %s", name, outcome, error.code, error.message)


def fitting(kind: Kind, request: ModelRequest) -> ModelRequest:
    """The request without the app's own parameters that this kind does not take."""
    parameters = {
        name: value
        for name, value in request.parameters.items()
        if name in request.chosen or _takes(kind, request, {name: value})
    }
    return msgspec.structs.replace(request, parameters=parameters)


def _takes(kind: Kind, request: ModelRequest, parameters: dict[str, Any]) -> bool:
    try:
        prepared(kind, msgspec.structs.replace(request, parameters=parameters))
    except Misconfigured:
        return False
    return True


def _for_fallback(client: ChatCompletions, request: ModelRequest) -> ModelRequest:
    model = client.connection.model
    assert model is not None, "a fallback without a model is refused with the settings"
    return msgspec.structs.replace(request, model=model, chosen=request.chosen - {"model"})


def _is_its_own(error: ChatError) -> bool:
    """Whether the refusal says what a connection cannot do, and nothing about the request."""
    its_own = isinstance(error, InvalidRequest | Misconfigured)
    return its_own and not isinstance(error, ContentFiltered)


def _now() -> float:
    return asyncio.get_running_loop().time()
