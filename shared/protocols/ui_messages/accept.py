"""Parts or plain text: `DefaultChatTransport` and `TextStreamChatTransport` post the same."""

from typing import Literal

from shared.errors import NotAcceptable
from shared.protocols.accepting import qualities, quality_of

type UiForm = Literal["parts", "text"]

_TEXT = ("text/plain", "application/octet-stream")
_PARTS = "text/event-stream"


def choose_ui_form(accept: str | None, *, through_static_web_apps: bool) -> tuple[UiForm, str]:
    """The form and its content type: parts, unless text is asked for by name.

    Raises `NotAcceptable`. Static Web Apps holds text/plain back, so that text goes through it as
    bytes, which the client takes as well.
    """
    asked = qualities(accept if accept and accept.strip() else "*/*")
    parts = quality_of(_PARTS, asked)
    text = max(asked.get(name, 0.0) for name in _TEXT)
    first = next((name for name in asked if name in (_PARTS, *_TEXT)), _PARTS)
    if text > parts or (text == parts > 0 and (first != _PARTS or _PARTS not in asked)):
        octets = through_static_web_apps or asked.get("text/plain", 0.0) < text
        return "text", "application/octet-stream" if octets else "text/plain; charset=utf-8"
    if parts > 0:
        return "parts", _PARTS
    raise NotAcceptable("Accept must name text/event-stream, or text/plain for the text alone.")
