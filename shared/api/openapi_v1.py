"""The OpenAI-compatible part of the OpenAPI document."""

from typing import Any

import msgspec

from shared import errors
from shared.api.openapi_parts import (
    ALWAYS,
    ID,
    TEXT,
    TURN_HEADERS,
    UNBUFFERED,
    every_kind,
    json_answer,
    json_content,
    object_of,
    ref,
    refusals,
)
from shared.api.openapi_rules import rule_completion
from shared.api.openapi_streams import events
from shared.protocols.openai.request import CONVERSATION_HEADER, CompletionBody

_NUMBER = {"type": "integer"}
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$"}
_ASKED: dict[str, Any] = {
    "question": {
        "messages": [
            {
                "role": "user",
                "content": "Who is the best French painter? Answer in one short sentence.",
            }
        ]
    },
    "streamed": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is a position?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    },
}


def paths() -> dict[str, Any]:
    name = {"name": "model", "in": "path", "required": True, "schema": _NAME}
    every = tuple(kind for kind in every_kind() if kind is not errors.NotAcceptable)
    return {
        "/v1/chat/completions": {
            "post": {
                "operationId": "completion",
                "summary": "OpenAI's chat completions, by OpenAI's and by Mistral's names",
                "parameters": [
                    {
                        "name": CONVERSATION_HEADER,
                        "in": "header",
                        "description": "The conversation whose history counts; "
                        "`metadata.conversation_id` says the same. Absent: stateless.",
                        "schema": ID,
                    },
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "description": "With a conversation, the turn's id; empty: none.",
                        "schema": TEXT,
                    },
                ],
                "requestBody": {
                    "required": True,
                    "content": json_content("CompletionBody", _ASKED),
                },
                "responses": {"200": _completion()} | _refusals(*every),
            }
        },
        "/v1/models": {
            "get": {
                "operationId": "models",
                "summary": "What the caller may name as model",
                "responses": {"200": json_answer("ModelList")} | _refusals(*ALWAYS),
            }
        },
        "/v1/models/{model}": {
            "parameters": [name],
            "get": {
                "operationId": "model",
                "summary": "One of them",
                "responses": {"200": json_answer("Model")} | _refusals(*ALWAYS, errors.NotFound),
            },
        },
    }


def schemas() -> dict[str, Any]:
    _, found = msgspec.json.schema_components(
        (CompletionBody,), ref_template="#/components/schemas/{name}"
    )
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found).replace(rb"\\Z", b"$"))
    rule_completion(made["CompletionBody"])
    return made | _answers()


def _answers() -> dict[str, Any]:
    usage = object_of(
        {"prompt_tokens": _NUMBER, "completion_tokens": _NUMBER, "total_tokens": _NUMBER}
    )
    called = object_of({"name": TEXT, "arguments": TEXT})
    call = object_of({"id": TEXT, "type": {"const": "function"}, "function": called})
    message = object_of(
        {
            "role": {"const": "assistant"},
            "content": {"type": ["string", "null"]},
            "refusal": {"type": ["string", "null"]},
            "reasoning_content": TEXT,
            "tool_calls": {"type": "array", "items": call},
        },
        ("role", "content", "refusal"),
    )
    choice = object_of(
        {
            "index": _NUMBER,
            "message": message,
            "logprobs": {"type": ["object", "null"]},
            "finish_reason": {"enum": ["stop", "length", "content_filter", "tool_calls"]},
        }
    )
    completion = {
        "id": TEXT,
        "object": {"const": "chat.completion"},
        "created": _NUMBER,
        "model": TEXT,
        "system_fingerprint": {"type": "null"},
        "choices": {"type": "array", "items": choice},
        "usage": usage,
    }
    model = {
        "id": TEXT,
        "object": {"const": "model"},
        "created": _NUMBER,
        "owned_by": TEXT,
        "default_temperature": {"type": "number"},
        "default_model_temperature": {"type": "number"},
        "type": {"const": "base"},
        "capabilities": object_of({"completion_chat": {"const": True}}),
    }
    error = object_of(
        {
            "message": TEXT,
            "type": TEXT,
            "param": {"type": ["string", "null"]},
            "code": {"type": ["string", "null"]},
        }
    )
    return {
        "Completion": object_of(completion),
        "Model": object_of(model),
        "ModelList": object_of(
            {"object": {"const": "list"}, "data": {"type": "array", "items": ref("Model")}}
        ),
        "CompletionError": object_of({"error": error}),
    }


def _completion() -> dict[str, Any]:
    whole = {"anyOf": [ref("Completion"), ref("CompletionError")]}
    chunk = {"anyOf": [ref("CompletionChunk"), ref("CompletionError")]}
    headers = {name: header | {"required": False} for name, header in TURN_HEADERS.items()}
    return {
        "description": "Server-sent events where `stream` is true, else one object. An error that "
        "comes after the response began is told in it.",
        "headers": headers | UNBUFFERED,
        "content": {
            "text/event-stream": {"schema": events(chunk, done=True)},
            "application/json": {"schema": whole},
        },
    }


def _refusals(*kinds: type[errors.ChatError]) -> dict[str, Any]:
    told = refusals(kinds, "CompletionError", "application/json")
    for response in told.values():
        response["headers"] |= {"x-should-retry": {"schema": {"const": "false"}}}
        if "retry-after" in response["headers"]:  # not where an answer broke off
            response["headers"]["retry-after"]["required"] = False
    return told
