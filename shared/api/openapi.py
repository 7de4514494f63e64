"""OpenAPI 3.1 of the whole API; the schemas come from the types that check the requests."""

from functools import cache
from typing import Any, get_args

import msgspec

from shared import errors
from shared.api import openapi_v1
from shared.api.openapi_chats import chat_paths, chat_schemas
from shared.api.openapi_parts import (
    ALWAYS,
    BODY,
    FOUND,
    ID,
    NOT_BLANK,
    SAFE,
    STORED,
    TEXT,
    TURN_HEADERS,
    UNBUFFERED,
    Kinds,
    closed,
    every_kind,
    json_answer,
    json_content,
    list_of,
    object_of,
    problems,
    ref,
)
from shared.api.openapi_rules import rule_chat, rule_options
from shared.api.openapi_streams import events, retrieval_fields, stream_schemas
from shared.messages import Document, FinishReason, Options
from shared.protocols.native.request import ChatBody

_CONVERSATION = {"name": "conversationId", "in": "path", "required": True, "schema": ID}
_TURN = {"name": "turnId", "in": "path", "required": True, "schema": ID}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
}
_CURSOR = {
    "name": "cursor",
    "in": "query",
    "description": "The `nextCursor` of the page before; opaque",
    "schema": TEXT,
}
_POSITION = "A position: what follows is exactly what comes after it."
_POSITION_FORM = TEXT | {"pattern": r"^([0-9]{1,9}\.[0-9]{1,9})?$"}
_TOGETHER = "The results that one turn brought count as one message, and are never parted."
_TEXTS = ("text/plain", "application/octet-stream")
_LINES = ("application/x-ndjson", "application/jsonl")
_PRINCIPAL = {
    "type": "apiKey",
    "in": "header",
    "name": "x-ms-client-principal",
    "description": "Who is calling, as Static Web Apps or App Service authentication says after "
    "signing in. What a caller sends in it the platform takes out.",
}
_QUESTIONS: dict[str, Any] = {
    "question": {"userPrompt": "What is a position?"},
    "inAConversation": {
        "conversationId": "trip-to-rome-in-may",
        "userPrompt": "When does it open?",
        "context": [{"content": "Open from 9 to 19.", "id": "7", "title": "Opening hours"}],
    },
    "withoutHistory": {"userPrompt": "What is a position?", "store": False},
}


@cache
def document(*, anonymous: bool = False) -> dict[str, Any]:
    """The document, made when it is first asked for; `anonymous`: nobody has to sign in."""
    paths = _paths() | openapi_v1.paths() | chat_paths()
    for path in paths.values():
        for method, operation in path.items():
            if method != "parameters":
                for response in operation["responses"].values():
                    response["headers"] = response.get("headers", {}) | SAFE
                operation["security"] = [] if anonymous else operation.get("security", _SIGNED_IN)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Streaming chat backend",
            "version": "1",
            "description": "Streamed, remembered chat turns on Azure Functions.",
        },
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": _request_schemas() | _schemas() | openapi_v1.schemas() | chat_schemas(),
            "securitySchemes": {"principal": _PRINCIPAL},
        },
    }


_SIGNED_IN: list[dict[str, list[str]]] = [{"principal": []}]


def _request_schemas() -> dict[str, Any]:
    """What `POST /api/chat` takes, as the types say that check it."""
    _, found = msgspec.json.schema_components(
        (ChatBody, Options, Document), ref_template="#/components/schemas/{name}"
    )
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    text = msgspec.json.encode(found).replace(rb"\\Z", b"$")
    schemas: dict[str, Any] = msgspec.json.decode(text)
    rule_chat(schemas["ChatBody"])
    rule_options(schemas["Options"])
    return schemas


def _paths() -> dict[str, Any]:
    conversation = "/conversations/{conversationId}"
    turn = f"{conversation}/turns/{{turnId}}"
    return {
        "/chat": {
            "post": _operation(
                "chat",
                "Run a turn, stream the answer",
                {"200": _stream(required=False) | {"links": _links()}},
                every_kind(),
                body=json_content("ChatBody", _QUESTIONS),
            )
        },
        "/actions": {
            "get": _operation("actions", "The actions", {"200": json_answer("Actions")}, ALWAYS)
        },
        "/conversations": {
            "get": _operation(
                "conversations",
                "The caller's conversations, newest first",
                {"200": json_answer("Conversations")},
                (*STORED, errors.InvalidRequest),
                parameters=[_LIMIT, _CURSOR],
            )
        },
        conversation: {
            "parameters": [_CONVERSATION],
            "get": _operation(
                "conversation", "One conversation", {"200": json_answer("Conversation")}, FOUND
            ),
            "patch": _operation(
                "rename",
                "Rename it",
                {"200": json_answer("Conversation")},
                (*FOUND, *BODY),
                body=json_content("ConversationTitle", {"title": {"title": "Rome"}}),
            ),
            "delete": _operation(
                "delete",
                "Delete it, for good; cancels a running turn",
                {"204": {"description": "Gone"}},
                FOUND,
            ),
        },
        f"{conversation}/messages": {
            "parameters": [_CONVERSATION],
            "get": _operation(
                "messages",
                "Its messages, newest first",
                {"200": json_answer("Messages")},
                (*FOUND, errors.InvalidRequest),
                parameters=[_LIMIT | {"description": _TOGETHER}, _CURSOR],
            ),
        },
        f"{conversation}/export": {
            "parameters": [_CONVERSATION],
            "get": _operation(
                "export", "All of it, oldest first", {"200": _attachment("Export")}, FOUND
            ),
        },
        turn: {
            "parameters": [_CONVERSATION, _TURN],
            "get": _operation("turn", "The state of a turn", {"200": json_answer("Turn")}, FOUND),
        },
        f"{turn}/stream": {
            "parameters": [_CONVERSATION, _TURN],
            "get": _operation(
                "attach",
                "Attach to a turn, live or ended",
                {
                    "200": _stream(required=True),
                    "204": {"description": "Nothing comes after the position"},
                },
                (*FOUND, errors.InvalidRequest, errors.NotAcceptable),
                parameters=[
                    {
                        "name": "after",
                        "in": "query",
                        "description": _POSITION,
                        "schema": _POSITION_FORM,
                    },
                    {
                        "name": "Last-Event-ID",
                        "in": "header",
                        "description": f"{_POSITION} Wins over `after`.",
                        "schema": _POSITION_FORM,
                    },
                ],
            ),
        },
        f"{turn}/stop": {
            "parameters": [_CONVERSATION, _TURN],
            "post": _operation(
                "stop",
                "Stop a turn; what was generated is kept",
                {"200": json_answer("Turn"), "202": json_answer("Turn")},
                FOUND,
            ),
        },
        "/health": {
            "get": _operation(
                "health",
                "Whether the process serves; with probe=ready, whether store and model answer",
                {"200": json_answer("Health"), "503": json_answer("Health")},
                (*ALWAYS, errors.InvalidRequest),
                parameters=[{"name": "probe", "in": "query", "schema": TEXT | {"const": "ready"}}],
            )
            | {"security": [{}, *_SIGNED_IN]},
        },
        "/openapi.json": {
            "get": _operation(
                "openapi", "This document", {"200": json_answer("OpenApi")}, (errors.InternalError,)
            )
            | {"security": []},
        },
    }


def _schemas() -> dict[str, Any]:
    text, number = TEXT, {"type": "integer"}
    time = {"type": "string", "format": "date-time"}
    reason = {"type": ["string", "null"], "enum": [*get_args(FinishReason.__value__), None]}
    usage = object_of(
        {
            "promptTokens": number,
            "completionTokens": number,
            "totalTokens": number,
            "estimated": {"type": "boolean"},
        }
    )
    conversation = {
        "id": ID,
        "title": text,
        "createdAt": time,
        "updatedAt": time,
        "messageCount": number,
    }
    cited = object_of({"id": text, "title": text, "url": text, "score": {"type": "number"}}, ())
    call = object_of({"id": text, "name": text, "arguments": text})
    error = object_of({"code": text, "message": text, "retryable": {"type": "boolean"}})
    message = object_of(
        {
            "role": {"enum": ["user", "assistant", "tool"]},
            "content": text,
            "turnId": ID,
            "createdAt": time,
            "toolCallId": text,
            "state": {"enum": ["running", "ended"]},
            "finishReason": reason,
            "usage": ref("Usage"),
            "reasoning": text,
            "citations": list_of(cited),
            "retrieval": ref("Retrieval"),
            "toolCalls": list_of(call),
            "error": error,
            "replaced": {"const": True},
        },
        ("role", "content", "turnId", "createdAt"),
    )
    told = stream_schemas(reason, cited)
    fault = object_of({"part": text, "code": text, "detail": text})
    return told | {
        "Usage": usage,
        "Retrieval": object_of(retrieval_fields(cited), ()),
        "Conversation": object_of(conversation | {"runningTurnId": ID}, tuple(conversation)),
        "Conversations": _page("Conversation"),
        "ConversationTitle": closed({"title": NOT_BLANK | {"minLength": 1, "maxLength": 200}}),
        "StoredMessage": message,
        "Messages": _page("StoredMessage"),
        "Export": object_of(
            {"conversation": ref("Conversation"), "messages": list_of(ref("StoredMessage"))}
        ),
        "Turn": object_of(
            {
                "turnId": ID,
                "state": {"enum": ["running", "ended"]},
                "finishReason": reason,
                "usage": {"anyOf": [ref("Usage"), {"type": "null"}]},
            }
        ),
        "Actions": object_of(
            {"items": list_of(object_of({"name": text, "title": text, "description": text}))}
        ),
        "Health": object_of({"status": text, "failures": list_of(fault)}, ("status",)),
        "OpenApi": {"type": "object"},
        "Answer": object_of(
            {
                "conversationId": ID,
                "turnId": ID,
                "finishReason": reason,
                "usage": ref("Usage"),
                "citations": list_of(cited),
                "retrieval": ref("Retrieval"),
                "toolCalls": list_of(call),
                "error": error,
            },
            ("finishReason", "usage", "citations"),
        )
        | {"additionalProperties": text},
        "Problem": object_of(
            {
                "type": text,
                "title": text,
                "status": number,
                "detail": text,
                "code": {"enum": sorted({kind.code for kind in every_kind()})},
                "errors": list_of(object_of({"field": text, "message": text})),
                "turnId": ID,
            },
            ("type", "title", "status", "detail", "code"),
        ),
    }


def _operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    refused: Kinds,
    *,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": responses | problems(refused),
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _stream(*, required: bool) -> dict[str, Any]:
    """The answer's forms; `required`: it always has a conversation."""
    content: dict[str, Any] = {form: {"schema": TEXT} for form in _TEXTS}
    content |= {form: {"schema": TEXT | {"x-lines": ref("Event")}} for form in _LINES}
    content["text/event-stream"] = {"schema": events(ref("Event"), positions=True)}
    content["application/json"] = {"schema": ref("Answer")}
    headers = {name: header | {"required": required} for name, header in TURN_HEADERS.items()}
    return {
        "description": "The turn's events, by Accept",
        "headers": headers | UNBUFFERED,
        "content": content,
    }


def _links() -> dict[str, Any]:
    """What can be done with the turn that began, and with its conversation."""
    conversation = {"conversationId": "$response.header.x-conversation-id"}
    turn = conversation | {"turnId": "$response.header.x-turn-id"}
    return {
        name: {"operationId": name, "parameters": parameters}
        for names, parameters in (
            (("conversation", "rename", "delete", "messages", "export"), conversation),
            (("turn", "attach", "stop"), turn),
        )
        for name in names
    }


def _attachment(schema: str) -> dict[str, Any]:
    disposition = TEXT | {"pattern": "^attachment; filename="}
    header = {"content-disposition": {"required": True, "schema": disposition}}
    return json_answer(schema) | {"headers": header}


def _page(item: str) -> dict[str, Any]:
    return object_of({"items": list_of(ref(item)), "nextCursor": {"type": ["string", "null"]}})
