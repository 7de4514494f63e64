"""The rules of the requests that are not in their types, as far as JSON Schema can say them.

It cannot look at the last item of an array, compare two values, or know what the deployment, the
model or the conversation has: what is wrong there the answer tells.
"""

from typing import Any

from shared.api.openapi_parts import ID, NOT_BLANK, NULL, TEXT, or_null, ref
from shared.messages import RESULT_FIELDS
from shared.prompts.template import CONTEXT, USER_PROMPT
from shared.protocols.native.request import NOT_BESIDE_RESULTS
from shared.protocols.openai.request import TOOL_CHOICES

_ONE_SEED = {
    "not": {
        "required": ["seed", "random_seed"],
        "properties": {"seed": {"type": "integer"}, "random_seed": {"type": "integer"}},
    }
}
_NULLS = {"additionalProperties": NULL}
"""Where null means absent before a name is looked at."""
_NOTHING = {"anyOf": [NULL, {"type": ["array", "object"], "maxItems": 0, "maxProperties": 0}]}
_STATELESS = ("conversationId", "turnId", "replaces", "toolResults")


def rule_options(schema: dict[str, Any]) -> None:
    """The options: `null` means absent, of each of them."""
    fields = schema["properties"]
    schema["properties"] = {name: or_null(field) for name, field in fields.items()}
    schema |= _ONE_SEED | _NULLS


def rule_chosen(schema: dict[str, Any]) -> None:
    """What is common to all that names an action, a template and a context."""
    fields = schema["properties"]
    fields["options"] = or_null(ref("Options"))
    fields["promptTemplate"] = or_null(TEXT | {"pattern": USER_PROMPT})
    schema.setdefault("allOf", []).append(
        {
            "if": {
                "required": ["promptTemplate", "context"],
                "properties": {
                    "promptTemplate": TEXT,
                    "context": {"type": ["string", "array"], "minLength": 1, "minItems": 1},
                },
            },
            "then": {"properties": {"promptTemplate": {"pattern": CONTEXT}}},
        }
    )


def rule_chat(schema: dict[str, Any]) -> None:
    """A turn answers either a question or, in a conversation, what its calls gave."""
    rule_chosen(schema)
    fields = schema["properties"]
    fields["userPrompt"] = or_null(NOT_BLANK)
    fields["toolResults"]["anyOf"][0]["minItems"] = 1
    fields["resultVariableName"]["anyOf"][0]["not"] = {"enum": sorted(RESULT_FIELDS)}
    schema["allOf"].append(
        {
            "if": {"required": ["store"], "properties": {"store": {"const": False}}},
            "then": {"properties": dict.fromkeys(_STATELESS, NULL)},
        }
    )
    schema["oneOf"] = [
        {
            "required": ["userPrompt"],
            "properties": {"userPrompt": TEXT, "toolResults": NULL},
        },
        {
            "required": ["toolResults", "conversationId"],
            "properties": {
                "toolResults": {"type": "array"},
                "conversationId": TEXT,
                "store": {"enum": [True, None]},
                "userPrompt": NULL,
                **dict.fromkeys(NOT_BESIDE_RESULTS, NULL),
            },
        },
    ]


def rule_completion(schema: dict[str, Any]) -> None:
    """OpenAI's body."""
    schema |= _ONE_SEED | _NULLS
    fields = schema["properties"]
    fields["tool_choice"] = {"anyOf": [{"enum": list(TOOL_CHOICES)}, {"type": "object"}]}
    fields["metadata"] |= {"properties": {"conversation_id": or_null(ID)}}
    for name, field in fields.items():
        if name != "messages":
            field.pop("default", None)
            fields[name] = or_null(field)
    fields["messages"]["contains"] = {
        "required": ["role"],
        "properties": {"role": {"enum": ["user", "assistant", "tool"]}},
    }
    named = {"required": ["conversation_id"], "properties": {"conversation_id": TEXT}}
    schema["allOf"] = [
        {
            "if": {
                "required": ["top_logprobs"],
                "properties": {"top_logprobs": {"type": "integer"}},
            },
            "then": {"required": ["logprobs"], "properties": {"logprobs": {"const": True}}},
        },
        {
            "if": {
                "required": ["metadata"],
                "properties": {"metadata": {"type": "object"} | named},
            },
            "then": {"properties": {"n": {"enum": [1, None]}, "logprobs": {"enum": [False, None]}}},
        },
    ]


def rule_ai_chat(schema: dict[str, Any]) -> None:
    """The AI Chat Protocol's body."""
    asked = {
        "required": ["role", "content"],
        "properties": {
            "role": {"const": "user"},
            "content": NOT_BLANK,
            "files": _NOTHING,
            "context": _NOTHING,
        },
    }
    schema["properties"] |= {
        "messages": {
            "type": "array",
            "items": ref("AiChatMessage"),
            "minItems": 1,
            "contains": asked,
        },
        "context": or_null(ref("Chosen")),
        "sessionState": or_null(ref("SessionState")),
    }
    schema["required"] = ["messages"]
    schema["description"] += "\nThe last message is what is asked, and must be the user's."


def rule_ui_chat(schema: dict[str, Any]) -> None:
    """The body of `useChat`."""
    rule_chosen(schema)
    fields = schema["properties"]
    fields["id"] = ID
    fields["messages"]["anyOf"][0] |= {"minItems": 1, "contains": ref("UiAsked")}
    fields["message"] = or_null({"allOf": [ref("UiMessage"), ref("UiAsked")]})
    schema["required"] = ["id"]
    schema["oneOf"] = [
        {"required": [given], "properties": {given: {"type": kind}, other: NULL}}
        for given, kind, other in (
            ("messages", "array", "message"),
            ("message", "object", "messages"),
        )
    ]
    schema["allOf"].append(
        {
            "if": {
                "required": ["trigger"],
                "properties": {"trigger": {"const": "regenerate-message"}},
            },
            "then": {"properties": {"message": {"properties": {"role": {"const": "user"}}}}},
        }
    )
    schema["description"] += "\nThe last message is what is asked: a user's, or results of calls."


def ui_asked() -> dict[str, Any]:
    """A message that can be asked: a user's text, or an answer with what its calls gave."""
    text = {"required": ["text"], "properties": {"type": {"const": "text"}, "text": TEXT}}
    extra = {"properties": {"type": TEXT | {"pattern": "^data-"}}}
    written = {"required": ["type", "text"]} | {
        "properties": {"type": {"const": "text"}, "text": NOT_BLANK}
    }
    given = {
        "required": ["type", "toolCallId", "state"],
        "properties": {
            "type": TEXT | {"pattern": "^(dynamic-tool$|tool-)"},
            "toolCallId": TEXT,
            "state": {"enum": ["output-available", "output-error"]},
        },
    }
    parts = {
        "user": {
            "type": "array",
            "items": {"type": "object", "required": ["type"], "anyOf": [text, extra]},
            "contains": {"type": "object"} | written,
        },
        "assistant": {"type": "array", "contains": {"type": "object"} | given},
    }
    return {
        "description": "A user's text, or an answer with what its calls gave",
        "type": "object",
        "required": ["role", "parts"],
        "oneOf": [
            {"properties": {"role": {"const": role}, "parts": of}} for role, of in parts.items()
        ],
    }
