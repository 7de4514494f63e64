"""Which response form `Accept` asks for (RFC 9110, 12.5.1)."""

from typing import Literal

from shared.errors import NotAcceptable
from shared.protocols.accepting import qualities, quality_of

type Form = Literal["text", "ndjson", "sse", "json"]

_FORMS: dict[str, tuple[Form, str]] = {
    "text/plain": ("text", "text/plain; charset=utf-8"),
    "application/octet-stream": ("text", "application/octet-stream"),
    "application/x-ndjson": ("ndjson", "application/x-ndjson"),
    "application/jsonl": ("ndjson", "application/jsonl"),
    "text/event-stream": ("sse", "text/event-stream"),
    "application/json": ("json", "application/json"),
}
_WILDCARDS = {
    "*/*": tuple(_FORMS),
    "text/*": ("text/plain", "text/event-stream"),
    "application/*": (
        "application/json",
        "application/octet-stream",
        "application/x-ndjson",
        "application/jsonl",
    ),
}
"""What each stands for: the first type that a more specific range does not rank lower."""


def choose_form(accept: str | None, *, through_static_web_apps: bool) -> tuple[Form, str]:
    """The form and its content type. Raises `NotAcceptable`.

    The highest `q` wins, then the first listed. Static Web Apps buffers text/plain, so that text
    goes through it as bytes, unless text/plain was asked for by name.
    """
    asked = qualities(accept if accept and accept.strip() else "*/*")
    for name, quality in sorted(asked.items(), key=lambda item: -item[1]):
        for media_type in _WILDCARDS.get(name, (name,)):
            if quality > 0 and media_type in _FORMS and quality_of(media_type, asked) >= quality:
                form, content_type = _FORMS[media_type]
                if form == "text" and name != "text/plain" and through_static_web_apps:
                    content_type = "application/octet-stream"
                return form, content_type
    raise NotAcceptable(
        "Accept must name one of text/plain, application/octet-stream, application/x-ndjson, "
        "application/jsonl, text/event-stream or application/json."
    )
