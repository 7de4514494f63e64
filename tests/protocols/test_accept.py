"""Which response form `Accept` asks for."""

import pytest

from shared.errors import NotAcceptable
from shared.protocols.native.accept import choose_form

TEXT = ("text", "text/plain; charset=utf-8")
BYTES = ("text", "application/octet-stream")
LINES = ("ndjson", "application/x-ndjson")
JSONL = ("ndjson", "application/jsonl")
SSE = ("sse", "text/event-stream")
OBJECT = ("json", "application/json")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, TEXT),
        ("", TEXT),
        ("  ", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("text/plain; charset=iso-8859-1", TEXT),
        ("text/*", TEXT),
        ("TEXT/Plain", TEXT),
        ("application/octet-stream", BYTES),
        ("application/x-ndjson", LINES),
        ("application/jsonl", JSONL),
        ("text/event-stream", SSE),
        ("application/json", OBJECT),
        ("application/*", OBJECT),
        ("application/json, text/plain, */*", OBJECT),
        ("text/html, application/xhtml+xml, */*;q=0.8", TEXT),
        ("text/plain;q=0.5, text/event-stream", SSE),
        ("text/plain;q=0.5, text/event-stream;q=0.5", TEXT),
        ("text/event-stream ; Q=0.1 , application/json; q = 0.2", OBJECT),
        ("text/plain;q=0, application/json;q=0.001", OBJECT),
        ("text/plain;q=2, application/json;q=1", TEXT),
        ("text/plain;q=x, application/json;q=0.1", OBJECT),
        ("text/plain;q=nan, application/json;q=0.1", OBJECT),
        (",,application/json", OBJECT),
        ("text/plain;q=0, */*", BYTES),
        ("text/plain;q=0.5, */*", BYTES),
        ("text/plain;q=0.5, */*;q=0.4", TEXT),
        ("text/*;q=0, */*;q=0.1", BYTES),
        ("text/plain;q=0, text/*", SSE),
        ("application/json;q=0, application/octet-stream;q=0, application/*", LINES),
        ("*/*;q=0, application/jsonl", JSONL),
        ("*/*, application/*;q=0, text/plain;q=0", SSE),
    ],
)
def test_the_form_for_an_accept(accept: str | None, form: tuple[str, str]) -> None:
    assert choose_form(accept, through_static_web_apps=False) == form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, BYTES),
        ("*/*", BYTES),
        ("text/*", BYTES),
        ("text/plain", TEXT),
        ("*/*, text/plain", BYTES),
        ("text/event-stream", SSE),
        ("application/json", OBJECT),
    ],
)
def test_through_static_web_apps_text_goes_as_bytes(
    accept: str | None, form: tuple[str, str]
) -> None:
    assert choose_form(accept, through_static_web_apps=True) == form


@pytest.mark.parametrize(
    "accept",
    [
        *("text/html", "image/*", "json", "text/plain;q=0", "*", ";q=1"),
        "text/plain;q=0, text/event-stream;q=0, text/*",
        "*/*;q=0",
    ],
)
def test_anything_else_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="text/event-stream"):
        choose_form(accept, through_static_web_apps=False)
