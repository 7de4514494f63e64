"""What a `model` may name where a setting is missing; the rest is in test_v1_models.py."""

import pytest

from shared.errors import FieldLocked
from shared.prompts.actions import load_actions
from shared.prompts.offered import Chosen, choose, offer
from shared.settings import Settings

SETTINGS = Settings(
    {
        "AZURE_OPENAI_ENDPOINT": "https://example.openai.azure.com",
        "CHAT_CONNECTIONS": "WHOLE BROKEN NAMELESS",
        "WHOLE__endpoint": "https://whole.example.com",
        "WHOLE__model": "vendor/model",
        "NAMELESS__endpoint": "https://nameless.example.com",
        "CHAT_CALLER_FIELDS": "connection",
    }
)
ACTIONS = load_actions(b'{"odd": {"connection": "BROKEN"}}', SETTINGS)


def test_a_connection_without_model_or_endpoint_offers_nothing() -> None:
    assert [offered.id for offered in offer(ACTIONS, SETTINGS)] == [
        "default",
        "odd",
        "WHOLE/vendor/model",
    ]


@pytest.mark.parametrize("name", ["vendor/model", "WHOLE/vendor/model"])
def test_a_models_name_may_have_a_slash(name: str) -> None:
    assert choose(name, ACTIONS, SETTINGS) == Chosen("default", "WHOLE")


@pytest.mark.parametrize("name", ["WHOLE/", "WHOLE", "vendor", "NAMELESS/some", "gpt-4o"])
def test_what_names_another_model_wants_it_open(name: str) -> None:
    with pytest.raises(FieldLocked) as caught:
        choose(name, ACTIONS, SETTINGS)
    assert caught.value.problems[0].field == "model"
    assert "default, odd, WHOLE/vendor/model" in caught.value.message
