"""What identifies a request, and positions as text."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    ChatError,
    ConversationBusy,
    InvalidRequest,
)
from shared.events import Position
from shared.messages import ChatRequest, Document, Message, Options

HELLO = ChatRequest(user_prompt="Hello")


def but(**fields: object) -> ChatRequest:
    return msgspec.structs.replace(HELLO, **fields)


@pytest.mark.parametrize(
    "same",
    [
        but(conversation_id="c"),
        but(turn_id="t"),
        but(result_variable_name="x"),
        but(on_disconnect="cancel"),
        but(action="default"),
    ],
)
def test_what_is_not_asked_does_not_count(same: ChatRequest) -> None:
    assert same.digest() == HELLO.digest()


def test_everything_that_is_asked_counts() -> None:
    asked = [
        HELLO,
        but(user_prompt="hello"),
        but(action="x"),
        but(connection="x"),
        but(model="x"),
        but(system_prompt="x"),
        but(prompt_template="x"),
        but(options=Options(seed=1)),
        but(options=Options(random_seed=1)),
        but(history=()),
        but(history=(Message(role="user", content="x"),)),
        but(history=(Message(role="assistant", content="x"),)),
        but(context="x"),
        but(context=(Document(content="x"),)),
        but(context=(Document(content="x", score=1.0),)),
        but(temperature=0.7),
        but(max_completion_tokens=5),
        but(replaces="t"),
        but(store=False),
    ]
    assert len({request.digest() for request in asked}) == len(asked)


def test_the_digest_never_changes() -> None:
    """It is stored: a retry of last month must be told from another body."""
    request = but(options=Options(metadata={"b": 1, "a": 2}), context="é\u2028")
    other = but(options=Options(metadata={"a": 2, "b": 1}), context="é\u2028")
    assert request.digest() == other.digest()
    assert HELLO.digest() == "cd5c2517b9ef70fd67f8743a41079dbc5d28650726702a6e25ddfb3d6ab904c0"


@given(st.integers(0, 999_999_999), st.integers(0, 999_999_999))
def test_positions_as_text(run: int, offset: int) -> None:
    position = Position(run, offset)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1.1.1", "-1.0", "1.0\n", "١.٠", "1" * 10])
def test_what_is_no_position(text: str) -> None:
    assert Position.parse(text) is None


def _subclasses(kind: type[ChatError]) -> list[type[ChatError]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in _subclasses(sub))]


def test_every_error_has_a_code_a_status_and_a_title() -> None:
    kinds = [kind for kind in _subclasses(ChatError) if kind is not ChatError]
    assert all(400 <= kind.status < 600 and kind.code and kind.title for kind in kinds)
    assert all(kind.code.replace("_", "").isalpha() for kind in kinds)


def test_errors_carry_field_and_time() -> None:
    error = InvalidRequest("x is wrong.", field="x", retry_after=2)
    assert (error.problems[0].field, error.problems[0].message) == ("x", "x is wrong.")
    assert error.retry_after == 2
    assert InvalidRequest("x").problems == ()
    assert ConversationBusy("t1").turn_id == "t1"
