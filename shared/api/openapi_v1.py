"""The OpenAI-compatible part of the OpenAPI document."""

from typing import Any

import msgspec

from shared.protocols.openai.request import (
    CONVERSATION_HEADER,
    TOOL_CHOICES,
    CompletionBody,
)

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
_IDENTIFIER = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$"}
_ERRORS = ("400", "401", "403", "404", "409", "413", "415", "429", "500", "502", "503", "504")


def paths() -> dict[str, Any]:
    name = {"name": "model", "in": "path", "required": True, "schema": _NAME}
    return {
        "/v1/chat/completions": {
            "post": {
                "summary": "OpenAI's chat completions, by OpenAI's and by Mistral's names",
                "parameters": [
                    {
                        "name": CONVERSATION_HEADER,
                        "in": "header",
                        "description": "The conversation whose history counts; "
                        "`metadata.conversation_id` says the same. Absent: stateless.",
                        "schema": _IDENTIFIER,
                    },
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "description": "With a conversation, the turn's id.",
                        "schema": {"minLength": 1} | _TEXT,
                    },
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("CompletionBody")}},
                },
                "responses": {"200": _completion()} | _errors(),
            }
        },
        "/v1/models": {
            "get": {
                "summary": "What the caller may name as model",
                "responses": {"200": _json("ModelList")} | _errors("401", "429", "500"),
            }
        },
        "/v1/models/{model}": {
            "parameters": [name],
            "get": {
                "summary": "One of them",
                "responses": {"200": _json("Model")} | _errors("401", "404", "429", "500"),
            },
        },
    }


def schemas() -> dict[str, Any]:
    _, found = msgspec.json.schema_components(
        (CompletionBody,), ref_template="#/components/schemas/{name}"
    )
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found).replace(rb"\\Z", b"$"))
    fields = made["CompletionBody"]["properties"]
    fields["tool_choice"] = {"anyOf": [{"enum": list(TOOL_CHOICES)}, {"type": "object"}]}
    for field, schema in fields.items():
        if field != "messages":  # null means absent
            schema.pop("default", None)
            fields[field] = {"anyOf": [schema, {"type": "null"}]}
    return made | _answers()


def _answers() -> dict[str, Any]:
    usage = _object(
        {"prompt_tokens": _NUMBER, "completion_tokens": _NUMBER, "total_tokens": _NUMBER}
    )
    called = _object({"name": _TEXT, "arguments": _TEXT})
    call = _object({"id": _TEXT, "type": {"const": "function"}, "function": called})
    message = _object(
        {
            "role": {"const": "assistant"},
            "content": {"type": ["string", "null"]},
            "refusal": {"type": ["string", "null"]},
            "reasoning_content": _TEXT,
            "tool_calls": {"type": "array", "items": call},
        },
        ("role", "content", "refusal"),
    )
    choice = _object(
        {
            "index": _NUMBER,
            "message": message,
            "logprobs": {"type": ["object", "null"]},
            "finish_reason": {"enum": ["stop", "length", "content_filter", "tool_calls"]},
        }
    )
    completion = {
        "id": _TEXT,
        "object": {"const": "chat.completion"},
        "created": _NUMBER,
        "model": _TEXT,
        "system_fingerprint": {"type": "null"},
        "choices": {"type": "array", "items": choice},
        "usage": usage,
    }
    model = {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _NUMBER,
        "owned_by": _TEXT,
        "default_temperature": {"type": "number"},
        "default_model_temperature": {"type": "number"},
        "type": {"const": "base"},
        "capabilities": _object({"completion_chat": {"const": True}}),
    }
    error = _object(
        {
            "message": _TEXT,
            "type": _TEXT,
            "param": {"type": ["string", "null"]},
            "code": {"type": ["string", "null"]},
        }
    )
    return {
        "Completion": _object(completion),
        "Model": _object(model),
        "ModelList": _object(
            {"object": {"const": "list"}, "data": {"type": "array", "items": _ref("Model")}}
        ),
        "CompletionError": _object({"error": error}),
    }


def _completion() -> dict[str, Any]:
    whole = {"anyOf": [_ref("Completion"), _ref("CompletionError")]}
    return {
        "description": "Server-sent events where `stream` is true, else one object. An error that "
        "comes after the response began is told in it.",
        "headers": {name: {"schema": _IDENTIFIER} for name in (CONVERSATION_HEADER, "x-turn-id")},
        "content": {
            "text/event-stream": {"schema": _TEXT},
            "application/json": {"schema": whole},
        },
    }


def _errors(*statuses: str) -> dict[str, Any]:
    told = {
        "description": "What is wrong, and what would be right",
        "content": {"application/json": {"schema": _ref("CompletionError")}},
    }
    return dict.fromkeys((*(statuses or _ERRORS), "default"), told)


def _json(schema: str) -> dict[str, Any]:
    return {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": names}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
