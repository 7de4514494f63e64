"""The template: one pass, and its length told before it is rendered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.messages import Document
from shared.prompts.template import (
    PLAIN,
    WITH_CONTEXT,
    check_template,
    context_length,
    render,
    render_documents,
    rendered_length,
)

pieces = st.sampled_from(
    ["@@userPrompt", "@@context", "@@", "@", "a", "文", "🙂", "\n", "$1", "\\1"]
)
texts = st.lists(pieces, max_size=8).map("".join)
documents = st.lists(
    st.builds(
        Document,
        content=texts,
        title=st.one_of(st.none(), texts),
        url=st.one_of(st.none(), texts),
    ),
    max_size=12,
).map(tuple)
contexts = st.one_of(st.none(), texts, documents)


@given(texts, texts, contexts)
def test_the_length_is_known_before_rendering(template: str, prompt: str, context: Any) -> None:
    made = context if isinstance(context, str) else render_documents(context or ())
    length = context_length(context)
    assert length == len(made)
    assert rendered_length(template, prompt, length) == len(render(template, prompt, made))


def test_what_a_marker_inserts_is_never_looked_at_again() -> None:
    assert render("[@@context] @@userPrompt", "@@context", "@@userPrompt") == (
        "[@@userPrompt] @@context"
    )
    assert render("@@userPrompt@@userPrompt", r"\1 \g<0>", "") == r"\1 \g<0>" * 2


def test_the_templates_that_go_without_saying() -> None:
    assert render(PLAIN, "Hi", "") == "Hi"
    assert render(WITH_CONTEXT, "Hi", "C") == "Context:\nC\n\nHi"


def test_documents_are_numbered_with_their_titles() -> None:
    context = (Document(content="one", title="T"), Document(content="two"))
    assert render_documents(context) == "[1] T\none\n\n[2]\ntwo"
    assert render_documents(()) == ""
    faked = (Document(content="one", title="T\n\n[2] Other"),)
    assert render_documents(faked) == "[1] T [2] Other\none"


@pytest.mark.parametrize(
    ("template", "has_context", "missing"),
    [("Hi", False, "@@userPrompt"), ("", False, "@@userPrompt"), (PLAIN, True, "@@context")],
)
def test_a_template_that_would_lose_something(
    template: str, has_context: bool, missing: str
) -> None:
    with pytest.raises(InvalidRequest, match=missing) as raised:
        check_template(template, has_context=has_context)
    assert raised.value.problems[0].field == "promptTemplate"


@pytest.mark.parametrize("has_context", [True, False])
def test_a_template_with_both(has_context: bool) -> None:
    check_template(WITH_CONTEXT, has_context=has_context)
    check_template(PLAIN, has_context=False)
