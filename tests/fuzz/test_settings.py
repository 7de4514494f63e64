"""Settings and actions: whatever they say, the app starts, and says which one is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Misconfigured
from shared.history.account import read_account
from shared.prompts.actions import load_actions
from shared.prompts.template import PLAIN, check_template, render
from shared.settings import Settings
from tests.fuzz.examples import damaged, encoded, fuzzed, mutated, texts, values

NAMES = (
    *("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI__kind", "AZURE_OPENAI__fallback"),
    *("CHAT_CONNECTIONS", "CHAT_RETRIEVERS", "CHAT_AUTH", "CHAT_ALLOWED_ORIGINS"),
    *("CHAT_CALLER_FIELDS", "CHAT_STORAGE", "CHAT_STORAGE__accountName", "CHAT_SQL"),
    *("CHAT_SQL__server", "CHAT_MAX_BODY_BYTES", "CHAT_DAILY_TOKENS", "CHAT_RETENTION_DAYS"),
    *("CHAT_TELEMETRY", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"),
    *("APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"),
    "CHAT_STORAGE__credential",
)
_WORDS = st.sampled_from(
    ["openai", "https://x", "http://[", "*", "-1", "1e9", "managedidentity", "A B", "Server=x;"]
)
PARTS = (
    *("actions_file", "system_prompt", "caller_fields", "sql", "storage", "auth", "limits"),
    *("allowed_origins", "allowance", "telemetry", "retention_days", "retriever_names"),
    "connection_names",
)


@fuzzed(500)
@given(st.dictionaries(st.sampled_from(NAMES), st.one_of(texts, _WORDS), max_size=5))
def test_any_values(environment: dict[str, str]) -> None:
    settings = Settings(environment)

    def told(read: Any) -> None:
        try:
            read()
        except Misconfigured as error:
            assert any(word in error.message for word in ("CHAT", "AZURE", "OTEL", "APPLI", "__"))

    for part in PARTS:
        told(lambda part=part: getattr(settings, part))
    told(settings.connection)
    told(lambda: read_account(settings.storage))
    told(lambda: [settings.connection(name).service for name in settings.connection_names])
    told(lambda: [settings.retriever(name) for name in settings.retriever_names])


ACTIONS = (
    {"default": {"title": "Chat", "temperature": 0.5, "options": {"top_p": 1}}},
    {
        "default": {"promptTemplate": "@@context @@userPrompt", "callerFields": ["*"]},
        "documents": {"retrieval": {"retriever": "D", "topK": 3, "filter": {"a": ["b"]}}},
    },
)


@fuzzed(500)
@given(st.one_of(mutated(*ACTIONS), values).map(encoded))
def test_any_actions(content: bytes) -> None:
    try:
        load_actions(content, Settings({}))
    except Misconfigured as error:
        assert "actions.json" in error.message


@fuzzed(200)
@given(st.one_of(damaged(encoded(ACTIONS[1])), st.binary(max_size=100)))
def test_any_bytes_of_the_actions_file(content: bytes) -> None:
    try:
        load_actions(content, Settings({}))
    except Misconfigured as error:
        assert "actions.json" in error.message


@fuzzed(500)
@given(texts, texts)
def test_what_a_template_inserts_is_never_looked_at_again(prompt: str, context: str) -> None:
    marked = f"{prompt}@@context@@userPrompt", f"{context}@@userPrompt@@context"
    said = render("<@@context|@@userPrompt>", *marked)
    assert said == f"<{marked[1]}|{marked[0]}>"


def test_the_plain_template_is_the_prompt() -> None:
    check_template(PLAIN, has_context=False, once=False)
    with pytest.raises(Exception, match="userPrompt"):
        check_template("nothing", has_context=False, once=False)
