"""`actions.schema.json`, for whoever edits `actions.json`: made of the types that check it.

`python -m local.schema` writes it anew; a test says where it is not what the code is.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from shared.messages import RESULT_FIELDS, Options
from shared.prompts.actions import DEFAULT_ACTION
from shared.prompts.actions_file import FILE, MAX_NAME_CHARS, SCHEMA, ActionFile
from shared.settings import LOCKABLE_FIELDS

PATH = Path(__file__).resolve().parent.parent / "actions.schema.json"


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the whole file."""
    _, kinds = msgspec.json.schema_components((ActionFile, Options), ref_template="#/$defs/{name}")
    # JSON Schema's patterns are ECMAScript's, where the end of the text is `$`.
    kinds = json.loads(json.dumps(kinds).replace(r"\\Z", "$"))
    action = kinds["ActionFile"]
    for kind in kinds.values():
        kind.pop("title")
        if not kind["required"]:
            del kind["required"]
        for field in kind["properties"].values():
            field.pop("default", None)
    # What the types leave to code.
    fields = action["properties"]
    fields["callerFields"]["anyOf"][0] = {
        "type": "array",
        "anyOf": [{"items": {"enum": list(LOCKABLE_FIELDS)}}, {"const": ["*"]}],
    }
    fields["resultVariableName"]["anyOf"][0]["not"] = {"enum": sorted(RESULT_FIELDS)}
    names = ("model", "deploymentName")
    action["not"] = {"required": names, "properties": {name: {"type": "string"} for name in names}}
    one = {"$ref": "#/$defs/ActionFile"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FILE,
        "description": "Named, server-side set-ups of the streaming chat completion, by name.",
        "type": "object",
        "properties": {
            SCHEMA: {"type": "string"},
            DEFAULT_ACTION: one | {"description": "Runs where a caller names no action."},
        },
        "propertyNames": {"minLength": 1, "maxLength": MAX_NAME_CHARS},
        "additionalProperties": one,
        "$defs": kinds,
    }


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    print(PATH)
