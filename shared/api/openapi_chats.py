"""OpenAPI of the AI Chat Protocol and of the UI message stream."""

from typing import Any, get_args

import msgspec

from shared import errors
from shared.messages import FinishReason
from shared.protocols.ai_chat.encoders import BROKE_OFF
from shared.protocols.ai_chat.request import AiChatBody, SessionState
from shared.protocols.chosen import Chosen
from shared.protocols.ui_messages.request import UiChatBody, UiMessage

_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}


def chat_paths() -> dict[str, Any]:
    headers = {name: {"schema": _ID} for name in ("x-conversation-id", "x-turn-id")}
    said = {"description": "The completion", "headers": headers, "content": _json("AiChatAnswer")}
    lines = {
        "description": "One object a line; blank lines are heartbeats",
        "headers": headers,
        "content": {
            form: {"schema": _TEXT | {"x-lines": _ref("AiChatLine")}}
            for form in ("application/jsonl", "application/octet-stream")
        },
    }
    parts = {
        "description": "The parts of one assistant message, or its text",
        "headers": headers | {"x-vercel-ai-ui-message-stream": {"schema": {"const": "v1"}}},
        "content": {
            form: {"schema": _TEXT}
            for form in ("text/event-stream", "text/plain", "application/octet-stream")
        },
    }
    refused = {"description": "What is wrong", "content": _json("AiChatRefusal")}
    problem = {
        "description": "What is wrong, and what would be right",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    chat = {"name": "chatId", "in": "path", "required": True, "schema": _ID}
    return {
        "/ai-chat": {"post": _post("A completion", "AiChatBody", said, refused)},
        "/ai-chat/stream": {"post": _post("A streamed completion", "AiChatBody", lines, refused)},
        "/ui-chat": {"post": _post("Run a turn as useChat does", "UiChatBody", parts, problem)},
        "/ui-chat/{chatId}/stream": {
            "parameters": [chat],
            "get": {
                "summary": "Resume the turn that runs, from its beginning",
                "responses": {
                    "200": parts,
                    "204": {"description": "No turn runs"},
                    "default": problem,
                },
            },
        },
    }


def chat_schemas() -> dict[str, Any]:
    """What the requests take, as the types say that check it, and what is answered."""
    kinds = (AiChatBody, Chosen, SessionState, UiChatBody, UiMessage)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    schemas: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found).replace(rb"\\Z", b"$"))
    for name in ("Chosen", "UiChatBody"):
        schemas[name]["properties"]["options"] = _or_null(_ref("Options"))
    body = schemas["AiChatBody"]
    body["properties"] |= {
        "messages": {"type": "array", "items": _ref("AiChatMessage"), "minItems": 1},
        "context": _or_null(_ref("Chosen")),
        "sessionState": _or_null(_ref("SessionState")),
    }
    body["required"] = ["messages"]
    body["description"] += "\nThe last message is what is asked, and must be the user's."
    body = schemas["UiChatBody"]
    body["properties"]["id"] = _ID
    body["required"] = ["id"]
    body["properties"]["messages"]["anyOf"][0]["minItems"] = 1
    body["oneOf"] = [
        {"required": [given], "properties": {given: {"type": kind}, other: {"type": "null"}}}
        for given, kind, other in (
            ("messages", "array", "message"),
            ("message", "object", "messages"),
        )
    ]
    body["description"] += "\nThe last message is what is asked: a user's, or results of calls."
    error = _closed({"code": _TEXT, "message": _TEXT})
    context = _closed(
        {
            "citations": {"type": "array", "items": _OBJECT},
            "finishReason": {"enum": list(get_args(FinishReason.__value__))},
            "contentFilter": _TEXT,
            "toolCalls": {"type": "array", "items": _OBJECT},
            "usage": _ref("Usage"),
        },
        (),
    )
    thoughts = _closed({"reasoning": _TEXT})
    message = {"role": {"const": "assistant"}, "content": _TEXT, "context": thoughts}
    return schemas | {
        "AiChatError": error | {"description": f"A code of ours, or {BROKE_OFF['code']}"},
        "AiChatRefusal": _closed({"error": _ref("AiChatError")}),
        "AiChatContext": context,
        "AiChatAnswer": _closed(
            {
                "message": _closed(message, ("role", "content")),
                "sessionState": _ref("SessionState"),
                "context": _ref("AiChatContext"),
                "error": _ref("AiChatError"),
            },
            ("message", "sessionState", "context"),
        ),
        "AiChatLine": _closed(
            {
                "delta": _closed(message, ()),
                "sessionState": _ref("SessionState"),
                "context": _ref("AiChatContext"),
                "error": _ref("AiChatError"),
            },
            (),
        ),
    }


def _post(
    summary: str, body: str, answer: dict[str, Any], refusal: dict[str, Any]
) -> dict[str, Any]:
    statuses = sorted({str(kind.status) for kind in _errors_of(errors.ChatError)})
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {"200": answer} | dict.fromkeys(statuses, refusal) | {"default": refusal},
    }


def _errors_of(root: type[errors.ChatError]) -> list[type[errors.ChatError]]:
    """Every kind of error below one."""
    found = root.__subclasses__()
    return found + [kind for below in found for kind in _errors_of(below)]


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(schema)}}


def _closed(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties if required is None else required)
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": False,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
