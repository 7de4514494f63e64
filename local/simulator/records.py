"""What the control API says about a request that the simulator received."""

from typing import Any, Literal

import msgspec

from local.simulator.behaviour import Behaviour

Style = Literal["azure-v1", "azure-dated", "azure-models", "openai", "mistral"]

# streaming: being answered, also before the headers; held: paused by a `hold`;
# finished: everything was sent that was to be sent; aborted: the caller left before that.
State = Literal["streaming", "held", "finished", "aborted"]


class Authentication(msgspec.Struct, frozen=True, rename="camel"):
    """How a request was authenticated; never the secret itself."""

    kind: Literal["none", "key", "token"]
    audience: str | None = None
    client_id: str | None = None


class RequestRecord(msgspec.Struct, frozen=True, rename="camel"):
    """One chat completions request, as far as it has come."""

    number: int
    style: Style
    deployment: str | None
    api_version: str | None
    authentication: Authentication
    headers: dict[str, str]
    # The body as JSON; None where it was not JSON, or is no longer kept.
    body: Any
    state: State
    # Chunks of content that were sent, thoughts and tool arguments not counted.
    chunks: int
    # How it ended: a finish reason, a kind of fault, or `status 429`; None while it runs.
    outcome: str | None
    # Tokens of thought so far, seen or not.
    reasoning_tokens: int
    # When it arrived, and when it ended (None while it runs), in milliseconds since 1970.
    received_at: int
    ended_at: int | None


class RecordList(msgspec.Struct, frozen=True):
    """What lists of requests come in, oldest first."""

    requests: list[RequestRecord]


class ScriptMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests a queued behaviour is for; what is absent matches every request."""

    deployment: str | None = None
    # A text that the last user message contains.
    contains: str | None = None


class Queued(msgspec.Struct, frozen=True):
    """Behaviour that waits for requests; `times`: for so many still, None for all."""

    behaviour: tuple[Behaviour, ...]
    match: ScriptMatch
    times: int | None


class QueuedList(msgspec.Struct, frozen=True):
    """What the script comes in, in the order in which it is tried."""

    queued: list[Queued]
