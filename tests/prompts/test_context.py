"""Which documents a prompt takes, and what is said of the others."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.messages import ChatRequest, Document
from shared.prompts.actions import Action, Retrieval
from shared.prompts.context import choose_documents, without_content
from shared.prompts.prompt import make_prompt
from shared.prompts.template import render_documents
from shared.prompts.tokens import estimate_tokens
from shared.settings import Settings
from tests.turns.bench import ACTION


def document(name: str, score: float | None = None, tokens: int = 100) -> Document:
    return Document(content="x" * (3 * tokens - 20), title=name, score=score)


def titles(documents: tuple[Document, ...]) -> list[str | None]:
    return [d.title for d in documents]


def test_the_best_are_kept_in_the_order_in_which_they_came() -> None:
    found = [document("a", 0.2), document("b", 0.9), document("c", 0.5), document("d", 0.7)]
    chosen = choose_documents(found, 210)
    assert (titles(chosen.documents), titles(chosen.left_out)) == (["b", "d"], ["c", "a"])
    assert choose_documents(found, 10_000) == (tuple(found), ())


def test_without_all_scores_the_first_are_the_best() -> None:
    found = [document("a", 0.2), document("b"), document("c", 0.9)]
    assert titles(choose_documents(found, 210).documents) == ["a", "b"]


def test_a_lesser_one_may_fit_where_a_better_one_does_not() -> None:
    found = [document("large", 0.9, tokens=5000), document("small", 0.1)]
    chosen = choose_documents(found, 200)
    assert (titles(chosen.documents), titles(chosen.left_out)) == (["small"], ["large"])


texts = st.text(max_size=300)
documents = st.lists(
    st.builds(Document, content=texts, title=texts, score=st.none() | st.floats(-1, 1)), max_size=8
)


@given(documents, st.integers(0, 400))
def test_what_is_rendered_keeps_the_budget_and_nothing_is_lost(
    found: list[Document], most: int
) -> None:
    chosen = choose_documents(found, most)
    assert estimate_tokens(render_documents(chosen.documents)) <= most
    assert sorted(map(repr, chosen.documents + chosen.left_out)) == sorted(map(repr, found))


def test_callers_are_shown_everything_but_the_content() -> None:
    shown = without_content([Document(content="long", id="1", title="T", url="u", score=0.5)])
    assert shown == (Document(content="", id="1", title="T", url="u", score=0.5),)


def test_the_action_has_a_budget_of_its_own() -> None:
    limits = Settings({"CHAT_CONTEXT_MAX_TOKENS": "150"}).limits
    request = ChatRequest(user_prompt="Hi", context=(document("a"), document("b"), document("c")))
    assert titles(make_prompt(ACTION, request, "gpt", limits).brought.documents) == ["a"]
    own = _action(max_context_tokens=250)
    assert titles(make_prompt(own, request, "gpt", limits).brought.documents) == ["a", "b"]


def test_text_goes_in_as_it_came_whatever_the_budget() -> None:
    limits = Settings({"CHAT_CONTEXT_MAX_TOKENS": "1"}).limits
    made = make_prompt(ACTION, ChatRequest(user_prompt="Hi", context="a" * 99), "gpt", limits)
    assert made.render(()).messages[-1]["content"] == f"Context:\n{'a' * 99}\n\nHi"


@pytest.mark.parametrize("template", ["@@userPrompt", "@@context @@userPrompt @@context"])
def test_a_template_has_one_place_for_what_is_retrieved(template: str) -> None:
    action = _action(retrieval=Retrieval(retriever="D"))
    request = ChatRequest(user_prompt="Hi", prompt_template=template)
    with pytest.raises(InvalidRequest, match="@@context"):
        make_prompt(action, request, "gpt", Settings({}).limits)


def _action(**changed: Any) -> Action:
    return msgspec.structs.replace(ACTION, **changed)
