"""What is known of requests and turns, as plain values: no SDK, and nothing that waits.

Times are nanoseconds since 1970, as OpenTelemetry has them.
"""

import hashlib
import random
import re
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from shared.messages import FinishReason, ModelService, Usage

MOST_CALLS = 64
"""Store calls of one turn that are told one by one; a long turn's checkpoints are counted only."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Span(NamedTuple):
    """Where something stands in a trace: ids as OpenTelemetry has them; `parent` 0: none."""

    trace: int
    parent: int
    id: int

    def child(self) -> "Span":
        """A span below this one."""
        return Span(self.trace, self.id, _random(64))


@dataclass(slots=True)
class Call:
    """One request, as the host announced it. `span`: the host's own, whose id is 0 if unknown."""

    endpoint: str
    invocation: str
    span: Span
    began: int


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """How a request went, until its response began. `code`: the error's, where there was one."""

    call: Call
    ended: int
    code: str | None = None


@dataclass(frozen=True, slots=True)
class StoreCall:
    """One request to the history. `error`: the type of what went wrong."""

    operation: str
    began: int
    ended: int
    error: str | None = None


@dataclass(slots=True)
class Search:
    """The documents of one turn."""

    retriever: str
    began: int
    ended: int = 0
    found: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What was said; kept only where `CHAT_TELEMETRY_CONTENT` says so."""

    messages: Sequence[Mapping[str, Any]]
    answer: str


@dataclass(slots=True)
class TurnFacts:
    """One turn, from the request on. `how`: `run` here, `told` again, or `refused`."""

    span: Span
    invocation: str
    began: int
    action: str
    model: str
    service: ModelService | None
    conversation: str | None
    """A hash of the id."""
    how: str = "run"
    ended: int = 0
    asked: int = 0
    """When the model was asked, 0: never."""
    first: int = 0
    """When it first said anything."""
    chunks: int = 0
    """Reads of the model's stream."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fail_overs: int = 0
    answered_by: str | None = None
    """The model that answered, where it is another one than was asked."""
    reason: FinishReason | None = None
    code: str | None = None
    """Of the error that it was refused or ended with."""
    usage: Usage | None = None
    reasoning_tokens: int = 0
    watchers: int = 0
    """The most at once."""
    checkpoints: int = 0
    store_calls: int = 0
    calls: list[StoreCall] = field(default_factory=list)
    search: Search | None = None
    content: Content | None = None

    @property
    def fault(self) -> str | None:
        """What an operator is to look at: a refusal's code, or that of an end that is none."""
        if self.how == "refused" or self.reason == "error":
            return self.code
        return self.reason if self.reason == "incomplete" else None

    def called(self, call: StoreCall) -> None:
        """Note a store call that the turn made."""
        self.store_calls += 1
        self.checkpoints += call.operation == "save"
        if len(self.calls) < MOST_CALLS:
            self.calls.append(call)


@dataclass(frozen=True, slots=True)
class LogFacts:
    """One line of the app's log. `error`: type, message and traceback of an exception."""

    span: Span | None
    time: int
    logger: str
    severity: int
    """As Python's levels."""
    text: str
    error: tuple[str, str, str] | None = None


type Facts = RequestFacts | StoreCall | TurnFacts | LogFacts


class Telemetry(Protocol):
    """Takes facts, and keeps nobody waiting."""

    @property
    def content(self) -> bool:
        """Whether messages may be told."""
        ...

    def record(self, facts: Facts) -> None: ...


class NoTelemetry:
    """Tells nobody anything."""

    content = False

    def record(self, facts: Facts) -> None:
        pass


CALL: ContextVar[Call | None] = ContextVar("call", default=None)
"""The request that what runs now belongs to."""
TURN: ContextVar[TurnFacts | None] = ContextVar("turn", default=None)
"""The turn, in the tasks that run it."""


def now() -> int:
    return time.time_ns()


def begin_call(endpoint: str, invocation: str, traceparent: str | None) -> Call:
    """A request begins, in the trace that the host is in, else in one of its own."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    trace, span = (int(found[1], 16), int(found[2], 16)) if found else (0, 0)
    call = Call(endpoint, invocation, Span(trace or _random(128), 0, span), now())
    CALL.set(call)
    return call


def new_turn(
    action: str, model: str, service: ModelService | None, conversation: str | None
) -> TurnFacts:
    """A turn begins, as far as is known then; what runs from here on belongs to it."""
    call = CALL.get()
    above = call.span if call is not None else Span(_random(128), 0, 0)
    facts = TurnFacts(
        span=above.child(),
        invocation=call.invocation if call is not None else "",
        began=call.began if call is not None else now(),
        action=action,
        model=model,
        service=service,
        conversation=hashed(conversation) if conversation else None,
    )
    TURN.set(facts)
    return facts


def current_span() -> Span | None:
    """Where what runs now stands, for what is logged."""
    turn = TURN.get()
    call = CALL.get()
    return turn.span if turn is not None else call.span if call is not None else None


def hashed(identifier: str) -> str:
    """A conversation's id as operators see it: the same for the same, and no key to it."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:16]


def _random(bits: int) -> int:
    return random.getrandbits(bits) or 1  # an id that is to be unlike others, no secret
