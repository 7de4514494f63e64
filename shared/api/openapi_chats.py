"""OpenAPI of the AI Chat Protocol and of the UI message stream."""

from typing import Any, get_args

import msgspec

from shared import errors
from shared.api.openapi_parts import (
    FOUND,
    ID,
    TEXT,
    TURN_HEADERS,
    UNBUFFERED,
    closed,
    every_kind,
    json_content,
    problems,
    ref,
    refusals,
)
from shared.api.openapi_rules import rule_ai_chat, rule_chosen, rule_ui_chat, ui_asked
from shared.api.openapi_streams import events
from shared.messages import FinishReason
from shared.protocols.ai_chat.encoders import BROKE_OFF
from shared.protocols.ai_chat.request import AiChatBody, SessionState
from shared.protocols.chosen import Chosen
from shared.protocols.ui_messages.request import UiChatBody, UiMessage

_SAID: dict[str, Any] = {
    "question": {"messages": [{"role": "user", "content": "What is a position?"}]}
}
_ASKED: dict[str, Any] = {
    "question": {
        "id": "a-chat-of-this-page",
        "messages": [
            {
                "id": "q1",
                "role": "user",
                "parts": [{"type": "text", "text": "What is a position?"}],
            }
        ],
        "trigger": "submit-message",
    }
}


def chat_paths() -> dict[str, Any]:
    headers = TURN_HEADERS | UNBUFFERED
    said = {
        "description": "The completion",
        "headers": headers,
        "content": json_content("AiChatAnswer"),
    }
    lines = {
        "description": "One object a line; blank lines are heartbeats",
        "headers": headers,
        "content": {
            form: {"schema": TEXT | {"x-lines": ref("AiChatLine")}}
            for form in ("application/jsonl", "application/octet-stream")
        },
    }
    parts = {
        "description": "The parts of one assistant message, or its text",
        "headers": headers | {"x-vercel-ai-ui-message-stream": {"schema": {"const": "v1"}}},
        "content": {
            "text/event-stream": {"schema": events(ref("UiPart"), done=True)},
            "text/plain": {"schema": TEXT},
            "application/octet-stream": {"schema": TEXT},
        },
    }
    every = every_kind()
    told = tuple(kind for kind in every if kind is not errors.NotAcceptable)
    refused = refusals(told, "AiChatRefusal", "application/json")
    chat = {"name": "chatId", "in": "path", "required": True, "schema": ID}
    body, asked = json_content("AiChatBody", _SAID), json_content("UiChatBody", _ASKED)
    return {
        "/ai-chat": {"post": _post("aiChat", "A completion", body, said, refused)},
        "/ai-chat/stream": {
            "post": _post("aiChatStream", "A streamed completion", body, lines, refused)
        },
        "/ui-chat": {
            "post": _post("uiChat", "Run a turn as useChat does", asked, parts, problems(every))
        },
        "/ui-chat/{chatId}/stream": {
            "parameters": [chat],
            "get": {
                "operationId": "uiChatResume",
                "summary": "Resume the turn that runs, from its beginning",
                "responses": {"200": parts, "204": {"description": "No turn runs"}}
                | problems((*FOUND, errors.NotAcceptable)),
            },
        },
    }


def chat_schemas() -> dict[str, Any]:
    """What the requests take, as the types say that check it, and what is answered."""
    kinds = (AiChatBody, Chosen, SessionState, UiChatBody, UiMessage)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    schemas: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found).replace(rb"\\Z", b"$"))
    rule_chosen(schemas["Chosen"])
    rule_ai_chat(schemas["AiChatBody"])
    rule_ui_chat(schemas["UiChatBody"])
    error = closed({"code": TEXT, "message": TEXT})
    context = closed(
        {
            "citations": {"type": "array", "items": {"type": "object"}},
            "retrieval": ref("Retrieval"),
            "finishReason": {"enum": list(get_args(FinishReason.__value__))},
            "contentFilter": TEXT,
            "toolCalls": {"type": "array", "items": {"type": "object"}},
            "usage": ref("Usage"),
        },
        (),
    )
    thoughts = closed({"reasoning": TEXT})
    message = {"role": {"const": "assistant"}, "content": TEXT, "context": thoughts}
    return schemas | {
        "UiAsked": ui_asked(),
        "AiChatError": error | {"description": f"A code of ours, or {BROKE_OFF['code']}"},
        "AiChatRefusal": closed({"error": ref("AiChatError")}),
        "AiChatContext": context,
        "AiChatAnswer": closed(
            {
                "message": closed(message, ("role", "content")),
                "sessionState": ref("SessionState"),
                "context": ref("AiChatContext"),
                "error": ref("AiChatError"),
            },
            ("message", "sessionState", "context"),
        ),
        "AiChatLine": closed(
            {
                "delta": closed(message, ()),
                "sessionState": ref("SessionState"),
                "context": ref("AiChatContext"),
                "error": ref("AiChatError"),
            },
            (),
        ),
    }


def _post(
    name: str, summary: str, body: dict[str, Any], answer: dict[str, Any], refused: dict[str, Any]
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": body},
        "responses": {"200": answer} | refused,
    }
