"""From an action and a request to what a model is asked, and what is refused before."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FieldLocked, InvalidRequest, PayloadTooLarge
from shared.messages import ChatRequest, Document, Message, Options, ToolResult
from shared.prompts.actions import Action
from shared.prompts.prompt import check_locks, make_prompt
from shared.settings import LOCKABLE_FIELDS, Limits, Settings
from tests.turns.bench import ACTION

LIMITS = msgspec.structs.replace(Settings({}).limits, prompt_chars=10, input_chars=100)


def action(**fields: object) -> Action:
    return msgspec.structs.replace(ACTION, **fields)


def limits(**fields: int) -> Limits:
    return msgspec.structs.replace(LIMITS, **fields)


def test_a_plain_prompt() -> None:
    asked = make_prompt(ACTION, ChatRequest(user_prompt="Hi"), "gpt", LIMITS).render(())
    assert asked.model == "gpt"
    assert asked.messages == (
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
    )
    assert asked.parameters == {"temperature": 0.7}
    assert asked.chosen == frozenset()


def test_what_the_caller_sets_wins_and_is_told() -> None:
    request = ChatRequest(
        user_prompt="Hi",
        model="mine",
        system_prompt="Be brief.",
        temperature=0.0,
        max_completion_tokens=7,
        options=Options(seed=1, stop=["x"]),
        history=(Message(role="user", content="a"), Message(role="assistant", content="b")),
    )
    asked = make_prompt(action(max_completion_tokens=9), request, "mine", LIMITS).render(
        ({"role": "user", "content": "not this"},)
    )
    assert [m["content"] for m in asked.messages] == ["Be brief.", "a", "b", "Hi"]
    assert asked.parameters == {
        "temperature": 0.0,
        "max_completion_tokens": 7,
        "seed": 1,
        "stop": ["x"],
    }
    assert {"temperature", "max_completion_tokens", "seed", "stop"} <= asked.chosen


def test_messages_that_the_caller_brings_are_told() -> None:
    question = {"role": "user", "content": "Hi"}
    request = ChatRequest(user_prompt="Hi", messages=(question,), store=False)
    assert make_prompt(ACTION, request, "gpt", LIMITS).render(()).chosen == {"messages"}


IMAGE = {"type": "image_url", "image_url": {"url": "u"}}


def shown(*texts: str, name: str | None = None) -> ChatRequest:
    """A question of these texts, with an image before each and one behind them."""
    parts = [part for text in texts for part in (IMAGE, {"type": "text", "text": text})]
    message = {"role": "user", "content": [*parts, IMAGE]} | ({"name": name} if name else {})
    return ChatRequest(user_prompt="\n".join(texts), messages=(message,), store=False)


def test_a_question_with_images_gets_the_template() -> None:
    template = action(prompt_template="Wine: @@userPrompt")
    asked = make_prompt(template, shown("One", "Two", name="Ann"), "gpt", limits(input_chars=500))
    text = {"type": "text", "text": "Wine: One\nTwo"}
    assert asked.render(()).messages[1:] == (
        {"role": "user", "content": [text, IMAGE, IMAGE, IMAGE], "name": "Ann"},
    )
    alone = make_prompt(template, shown(), "gpt", limits())
    assert alone.render(()).messages[-1]["content"] == [{"type": "text", "text": "Wine: "}, IMAGE]
    plain = make_prompt(ACTION, shown(), "gpt", limits())
    assert plain.render(()).messages[-1]["content"] == [IMAGE]


def test_a_question_with_images_is_counted() -> None:
    with pytest.raises(PayloadTooLarge) as told:
        make_prompt(ACTION, shown("x" * 11), "gpt", limits(input_chars=500))
    assert told.value.problems[0].field == "userPrompt"
    with pytest.raises(PayloadTooLarge) as told:
        make_prompt(ACTION, shown("x", "x"), "gpt", limits(input_chars=100))
    assert told.value.problems[0].field == "messages"


def test_the_actions_defaults() -> None:
    made = make_prompt(
        action(max_completion_tokens=9, temperature=0.2, prompt_template="Q: @@userPrompt"),
        ChatRequest(user_prompt="Hi"),
        "gpt",
        LIMITS,
    )
    asked = made.render(({"role": "user", "content": "before"},))
    assert [m["content"] for m in asked.messages] == ["Be kind.", "before", "Q: Hi"]
    assert asked.parameters == {"temperature": 0.2, "max_completion_tokens": 9}
    assert asked.chosen == frozenset()


def test_the_actions_options_are_defaults_field_by_field() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    with_options = action(options={"tools": tools, "seed": 1, "top_p": 0.5}, temperature=0.2)
    asked = make_prompt(with_options, ChatRequest(user_prompt="Hi"), "gpt", LIMITS).render(())
    assert asked.parameters == {"tools": tools, "seed": 1, "top_p": 0.5, "temperature": 0.2}
    assert asked.chosen == frozenset()
    for name in ("seed", "random_seed"):  # two names for one field
        own = msgspec.convert({name: 2, "stop": "x"}, Options)
        request = ChatRequest(user_prompt="Hi", options=own)
        asked = make_prompt(with_options, request, "gpt", LIMITS).render(())
        assert asked.parameters == {
            "tools": tools,
            name: 2,
            "top_p": 0.5,
            "temperature": 0.2,
            "stop": "x",
        }
        assert asked.chosen == {name, "stop"}


def test_the_name_of_the_result() -> None:
    named = action(result_name="summary")
    for action_, own, name in (
        (ACTION, None, "response"),
        (named, None, "summary"),
        (named, "text", "text"),
        (ACTION, "text", "text"),
    ):
        request = ChatRequest(user_prompt="Hi", result_variable_name=own)
        assert make_prompt(action_, request, "gpt", LIMITS).result_name == name


def test_results_of_calls_take_no_template() -> None:
    given = (ToolResult(id="a", content="x" * 91), ToolResult(id="b", content=""))
    request = ChatRequest(user_prompt="", tool_results=given)
    templated = action(prompt_template="Template of some length: @@userPrompt")
    made = make_prompt(templated, request, "gpt", LIMITS)
    before = ({"role": "user", "content": "q"},)
    assert made.render(before).messages[1:] == (
        *before,
        {"role": "tool", "tool_call_id": "a", "content": "x" * 91},
        {"role": "tool", "tool_call_id": "b", "content": ""},
    )
    # Nine of the limit are the system prompt's.
    longer = msgspec.structs.replace(request, tool_results=(*given, *given[:1]))
    with pytest.raises(PayloadTooLarge, match="tool results") as raised:
        make_prompt(templated, longer, "gpt", LIMITS)
    assert raised.value.problems[0].field == "toolResults"


def test_context_is_rendered_and_cited_without_its_content() -> None:
    documents = (Document(content="long", id="1", title="T", url="u", score=0.5),)
    made = make_prompt(ACTION, ChatRequest(user_prompt="Hi", context=documents), "gpt", LIMITS)
    assert made.render(()).messages[-1]["content"] == "Context:\n[1] T\nlong\n\nHi"
    assert made.brought == (documents, ())
    text = make_prompt(ACTION, ChatRequest(user_prompt="Hi", context="text"), "gpt", LIMITS)
    assert text.render(()).messages[-1]["content"] == "Context:\ntext\n\nHi"
    assert text.brought == ((), ())


@pytest.mark.parametrize("context", [None, "", ()])
def test_no_context_leaves_the_marker_empty(context: str | tuple[Document, ...] | None) -> None:
    request = ChatRequest(user_prompt="Hi", context=context)
    assert make_prompt(ACTION, request, "gpt", LIMITS).render(()).messages[-1]["content"] == "Hi"
    templated = msgspec.structs.replace(request, prompt_template="[@@context]@@userPrompt")
    made = make_prompt(ACTION, templated, "gpt", LIMITS)
    assert made.render(()).messages[-1]["content"] == "[]Hi"


@pytest.mark.parametrize("template", ["", "no marker"])
def test_a_template_without_the_question_is_refused(template: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        make_prompt(ACTION, ChatRequest(user_prompt="Hi", prompt_template=template), "gpt", LIMITS)
    assert raised.value.problems[0].field == "promptTemplate"


def test_max_completion_tokens_has_a_limit() -> None:
    most = LIMITS.completion_tokens
    make_prompt(ACTION, ChatRequest(user_prompt="Hi", max_completion_tokens=most), "g", LIMITS)
    with pytest.raises(InvalidRequest, match=str(most)) as raised:
        make_prompt(
            ACTION, ChatRequest(user_prompt="Hi", max_completion_tokens=most + 1), "g", LIMITS
        )
    assert raised.value.problems[0].field == "maxCompletionTokens"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ChatRequest(user_prompt="x" * 11), "userPrompt"),
        (ChatRequest(user_prompt="x", system_prompt="s" * 100), "systemPrompt"),
        (ChatRequest(user_prompt="x", context="c" * 100), "context"),
        (ChatRequest(user_prompt="x", context=(Document(content="c" * 100),)), "context"),
        (
            ChatRequest(user_prompt="x", history=(Message(role="user", content="h" * 100),)),
            "history",
        ),
        (ChatRequest(user_prompt="x" * 10, prompt_template="@@userPrompt" * 11), "userPrompt"),
        (
            ChatRequest(
                user_prompt="x",
                context="c" * 20,
                prompt_template="@@userPrompt" + "@@context" * 1_000_000,
            ),
            "context",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_too_long_is_refused_by_name(request_: ChatRequest, field: str) -> None:
    with pytest.raises(PayloadTooLarge) as raised:
        make_prompt(ACTION, request_, "gpt", LIMITS)
    assert raised.value.problems[0].field == field


@given(st.text("ab@", max_size=9), st.text("ab", max_size=30), st.integers(20, 70))
def test_what_is_accepted_is_never_longer_than_the_limit(
    prompt: str, context: str, most: int
) -> None:
    request = ChatRequest(user_prompt=prompt, context=context, system_prompt="system")
    try:
        made = make_prompt(ACTION, request, "gpt", limits(input_chars=most))
    except PayloadTooLarge:
        made = make_prompt(ACTION, request, "gpt", limits(input_chars=1000))
        assert sum(len(m["content"]) for m in made.render(()).messages) > most
    else:
        assert sum(len(m["content"]) for m in made.render(()).messages) <= most


LOCKED = {
    "connection": ChatRequest(user_prompt="x", connection="OTHER"),
    "model": ChatRequest(user_prompt="x", model="other"),
    "systemPrompt": ChatRequest(user_prompt="x", system_prompt=""),
    "promptTemplate": ChatRequest(user_prompt="x", prompt_template="@@userPrompt"),
    "options": ChatRequest(user_prompt="x", options=Options(seed=1)),
}


@pytest.mark.parametrize("field", LOCKABLE_FIELDS)
def test_a_locked_field_is_refused_and_an_open_one_is_not(field: str) -> None:
    with pytest.raises(FieldLocked, match="CHAT_CALLER_FIELDS") as raised:
        check_locks(ACTION, LOCKED[field])
    assert raised.value.problems[0].field == field
    others = action(name="other", caller_fields=frozenset(LOCKABLE_FIELDS) - {field})
    with pytest.raises(FieldLocked, match=r"callerFields in actions\.json"):
        check_locks(others, LOCKED[field])
    check_locks(action(caller_fields=frozenset({field})), LOCKED[field])


def test_fields_that_nobody_locks() -> None:
    check_locks(ACTION, ChatRequest(user_prompt="x", temperature=1.0, max_completion_tokens=1))
