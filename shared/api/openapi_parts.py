"""What every part of the OpenAPI document is made of: schemas, headers, refusals, examples."""

from collections.abc import Iterable
from typing import Any

from shared import errors
from shared.errors import ChatError

ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
TEXT = {"type": "string"}
NULL = {"type": "null"}
NOT_BLANK = TEXT | {
    # What Python takes for blank. `\s` is another set of characters in every language.
    "pattern": r"[^\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f"
    r"\u205f\u3000]"
}
TURN_HEADERS = {
    name: {"required": True, "schema": ID} for name in ("x-conversation-id", "x-turn-id")
}
UNBUFFERED = {"x-accel-buffering": {"required": True, "schema": {"const": "no"}}}
SAFE = {
    name: {"required": True, "schema": {"const": value}}
    for name, value in (
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    )
}
"""What every response has."""

type Kinds = tuple[type[ChatError], ...]

ALWAYS: Kinds = (errors.Unauthenticated, errors.Misconfigured, errors.InternalError)
"""What whoever is asked who calls may say."""
STORED: Kinds = (*ALWAYS, errors.StoreUnavailable)
FOUND: Kinds = (*STORED, errors.NotFound)
BODY: Kinds = (errors.InvalidRequest, errors.PayloadTooLarge, errors.UnsupportedMediaType)


def every_kind(root: type[ChatError] = ChatError) -> Kinds:
    """Every kind of error below one."""
    found = root.__subclasses__()
    return (*found, *(kind for below in found for kind in every_kind(below)))


def refusals(kinds: Iterable[type[ChatError]], schema: str, media_type: str) -> dict[str, Any]:
    """The responses that tell these errors, by status; each names the codes that it may have."""
    codes: dict[str, set[str]] = {}
    for kind in kinds:
        codes.setdefault(str(kind.status), set()).add(kind.code)
    return {
        status: {
            "description": f"What is wrong, and what would be right: {', '.join(sorted(of))}",
            "headers": _retry_after(status),
            "content": {media_type: {"schema": ref(schema)}},
        }
        for status, of in sorted(codes.items())
    }


def _retry_after(status: str) -> dict[str, Any]:
    """A busy conversation and a store that is busy may say it; who is refused for now always."""
    if status not in ("409", "429", "503"):
        return {}
    seconds = {"type": "integer", "minimum": 1}
    header = {"description": "Whole seconds", "required": status == "429", "schema": seconds}
    return {"retry-after": header}


def problems(kinds: Iterable[type[ChatError]]) -> dict[str, Any]:
    """The same, as problems: the schema says the codes as well."""
    kinds = tuple(kinds)
    told = refusals(kinds, "Problem", "application/problem+json")
    for status, response in told.items():
        codes = sorted({kind.code for kind in kinds if str(kind.status) == status})
        exact = {"properties": {"status": {"const": int(status)}, "code": {"enum": codes}}}
        media = response["content"]["application/problem+json"]
        media["schema"] = {"allOf": [media["schema"], exact]}
    return told


def json_content(schema: str, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": ref(schema)}
    if examples:
        media["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": media}


def json_answer(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": json_content(schema)}


def object_of(
    properties: dict[str, Any], required: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """`required` None: all of them."""
    names = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": names}


def closed(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    return object_of(properties, required) | {"additionalProperties": False}


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if NULL in schema.get("anyOf", ()):
        return schema
    return {"anyOf": [schema, NULL]}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
