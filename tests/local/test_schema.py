"""`actions.schema.json` says what the code takes, and the files beside it are as it says."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema_rs import Draft202012Validator, meta

from local.package import app_files
from local.schema import PATH, schema, text
from shared.errors import Misconfigured
from shared.messages import ChatRequest
from shared.models.fields import prepared
from shared.prompts.actions import load_actions
from shared.prompts.actions_file import ActionFile
from shared.prompts.prompt import make_prompt
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


EXAMPLES = re.findall(
    r"^```json\n(.*?)^```$", (ROOT / "docs/actions.md").read_text("utf-8"), re.M | re.S
)


def test_the_page_about_actions_has_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page_can_be_used(example: str) -> None:
    content = json.loads(example)
    assert Draft202012Validator(schema()).is_valid(content)
    settings = Settings(
        {
            "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "k",
        }
    )
    actions = load_actions(example.encode(), settings)
    assert [action.name for action in actions if action.name != "default"] == [
        name for name in content if name not in ("$schema", "default")
    ]
    for action in actions:
        request = ChatRequest(user_prompt="Hello")
        asked = make_prompt(action, request, action.model or "chat", settings.limits).render(())
        kind = settings.connection(action.connection).kind
        assert prepared(kind, asked).values.keys() >= action.options.keys()


def test_the_page_about_actions_names_every_field() -> None:
    page = (ROOT / "docs/actions.md").read_text("utf-8")
    for field in msgspec.structs.fields(ActionFile):
        assert f"`{field.encode_name}`" in page.partition("## Fields")[2].partition("##")[0]


def test_what_is_deployed_holds_the_actions() -> None:
    assert Path("actions.json") in app_files(ROOT)
