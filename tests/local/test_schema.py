"""`actions.schema.json` says what the code takes, and the files beside it are as it says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta

from local.schema import PATH, schema, text
from shared.errors import Misconfigured
from shared.prompts.actions import load_actions
from shared.settings import LOCKABLE_FIELDS, Settings

ROOT = PATH.parent


def taken(content: Any) -> bool:
    try:
        load_actions(json.dumps(content).encode(), Settings({}))
    except Misconfigured:
        return False
    return True


def test_the_file_is_what_the_code_makes() -> None:
    assert PATH.read_text("utf-8") == text(), "run: python -m local.schema"


def test_it_is_a_schema_and_the_apps_own_actions_name_it() -> None:
    meta.validate(schema())
    actions = json.loads((ROOT / "actions.json").read_bytes())
    assert (ROOT / actions["$schema"]).resolve() == PATH
    assert Draft202012Validator(schema()).is_valid(actions)
    assert taken(actions)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"$schema": "./actions.schema.json", "default": {}},
        {"x": {"title": "", "description": "", "systemPrompt": ""}},
        {"x": {"connection": "C", "model": "m"}},
        {"x": {"deploymentName": "m", "model": None}},
        {"x": {"promptTemplate": "Q: @@userPrompt"}},
        {"x": {"temperature": 0, "maxCompletionTokens": 1}},
        {"x": {"temperature": 2, "resultVariableName": "_a1"}},
        {"x": {"callerFields": []}},
        {"x": {"callerFields": ["*"]}},
        {"x": {"callerFields": list(LOCKABLE_FIELDS)}},
        {"x": {"options": {"stop": "x", "tools": [{}], "tool_choice": "auto", "seed": 1}}},
        {"x": {"options": None, "callerFields": None, "title": None}},
        {"x" * 128: {}},
        [],
        {"": {}},
        {"x" * 129: {}},
        {"x": []},
        {"x": None},
        {"$schema": 5},
        {"x": {"titel": "t"}},
        {"x": {"title": 5}},
        {"x": {"connection": ""}},
        {"x": {"model": ""}},
        {"x": {"model": "m", "deploymentName": "m"}},
        {"x": {"promptTemplate": "Q:"}},
        {"x": {"temperature": 2.1}},
        {"x": {"temperature": True}},
        {"x": {"maxCompletionTokens": 0}},
        {"x": {"maxCompletionTokens": 1.5}},
        {"x": {"resultVariableName": "1a"}},
        {"x": {"resultVariableName": "a b"}},
        {"x": {"resultVariableName": "a" * 65}},
        {"x": {"resultVariableName": "turnId"}},
        {"x": {"callerFields": ["*", "model"]}},
        {"x": {"callerFields": ["temperature"]}},
        {"x": {"callerFields": "*"}},
        {"x": {"options": {"n": 2}}},
        {"x": {"options": {"top_p": 1.1}}},
        {"x": {"options": {"top_p": None}}},
        {"x": {"options": {"tools": {}}}},
        {"x": {"options": []}},
    ],
    ids=lambda content: json.dumps(content)[:60],
)
def test_it_takes_what_the_code_takes(content: Any) -> None:
    assert Draft202012Validator(schema()).is_valid(content) == taken(content)


def test_what_is_deployed_holds_the_actions() -> None:
    lines = (ROOT / ".funcignore").read_text("utf-8").splitlines()
    assert lines[1] == "*"
    let_through = {line.removeprefix("!").partition("/")[0] for line in lines if line[:1] == "!"}
    assert {"actions.json", "function_app.py", "host.json", "shared"} <= let_through
    assert all(Path(ROOT, name).exists() for name in let_through)
