"""The AI Chat Protocol's lines and completions, and what is taken from its requests."""

import json

import pytest

from shared.events import (
    Citations,
    Delta,
    End,
    Error,
    Event,
    Piece,
    Position,
    Reasoning,
    Start,
    ToolCall,
)
from shared.messages import Document, Options, Usage
from shared.protocols.ai_chat.encoders import CompletionEncoder, DeltaEncoder
from shared.protocols.ai_chat.request import parse

USAGE = Usage(1, 2, 3)
EVERYTHING: list[Event] = [
    Start("c1", "t1", "default", "gpt", True),
    Citations((Document(content="secret", id="1", title="T"), Document(content="x", score=0.5))),
    Reasoning("h"),
    Reasoning("m"),
    Delta('a"\u2028'),
    ToolCall(0, "id", "name", '{"x":1}'),
    Piece(0, {"content": "never here"}),
    Error("model_timeout", "Silent.", True),
    End("error", USAGE, 'a"\u2028'),
]
USED = b'{"promptTokens":1,"completionTokens":2,"totalTokens":3,"estimated":false}'


def encoded(encoder: DeltaEncoder | CompletionEncoder, events: list[Event]) -> list[bytes]:
    return [encoder.encode(event, Position(n, 1)) for n, event in enumerate(events)]


def test_lines() -> None:
    encoder = DeltaEncoder()
    assert encoder.heartbeat == b"\n"
    assert encoder.key is None
    assert encoded(encoder, EVERYTHING) == [
        b'{"delta":{"role":"assistant"},"sessionState":{"conversationId":"c1"}}\n',
        b'{"delta":{},"context":{"citations":[{"id":"1","title":"T"},{"score":0.5}]}}\n',
        b'{"delta":{"context":{"reasoning":"h"}}}\n',
        b'{"delta":{"context":{"reasoning":"m"}}}\n',
        b'{"delta":{"content":"a\\"\\u2028"}}\n',
        b"",
        b"",
        b"",
        b'{"error":{"code":"model_timeout","message":"Silent."}}\n'
        b'{"delta":{},"context":{"finishReason":"error","toolCalls":'
        b'[{"id":"id","name":"name","arguments":"{\\"x\\":1}"}],"usage":' + USED + b"}}\n",
    ]


def test_a_completion() -> None:
    encoder = CompletionEncoder()
    assert encoder.heartbeat == b" "
    assert encoder.key is None
    *before, whole = encoded(encoder, EVERYTHING)
    assert not any(before)
    assert whole == (
        b'{"message":{"role":"assistant","content":"a\\"\\u2028","context":{"reasoning":"hm"}},'
        b'"sessionState":{"conversationId":"c1"},"context":{"citations":[{"id":"1","title":"T"},'
        b'{"score":0.5}],"finishReason":"error","toolCalls":[{"id":"id","name":"name",'
        b'"arguments":"{\\"x\\":1}"}],"usage":' + USED + b"},"
        b'"error":{"code":"model_timeout","message":"Silent."}}'
    )


def test_what_broke_off_says_so_once() -> None:
    error = Error("store_unavailable", "No store.", True)
    end = End("incomplete", USAGE, "")
    lines = b"".join(encoded(DeltaEncoder(), [error, end])).splitlines()
    assert [json.loads(line).get("error", {}).get("code") for line in lines] == [
        "store_unavailable",
        None,
    ]
    lines = DeltaEncoder().encode(end, Position(1, 0)).splitlines()
    assert [json.loads(line).get("error", {}).get("code") for line in lines] == ["incomplete", None]
    [_, whole] = encoded(CompletionEncoder(), [error, end])
    assert json.loads(whole)["error"]["code"] == "store_unavailable"


@pytest.mark.parametrize("said", ["a", ""])
def test_an_answer_that_the_filter_cut_is_no_error_but_nothing_at_all_is(said: str) -> None:
    events: list[Event] = [
        Error("content_filtered", "Stopped (hate).", False),
        End("content_filter", USAGE, said),
    ]
    lines = b"".join(encoded(DeltaEncoder(), events)).splitlines()
    whole = json.loads(encoded(CompletionEncoder(), events)[-1])
    for told in (json.loads(lines[-1]), whole):
        assert told["context"].get("contentFilter") == ("Stopped (hate)." if said else None)
    assert len(lines) == (1 if said else 2)
    assert ("error" in whole) == (not said)


def test_a_whole_request() -> None:
    body = {
        "messages": [
            {"role": "assistant", "content": "anything"},
            {"role": "user", "content": "Who?", "files": [], "context": {}},
        ],
        "context": {
            "action": "poem",
            "connection": "OTHER",
            "deploymentName": "gpt",
            "systemPrompt": "Be kind.",
            "promptTemplate": "@@userPrompt",
            "options": {"top_p": 0.5, "seed": None},
            "context": [{"content": "c"}],
            "temperature": 0,
            "maxCompletionTokens": 5,
            "onDisconnect": "cancel",
        },
        "sessionState": {"conversationId": "c1"},
    }
    request = parse(json.dumps(body).encode())
    assert request.user_prompt == "Who?"
    assert (request.conversation_id, request.turn_id) == ("c1", None)
    assert (request.action, request.connection, request.model) == ("poem", "OTHER", "gpt")
    assert (request.system_prompt, request.prompt_template) == ("Be kind.", "@@userPrompt")
    assert request.options == Options(top_p=0.5)
    assert request.context == (Document(content="c"),)
    assert (request.temperature, request.max_completion_tokens) == (0, 5)
    assert request.on_disconnect == "cancel"


def test_the_least_request() -> None:
    body = {"messages": [{"role": "user", "content": "Who?"}], "sessionState": None}
    request = parse(json.dumps(body).encode())
    assert (request.user_prompt, request.conversation_id, request.action) == (
        "Who?",
        None,
        "default",
    )
    assert request.on_disconnect == "finish"
