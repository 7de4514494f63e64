"""JSON of a request as values, with errors that name the field and what would be right."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.errors import InvalidRequest
from shared.messages import Options

_EXPECTED = re.compile(r"(?P<what>.*?) - at `(?P<path>[^`]*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
MAX_SHOWN = 80
_MUST_BE = {
    "conversationId": "must be 1 to 64 letters, digits, - or _",
    "turnId": "must be 1 to 64 letters, digits, - or _",
    "replaces": "must be 1 to 64 letters, digits, - or _",
    "resultVariableName": "must be a name: letters, digits and _, no digit first, 64 at most",
    "onDisconnect": "must be finish or cancel",
    "role": "must be user or assistant",
}
"""Where the library's own words would not tell a caller what is right."""


def decode[T](body: bytes, kind: type[T]) -> T:
    """JSON in UTF-8 as `kind`. Raises `InvalidRequest`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), kind) from exc
    except RecursionError as exc:
        raise InvalidRequest("The body is nested too deeply.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(
            "The body is not JSON in UTF-8, or holds half a surrogate pair."
        ) from exc


def convert[T](value: Any, kind: type[T], must_be: Mapping[str, str]) -> T:
    """What was decoded, as `kind`; `must_be` as `_MUST_BE`. Raises `InvalidRequest`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), kind, must_be=must_be) from exc


def read_value[T](value: Any, kind: type[T], field: str) -> T:
    """What was decoded, as `kind`; `field` says where it stood. Raises `InvalidRequest`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), kind, field) from exc


def read_options(given: dict[str, Any] | None) -> Options | None:
    """The further fields of the completions request. Raises `InvalidRequest` by field."""
    asked = {name: value for name, value in (given or {}).items() if value is not None}
    if not asked:
        return None
    try:
        return msgspec.convert(asked, Options)
    except msgspec.ValidationError as exc:
        raise _field_error(str(exc), Options, "options") from exc


def _field_error(
    text: str, kind: type, parent: str = "", must_be: Mapping[str, str] = _MUST_BE
) -> InvalidRequest:
    found = _EXPECTED.fullmatch(text)
    what, path = (found["what"], found["path"]) if found else (text, "$")
    field = ".".join(part for part in (parent, path.removeprefix("$").lstrip(".")) if part)
    if unknown := _UNKNOWN.fullmatch(what):
        name = _shown(unknown["name"][:MAX_SHOWN])
        field = f"{field}.{name}" if field else name
        known = ""
        if field in (name, f"{parent}.{name}"):
            names = (f.encode_name for f in msgspec.structs.fields(kind))
            known = f" The fields are: {', '.join(names)}."
        return InvalidRequest(f"There is no field {field}.{known}", field=field)
    message = _shown(what.replace("`", ""), 4 * MAX_SHOWN)
    if not field:
        return InvalidRequest(f"The body: {message}.")
    right = must_be.get(field.rpartition(".")[2])
    if right and ", got " not in message:
        return InvalidRequest(f"{field} {right}.", field=field)
    return InvalidRequest(f"{field}: {message}.", field=field)


def _shown(text: str, most: int = MAX_SHOWN) -> str:
    """What a caller sent, as a message may repeat it: not long, and without control characters."""
    cut = text if len(text) <= most else text[:most] + "…"
    return "".join(char if char.isprintable() else "\ufffd" for char in cut)
