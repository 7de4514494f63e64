"""What the streams tell, event by event.

Before OpenAPI 3.2 the `schema` of `text/event-stream` is that of one event; of the forms that tell
lines, `x-lines` says what a line is.
"""

from typing import Any

from shared.api.openapi_parts import ID, TEXT, list_of, object_of, ref

_COUNT = {"type": "integer", "minimum": 0}
_DONE = "[DONE]"


def events(data: dict[str, Any], *, positions: bool = False, done: bool = False) -> dict[str, Any]:
    """One server-sent event; `done`: the last one's data is `[DONE]`, which is no JSON."""
    told: dict[str, Any] = TEXT | {"contentMediaType": "application/json", "contentSchema": data}
    properties = {"data": {"anyOf": [{"const": _DONE}, told]} if done else told}
    if positions:
        properties["id"] = ref("Position")
    return object_of(properties)


def retrieval_fields(cited: dict[str, Any]) -> dict[str, Any]:
    """What may be said of documents besides those that are cited."""
    error = object_of({"code": TEXT, "message": TEXT})
    return {"query": TEXT, "leftOut": list_of(cited), "error": error}


def stream_schemas(reason: dict[str, Any], cited: dict[str, Any]) -> dict[str, Any]:
    """The events of a turn on each protocol; `reason`: how it ended, `cited`: one document."""
    native: dict[str, dict[str, Any]] = {
        "start": {"action": TEXT, "model": TEXT, "new": {"type": "boolean"}},
        "citations": {"documents": list_of(cited)},
        "reasoning": {"text": TEXT},
        "delta": {"text": TEXT},
        "tool_call": {"index": _COUNT, "id": TEXT, "name": TEXT, "arguments": TEXT},
        "error": {"code": TEXT, "message": TEXT, "retryable": {"type": "boolean"}},
        "end": {
            "finishReason": reason,
            "usage": ref("Usage"),
            "result": {"type": "object", "additionalProperties": TEXT, "minProperties": 1},
        },
    }
    shown = {kind: _event(kind, fields | _POSITION) for kind, fields in native.items()}
    shown["citations"]["properties"] |= retrieval_fields(cited)
    shown["start"]["properties"] |= {"conversationId": ID, "turnId": ID}
    return {
        "Position": TEXT | {"pattern": r"^[0-9]{1,9}\.[0-9]{1,9}$"},
        "Event": {"oneOf": list(shown.values())},
        "UiPart": {"oneOf": [_event(kind, fields) for kind, fields in _UI_PARTS.items()]},
        "CompletionChunk": object_of(
            {
                "id": TEXT,
                "object": {"const": "chat.completion.chunk"},
                "created": {"type": "integer"},
                "model": TEXT,
                "system_fingerprint": {"type": "null"},
                "choices": list_of(_CHOICE),
                "usage": {"type": ["object", "null"]},
            },
            ("id", "object", "created", "model", "choices"),
        ),
    }


def _event(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    return object_of({"type": {"const": kind}} | fields)


_POSITION = {"position": ref("Position")}
_ANY: dict[str, Any] = {}
_CALL = {"toolCallId": TEXT, "toolName": TEXT}
_METADATA = {"messageMetadata": {"type": "object"}}
_UI_PARTS: dict[str, dict[str, Any]] = {
    "start": {"messageId": TEXT} | _METADATA,
    "start-step": {},
    "reasoning-start": {"id": TEXT},
    "reasoning-delta": {"id": TEXT, "delta": TEXT},
    "reasoning-end": {"id": TEXT},
    "text-start": {"id": TEXT},
    "text-delta": {"id": TEXT, "delta": TEXT},
    "text-end": {"id": TEXT},
    "source-url": {"sourceId": TEXT, "url": TEXT},
    "source-document": {"sourceId": TEXT, "mediaType": TEXT, "title": TEXT},
    "data-retrieval": {"data": {"type": "object"}},
    "tool-input-start": _CALL,
    "tool-input-available": _CALL | {"input": _ANY},
    "tool-input-error": _CALL | {"input": _ANY, "errorText": TEXT},
    "tool-output-available": {"toolCallId": TEXT, "output": _ANY},
    "message-metadata": _METADATA,
    "error": {"errorText": TEXT},
    "abort": {},
    "finish-step": {},
    "finish": {
        "finishReason": {
            "enum": ["stop", "length", "content-filter", "tool-calls", "error", "other"]
        }
    }
    | _METADATA,
}
_CHOICE = object_of(
    {
        "index": _COUNT,
        "delta": {"type": "object"},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": {"enum": ["stop", "length", "content_filter", "tool_calls", None]},
    }
)
