"""Bounds of a request, a turn, an instance, and of the bill."""

from collections.abc import Callable

from msgspec import Struct

from shared.errors import Misconfigured
from shared.settings.access import AuthMode
from shared.settings.values import Values


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of one request, one turn and one instance."""

    body_bytes: int
    prompt_chars: int
    input_chars: int
    completion_tokens: int
    history_messages: int
    history_tokens: int
    context_tokens: int
    """Of the documents in one prompt."""
    concurrent_turns: int
    model_timeout: float
    """Seconds: the longest silence of a model."""
    disconnect_grace: float
    """Seconds that a turn goes on with nobody watching."""


class Allowance(Struct, frozen=True, kw_only=True):
    """What may be used before callers are refused; None: as much as they like."""

    daily_tokens: int | None
    """By the whole app."""
    daily_tokens_per_owner: int | None
    requests_per_minute: int | None
    """Of each owner."""


def read_limits(values: Values) -> Limits:
    """`CHAT_MAX_…`, `CHAT_HISTORY_MAX_…` and the two times. Raises `Misconfigured`."""
    return Limits(
        body_bytes=values.integer("CHAT_MAX_BODY_BYTES", 1 << 20, 1024, 100 << 20),
        prompt_chars=values.integer("CHAT_MAX_PROMPT_CHARS", 32_000, 1, 100_000_000),
        input_chars=values.integer("CHAT_MAX_INPUT_CHARS", 400_000, 1, 100_000_000),
        completion_tokens=values.integer("CHAT_MAX_COMPLETION_TOKENS", 16_384, 1, 10_000_000),
        history_messages=values.integer("CHAT_HISTORY_MAX_MESSAGES", 40, 2, 998),
        history_tokens=values.integer("CHAT_HISTORY_MAX_TOKENS", 32_000, 1, 100_000_000),
        context_tokens=values.integer("CHAT_CONTEXT_MAX_TOKENS", 32_000, 1, 100_000_000),
        concurrent_turns=values.integer("CHAT_MAX_CONCURRENT_TURNS", 500, 1, 100_000),
        model_timeout=values.integer("CHAT_MODEL_TIMEOUT_SECONDS", 180, 1, 3600),
        disconnect_grace=values.integer("CHAT_DISCONNECT_GRACE_SECONDS", 30, 0, 3600),
    )


def read_allowance(values: Values, mode: Callable[[], AuthMode]) -> Allowance | None:
    """The limits that protect the bill; None: there are none, and nothing is counted.

    Raises `Misconfigured`, also for a limit of each owner where nobody signs in.
    """
    tokens, owners_tokens, requests = (
        values.integer(name, 0, 1, 999_999_999_999) or None
        for name in ("CHAT_DAILY_TOKENS", *_PER_OWNER)
    )
    named = [name for name in _PER_OWNER if values.text(name)]
    if named and mode() == "anonymous":
        raise Misconfigured(
            f"{named[0]} counts for each signed-in owner, and with CHAT_AUTH=anonymous there "
            "is none: take it away, and limit the whole app with CHAT_DAILY_TOKENS."
        )
    if tokens is None and not named:
        return None
    return Allowance(
        daily_tokens=tokens,
        daily_tokens_per_owner=owners_tokens,
        requests_per_minute=requests,
    )


_PER_OWNER = ("CHAT_DAILY_TOKENS_PER_OWNER", "CHAT_REQUESTS_PER_MINUTE")
