"""What a model service answers instead of a stream, as this app's errors.

Error bodies are OpenAI's `{"error": {message, type, param, code}}`, to which Azure adds
`innererror` with the results of its content filter
(https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter); gateways in front
send others. Mistral's have no `error`: what is wrong stands under `message` or `detail`, as a text,
a list of a validator's findings, or an object that holds that list. All are read for codes and
names, and never shown.
"""

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from msgspec import Struct

from shared.errors import (
    ChatError,
    ContentFiltered,
    ContextLengthExceeded,
    InvalidRequest,
    ModelRefused,
    ModelUnavailable,
    RateLimited,
    UnknownModel,
)
from shared.models.fields import FIELDS
from shared.models.filters import fired_in_error, named
from shared.settings import Connection

DEFAULT_RETRY_AFTER: Final = 10.0
"""Seconds, where a service that is busy does not say how long."""
MAX_RETRY_AFTER: Final = 86_400.0

_PASSING: Final = frozenset({408, 409})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,63}", re.ASCII)
_TOO_LONG = re.compile(r"context_length_exceeded|string_above_max_length|maximum context length")
_NO_MODEL = re.compile(r"\binvalid_model\b|\binvalid model(:| name\b)")
_OPENAI_ROLE: Final = "Cognitive Services OpenAI User"
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})


class Refusal(Exception):
    """What a service answered, as a log may show it: its own words may quote prompt or key."""


class Finding(NamedTuple):
    """What a validator says about one place of a request, as FastAPI and pydantic tell it:
    `{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "…"}`."""

    place: tuple[str, ...]
    """The field first."""
    words: str


class Answer(Struct, frozen=True):
    """An HTTP answer that is no stream; `error` is its body's error, or the whole body."""

    status: int
    headers: Mapping[str, str]
    error: object = None

    def text(self, name: str) -> str:
        """A field of the error; empty where it is none or no text."""
        value = self.error.get(name) if isinstance(self.error, Mapping) else None
        return value if isinstance(value, str) else ""

    def findings(self) -> Iterator[Finding]:
        """A validator's list, wherever the body has it."""
        message = _member(self.error, "message")
        for found in (_member(self.error, "detail"), message, _member(message, "detail")):
            if isinstance(found, list):
                yield from (_finding(item) for item in found if isinstance(item, Mapping))
                return

    def words(self) -> str:
        """All that it says about what is wrong, in small letters; what was sent is not in it."""
        said = [self.text(name) for name in ("code", "type", "message", "detail")]
        said += [finding.words for finding in self.findings()]
        return " ".join(said).lower()

    def refusal(self) -> Refusal:
        """Status, code and parameter, where they are mere names."""
        said = [self.text(name) for name in ("code", "type", "param")]
        names = [name for name in said if _NAME.fullmatch(name)]
        return Refusal(f"status {self.status} {' '.join(names)}".rstrip())

    @property
    def passing(self) -> bool:
        """Whether the service itself failed, so that asking again may help."""
        return self.status in _PASSING or self.status >= 500


def translated(
    answer: Answer, connection: Connection, model: str, chosen: Mapping[str, str]
) -> ChatError:
    """The error that a caller is told for an answer of this status.

    `chosen` maps the parameters that the caller set to the contract's names of their fields. Where
    it has `messages`, what is wrong with no field of the app's own is wrong with them.
    """
    status = answer.status
    if status in (401, 403):
        return ModelRefused(_unauthorized(answer, connection))
    if status == 429:
        wait = retry_after(answer.headers)
        return busy(DEFAULT_RETRY_AFTER if wait is None else wait)
    if answer.passing:
        return ModelUnavailable(f"The model service failed with status {status}.")
    if _unknown_model(answer):
        message = f"The model service knows no {_deployment(connection)} {model}"
        if "model" in chosen:
            return UnknownModel(f"{message}: name another.", field="model")
        return ModelRefused(
            f"{message}: look at {connection.setting('model')} and "
            f"{connection.setting('endpoint')}."
        )
    if status in (400, 413, 422):
        return _bad_request(answer, connection, chosen)
    return ModelRefused(
        f"The model service answered with status {status}: look at "
        f"{connection.setting('endpoint')}."
    )


def busy(seconds: float) -> RateLimited:
    """The error for a service that wants to be left alone for so long."""
    return RateLimited("The model service is busy: try again later.", retry_after=seconds)


def in_stream(error: object = None) -> ChatError:
    """The error for one that a service reports inside a stream that had begun well."""
    fields = error if isinstance(error, Mapping) else {}
    code = f"{fields.get('code')} {fields.get('type')}".lower()
    if any(name in code for name in _FILTERED):
        return ContentFiltered(
            f"The model's content filter stopped the answer ({named(fired_in_error(error))})."
        )
    if _TOO_LONG.search(code):
        return _too_long()
    if re.search(r"\b429\b|rate_?limit|too_?many_?requests|capacity_exceeded", code):
        return busy(DEFAULT_RETRY_AFTER)
    return ModelUnavailable("The model service reported an error in the middle of its answer.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, by `retry-after-ms` or `retry-after` (seconds, or a date); else None."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value, re.ASCII):
            return min(float(value) * unit, MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return min(max(date.timestamp() - time.time(), 0.0), MAX_RETRY_AFTER)
    except (ValueError, OverflowError):
        return None


def retry_wait(answer: Answer, delay: float) -> float | None:
    """Seconds to wait before asking again: `delay`, or what the service says; None: do not.

    A service that is busy is asked again only when it has said when.
    """
    said = retry_after(answer.headers)
    if answer.passing or (answer.status == 429 and said is not None):
        return max(said or 0.0, delay)
    return None


def _unknown_model(answer: Answer) -> bool:
    """Whether there is no such model: Mistral (`invalid_model`) and LiteLLM say so with a 400."""
    return answer.status == 404 or (
        answer.status == 400 and _NO_MODEL.search(answer.words()) is not None
    )


def _unauthorized(answer: Answer, connection: Connection) -> str:
    if connection.api_key is not None:
        return (
            f"The model service did not accept the key (status {answer.status}): look at "
            f"{connection.setting('apiKey')} and {connection.setting('endpoint')}."
        )
    role = "Cognitive Services User" if connection.kind == "mistral" else _OPENAI_ROLE
    return (
        f"The model service did not accept the app's identity (status {answer.status}): give it "
        f"the role {role} on the resource, and look at "
        f"{connection.setting('endpoint')} and {connection.setting('credential')}."
    )


def _bad_request(answer: Answer, connection: Connection, chosen: Mapping[str, str]) -> ChatError:
    inner = _member(answer.error, "innererror")
    if answer.text("code") in _FILTERED or _member(inner, "code") == "ResponsibleAIPolicyViolation":
        names = named(fired_in_error(answer.error))
        return ContentFiltered(
            f"The model's content filter refused the prompt ({names}): word it differently."
        )
    if answer.status == 413 or _TOO_LONG.search(answer.words()):
        return _too_long()
    name = parameter(answer) or ""
    if "messages" in chosen and (name == "messages" or name not in FIELDS):
        field = chosen["messages"]
        return InvalidRequest(
            f"{field}: the model service does not take them (status {answer.status}): look at what "
            "they hold, and at where images are.",
            field=field,
        )
    if name in chosen:
        field = chosen[name]
        return InvalidRequest(f"{field}: the model service does not take this value.", field=field)
    what = f"the request's {name}" if name else "the request"
    return ModelRefused(
        f"The model service did not take {what} (status {answer.status}): look at the action, at "
        f"{connection.setting('endpoint')} and at {connection.setting('apiVersion')}."
    )


def parameter(answer: Answer) -> str | None:
    """The request's field that an error names, without the path inside it."""
    if found := re.match(r"[a-z_]{1,64}(?![A-Za-z0-9])", answer.text("param"), re.ASCII):
        return found[0]
    places = (finding.place[0] for finding in answer.findings() if finding.place)
    return next((name for name in places if re.fullmatch(r"[a-z_]{1,64}", name, re.ASCII)), None)


def _finding(item: Mapping[Any, Any]) -> Finding:
    location = item.get("loc")
    place = [str(part) for part in location] if isinstance(location, list) else []
    return Finding(
        tuple(place[1:] if place[:1] == ["body"] else place),
        f"{item.get('type')} {item.get('msg')}",
    )


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _deployment(connection: Connection) -> str:
    return "deployment" if connection.kind == "azure_openai" else "model"


def _too_long() -> ContextLengthExceeded:
    return ContextLengthExceeded(
        "The prompt with its history and context is longer than the model can read: shorten it."
    )
