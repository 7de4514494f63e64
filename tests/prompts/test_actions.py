"""`actions.json`: what it says, and what is wrong with it."""

import msgspec
import pytest

from shared.errors import InvalidRequest, Misconfigured
from shared.prompts.actions import Actions, load_actions
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
                "callerFields": ["model"],
            }
        },
        CHAT_CALLER_FIELDS="options",
    )
    assert [action.name for action in actions] == ["default", "summary"]
    summary = actions.get("summary")
    assert (summary.temperature, summary.max_completion_tokens) == (0, 100)
    assert (summary.connection, summary.model) == ("OTHER", "small")
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "actions.json cannot be read"),
        (b"\xff", "actions.json cannot be read"),
        (b"[" * 200_000, "actions.json cannot be read"),
        ([], "Expected `object`"),
        ({"x": {"temperatur": 1}}, "temperatur"),
        ({"x": {"temperature": 3}}, "temperature"),
        ({"x": {"maxCompletionTokens": 0}}, "maxCompletionTokens"),
        ({"x": {"callerFields": ["stop"]}}, "x: callerFields names 'stop'"),
        ({"x": {"callerFields": ["*", "model"]}}, r"\* alone"),
        ({"x": {"promptTemplate": "Text:"}}, "x: promptTemplate has no @@userPrompt"),
    ],
)
def test_what_is_wrong_is_named(content: object, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        load(content)
