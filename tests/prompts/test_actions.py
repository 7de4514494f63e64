"""`actions.json`: what it says, and what is wrong with it."""

import msgspec
import pytest

from shared.errors import InvalidRequest, Misconfigured
from shared.prompts.actions import Actions, load_actions
from shared.prompts.actions_file import ActionFile
from shared.settings import LOCKABLE_FIELDS, Settings


def load(content: object, **settings: str) -> Actions:
    raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return load_actions(raw, Settings(settings))


@pytest.mark.parametrize("content", [None, b"{}"])
def test_the_default_action_always_exists(content: bytes | None) -> None:
    (default,) = load_actions(content, Settings({"AZURE_OPENAI_SYSTEM_PROMPT": "Be kind."}))
    assert (default.name, default.title, default.system_prompt) == (
        "default",
        "default",
        "Be kind.",
    )
    assert (default.temperature, default.connection, default.model) == (0.7, "AZURE_OPENAI", None)
    assert default.caller_fields == frozenset()


def test_what_an_action_says() -> None:
    actions = load(
        {
            "summary": {
                "title": "Summarise",
                "description": "In three lines.",
                "connection": "OTHER",
                "model": "small",
                "systemPrompt": "Be brief.",
                "promptTemplate": "Text: @@userPrompt",
                "temperature": 0,
                "maxCompletionTokens": 100,
                "resultVariableName": "summary",
                "options": {"top_p": 0.5, "stop": ["x"]},
                "callerFields": ["model"],
            },
            "$schema": "./actions.schema.json",
        },
        CHAT_CALLER_FIELDS="options",
    )
    assert [action.name for action in actions] == ["default", "summary"]
    summary = actions.get("summary")
    assert (summary.temperature, summary.max_completion_tokens) == (0, 100)
    assert (summary.connection, summary.model) == ("OTHER", "small")
    assert (summary.result_name, summary.options) == ("summary", {"top_p": 0.5, "stop": ["x"]})
    assert summary.caller_fields == {"model"}
    assert actions.get("default").caller_fields == {"options"}


def test_the_default_action_may_be_described_and_opened() -> None:
    default = load({"default": {"callerFields": ["*"], "temperature": 0.1}}).get("default")
    assert default.caller_fields == frozenset(LOCKABLE_FIELDS)
    assert default.temperature == 0.1
    both = load({"default": {"callerFields": ["model"]}}, CHAT_CALLER_FIELDS="options")
    assert both.get("default").caller_fields == {"model", "options"}


def test_an_action_that_is_none() -> None:
    with pytest.raises(InvalidRequest, match="default, x") as raised:
        load({"x": {}}).get("y")
    assert raised.value.problems[0].field == "action"


def test_null_means_absent_and_the_model_has_two_names() -> None:
    names = [field.encode_name for field in msgspec.structs.fields(ActionFile)]
    _, absent, plain = load({"x": dict.fromkeys(names), "y": {}})
    assert msgspec.structs.replace(absent, name="y", title="y") == plain
    assert load({"x": {"deploymentName": "small", "model": None}}).get("x").model == "small"


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert load(b'\xef\xbb\xbf{"x": {"title": "\xc3\x9c"}}').get("x").title == "Ü"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "actions.json, line 1, column 2: this is not JSON: Expecting property name"),
        (b'{\n  "x": {"title" "t"}\n}', "line 2, column 17: this is not JSON: Expecting ':'"),
        (b'{"x": {},}', "line 1, column 9: this is not JSON: Illegal trailing comma"),
        (b'{"x": {}} // mine', "line 1, column 11: this is not JSON: Extra data"),
        (b'{\n"x": "\xff"}', "actions.json, line 2: this is not UTF-8"),
        (b'{"x": {"title": "\\ud800"}}', "half of a surrogate pair"),
        (b'{"x": {"temperature": NaN}}', "not JSON"),
        (b'{"x": {"temperature": 1e999}}', "not JSON"),
        (b'{"x": {"options": {"seed": ' + b"9" * 5000 + b"}}}", "not JSON"),
        (b"[" * 200_000, "actions.json is nested too deeply"),
        (b'{"x": {}, "y": {}, "x": {}}', "'x' is there twice in one object"),
        (b'{"x": {"title": "a", "title": "b"}}', "'title' is there twice"),
        ([], "actions.json must be an object"),
        (b"null", "actions.json must be an object"),
        ({"$schema": {}}, "actions.json, $schema: must be the address"),
        ({"": {}}, "1 to 128 characters"),
        ({"x" * 129: {}}, "1 to 128 characters"),
        ({"x": []}, "actions.json, x: Expected object, got array."),
        ({"x": None}, "actions.json, x: Expected object, got null."),
        ({"x": {"temperatur": 1}}, "actions.json, x.temperatur: there is no such field; the "),
        ({"x": {"temperatur": 1}}, "fields are: title, description, connection, model, "),
        ({"x": {"temperature": 3}}, "actions.json, x.temperature: Expected float <= 2.0."),
        ({"x": {"temperature": "0"}}, "x.temperature: Expected float | null, got str."),
        ({"x": {"maxCompletionTokens": 0}}, "x.maxCompletionTokens: Expected int >= 1."),
        ({"x": {"connection": ""}}, "x.connection: Expected str of length >= 1."),
        ({"x": {"model": "a", "deploymentName": "a"}}, "x.deploymentName: is another name for mod"),
        ({"x": {"callerFields": ["stop"]}}, "x.callerFields: 'stop' is not one of connection, mod"),
        ({"x": {"callerFields": ["*", "model"]}}, "x.callerFields: '*' is not one of"),
        ({"x": {"callerFields": "model"}}, "x.callerFields: Expected array | null, got str."),
        ({"x": {"callerFields": [1]}}, "x.callerFields[0]: Expected str, got int."),
        ({"x": {"promptTemplate": "Text:"}}, "x.promptTemplate: must hold @@userPrompt"),
        ({"x": {"promptTemplate": 5}}, "x.promptTemplate: Expected str | null, got int."),
        ({"x": {"resultVariableName": "a-b"}}, "x.resultVariableName: must be a name: letters"),
        ({"x": {"resultVariableName": "a" * 65}}, "x.resultVariableName: must be a name: letters"),
        ({"x": {"resultVariableName": "usage"}}, "x.resultVariableName: must not be one of"),
        ({"x": {"options": []}}, "x.options: Expected object | null, got array."),
        ({"x": {"options": {"top_p": 2}}}, "actions.json, x.options.top_p: Expected float <= 1.0."),
        ({"x": {"options": {"top_p": None}}}, "x.options.top_p: Expected float, got null."),
        ({"x": {"options": {"stop": [1]}}}, "x.options.stop[0]: Expected str, got int."),
        (
            {"x": {"options": {"n": 2}}},
            "x.options.n: there is no such field; the fields are: top_p",
        ),
        ({"x": {}, "a.b c": {"titel": ""}}, "actions.json, a.b c.titel: there is no such field"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_named_with_its_place(content: object, said: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        load(content)
    assert said in raised.value.message
    assert "`" not in raised.value.message
