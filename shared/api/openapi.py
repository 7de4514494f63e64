"""OpenAPI 3.1 of the whole API; the schemas come from the types that check the requests."""

from functools import cache
from typing import Any, get_args

import msgspec

from shared import errors
from shared.api.openapi_chats import chat_paths, chat_schemas
from shared.messages import Document, FinishReason, Options
from shared.protocols.native.request import NOT_BESIDE_RESULTS, ChatBody

_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_CONVERSATION = {"name": "conversationId", "in": "path", "required": True, "schema": _ID}
_TURN = {"name": "turnId", "in": "path", "required": True, "schema": _ID}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
}
_CURSOR = {"name": "cursor", "in": "query", "schema": {"type": "string"}}
_POSITION = "A position: what follows is exactly what comes after it."
_TOGETHER = "The results that one turn brought count as one message, and are never parted."
_STREAM_FORMS = (
    "text/plain",
    "application/octet-stream",
    "application/x-ndjson",
    "application/jsonl",
    "text/event-stream",
)


@cache
def document() -> dict[str, Any]:
    """The document, made when it is first asked for."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Streaming chat backend",
            "version": "1",
            "description": "Streamed, remembered chat turns on Azure Functions.",
        },
        "servers": [{"url": "/api"}],
        "paths": _paths() | chat_paths(),
        "components": {"schemas": _request_schemas() | _schemas() | chat_schemas()},
    }


def _request_schemas() -> dict[str, Any]:
    """What `POST /api/chat` takes, as the types say that check it."""
    _, found = msgspec.json.schema_components(
        (ChatBody, Options, Document), ref_template="#/components/schemas/{name}"
    )
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    text = msgspec.json.encode(found).replace(rb"\\Z", b"$")
    schemas: dict[str, Any] = msgspec.json.decode(text)
    # What the types leave to code: the closed list of options, and that a turn answers either a
    # question or, in a conversation, what its calls gave.
    body = schemas["ChatBody"]
    body["properties"]["options"] = {"anyOf": [_ref("Options"), {"type": "null"}]}
    body["properties"]["userPrompt"]["anyOf"][0]["minLength"] = 1
    body["properties"]["toolResults"]["anyOf"][0]["minItems"] = 1
    body["oneOf"] = [
        {
            "required": ["userPrompt"],
            "properties": {"userPrompt": {"type": "string"}, "toolResults": {"type": "null"}},
        },
        {
            "required": ["toolResults", "conversationId"],
            "properties": {
                "toolResults": {"type": "array"},
                "conversationId": {"type": "string"},
                "store": {"enum": [True, None]},
                "userPrompt": {"type": "null"},
                **{field: {"type": "null"} for field in NOT_BESIDE_RESULTS},
            },
        },
    ]
    return schemas


def _paths() -> dict[str, Any]:
    conversation = "/conversations/{conversationId}"
    turn = f"{conversation}/turns/{{turnId}}"
    return {
        "/chat": {
            "post": _operation(
                "Run a turn, stream the answer",
                {"200": _stream()},
                body="ChatBody",
                refusals=_codes(errors.ChatError),
            )
        },
        "/actions": {"get": _operation("The actions", {"200": _json("Actions")})},
        "/conversations": {
            "get": _operation(
                "The caller's conversations, newest first",
                {"200": _json("Conversations")},
                parameters=[_LIMIT, _CURSOR],
            )
        },
        conversation: {
            "parameters": [_CONVERSATION],
            "get": _operation("One conversation", {"200": _json("Conversation")}),
            "patch": _operation(
                "Rename it", {"200": _json("Conversation")}, body="ConversationTitle"
            ),
            "delete": _operation(
                "Delete it, for good; cancels a running turn", {"204": {"description": "Gone"}}
            ),
        },
        f"{conversation}/messages": {
            "parameters": [_CONVERSATION],
            "get": _operation(
                "Its messages, newest first",
                {"200": _json("Messages")},
                parameters=[_LIMIT | {"description": _TOGETHER}, _CURSOR],
            ),
        },
        f"{conversation}/export": {
            "parameters": [_CONVERSATION],
            "get": _operation("All of it, oldest first", {"200": _json("Export")}),
        },
        turn: {
            "parameters": [_CONVERSATION, _TURN],
            "get": _operation("The state of a turn", {"200": _json("Turn")}),
        },
        f"{turn}/stream": {
            "parameters": [_CONVERSATION, _TURN],
            "get": _operation(
                "Attach to a turn, live or ended",
                {"200": _stream(), "204": {"description": "Nothing comes after the position"}},
                parameters=[
                    {
                        "name": "after",
                        "in": "query",
                        "description": _POSITION,
                        "schema": {"type": "string"},
                    },
                    {
                        "name": "Last-Event-ID",
                        "in": "header",
                        "description": f"{_POSITION} Wins over `after`.",
                        "schema": {"type": "string"},
                    },
                ],
            ),
        },
        f"{turn}/stop": {
            "parameters": [_CONVERSATION, _TURN],
            "post": _operation(
                "Stop a turn; what was generated is kept",
                {"200": _json("Turn"), "202": _json("Turn")},
            ),
        },
        "/health": {
            "get": _operation(
                "Whether the process serves; with probe=ready, whether store and model answer",
                {"200": _json("Health"), "503": _json("Health")},
                parameters=[
                    {"name": "probe", "in": "query", "schema": {"type": "string", "const": "ready"}}
                ],
            )
        },
        "/openapi.json": {
            "get": _operation("This document", {"200": _json("OpenApi")}),
        },
    }


def _schemas() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "integer"}
    time = {"type": "string", "format": "date-time"}
    reason = {"type": ["string", "null"], "enum": [*get_args(FinishReason.__value__), None]}
    usage = _object(
        {
            "promptTokens": number,
            "completionTokens": number,
            "totalTokens": number,
            "estimated": {"type": "boolean"},
        }
    )
    conversation = {
        "id": _ID,
        "title": text,
        "createdAt": time,
        "updatedAt": time,
        "messageCount": number,
    }
    cited = _object({"id": text, "title": text, "url": text, "score": {"type": "number"}}, ())
    call = _object({"id": text, "name": text, "arguments": text})
    error = _object({"code": text, "message": text, "retryable": {"type": "boolean"}})
    message = _object(
        {
            "role": {"enum": ["user", "assistant", "tool"]},
            "content": text,
            "turnId": _ID,
            "createdAt": time,
            "toolCallId": text,
            "state": {"enum": ["running", "ended"]},
            "finishReason": reason,
            "usage": _ref("Usage"),
            "reasoning": text,
            "citations": _list(cited),
            "toolCalls": _list(call),
            "error": error,
            "replaced": {"const": True},
        },
        ("role", "content", "turnId", "createdAt"),
    )
    fault = _object({"part": text, "code": text, "detail": text})
    return {
        "Usage": usage,
        "Conversation": _object(conversation | {"runningTurnId": _ID}, tuple(conversation)),
        "Conversations": _page("Conversation"),
        "ConversationTitle": _object({"title": text | {"minLength": 1, "maxLength": 200}}),
        "StoredMessage": message,
        "Messages": _page("StoredMessage"),
        "Export": _object(
            {"conversation": _ref("Conversation"), "messages": _list(_ref("StoredMessage"))}
        ),
        "Turn": _object(
            {
                "turnId": _ID,
                "state": {"enum": ["running", "ended"]},
                "finishReason": reason,
                "usage": {"anyOf": [_ref("Usage"), {"type": "null"}]},
            }
        ),
        "Actions": _object(
            {"items": _list(_object({"name": text, "title": text, "description": text}))}
        ),
        "Health": _object({"status": text, "failures": _list(fault)}, ("status",)),
        "OpenApi": {"type": "object"},
        "Answer": _object(
            {
                "conversationId": _ID,
                "turnId": _ID,
                "finishReason": reason,
                "usage": _ref("Usage"),
                "citations": _list(cited),
                "toolCalls": _list(call),
                "error": error,
            },
            ("finishReason", "usage", "citations"),
        )
        | {"additionalProperties": text},
        "Problem": _object(
            {
                "type": text,
                "title": text,
                "status": number,
                "detail": text,
                "code": {"enum": sorted({code for code, _ in _kinds(errors.ChatError)})},
                "errors": _list(_object({"field": text, "message": text})),
                "turnId": _ID,
            },
            ("type", "title", "status", "detail", "code"),
        ),
    }


def _operation(
    summary: str,
    responses: dict[str, Any],
    *,
    body: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
    refusals: tuple[str, ...] = (),
) -> dict[str, Any]:
    problem = {
        "description": "What is wrong, and what would be right",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": responses | dict.fromkeys(refusals, problem) | {"default": problem},
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(body)}},
        }
    return operation


def _codes(root: type[errors.ChatError]) -> tuple[str, ...]:
    return tuple(sorted({str(status) for _, status in _kinds(root)}))


def _kinds(root: type[errors.ChatError]) -> set[tuple[str, int]]:
    """Code and status of every kind of error."""
    found = {(kind.code, kind.status) for kind in root.__subclasses__()}
    return found.union(*(_kinds(kind) for kind in root.__subclasses__()))


def _stream() -> dict[str, Any]:
    content: dict[str, Any] = {form: {"schema": {"type": "string"}} for form in _STREAM_FORMS}
    content["application/json"] = {"schema": _ref("Answer")}
    headers = {name: {"schema": _ID} for name in ("x-conversation-id", "x-turn-id")}
    return {"description": "The turn's events, by Accept", "headers": headers, "content": content}


def _json(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}


def _page(item: str) -> dict[str, Any]:
    return _object({"items": _list(_ref(item)), "nextCursor": {"type": ["string", "null"]}})


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": names}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
