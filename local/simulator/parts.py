"""Makes the parts of an answer that go into chunks and whole answers alike."""

from collections.abc import Iterable, Sequence
from typing import Any

from local.simulator.answers import Answer, ToolCall


def usage_of(answer: Answer, prompt_tokens: int, choices: int = 1) -> dict[str, Any]:
    """Count what a request cost, in tokens."""
    completion = answer.completion_tokens() * choices
    return {
        "completion_tokens": completion,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": answer.reasoning_tokens() * choices,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": prompt_tokens,
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
        "total_tokens": prompt_tokens + completion,
    }


def logprobs_of(tokens: Iterable[str], top: int | None) -> dict[str, Any] | None:
    """Make the log probabilities of tokens, with so many likely ones each; None: none at all."""
    if top is None:
        return None
    content = [
        {
            **_likely(token, 0),
            "top_logprobs": [_likely(token if n == 0 else f"{token}{n}", n) for n in range(top)],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _likely(token: str, rank: int) -> dict[str, Any]:
    return {"token": token, "logprob": -0.25 - rank, "bytes": list(token.encode())}


def message_of(answer: Answer) -> dict[str, Any]:
    """Make the message of an answer that is not streamed, but for its calls."""
    text = "".join(answer.pieces)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not answer.tool_calls else None,
        "refusal": None,
        "annotations": [],
    }
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    return message


def tool_calls_of(calls: Sequence[ToolCall], answer_id: str) -> dict[str, Any]:
    """Make the member `tool_calls` of such a message, where there are calls."""
    made = [
        {
            "id": tool_call_id(answer_id, index),
            "type": "function",
            "function": {"name": call.name, "arguments": "".join(call.arguments)},
        }
        for index, call in enumerate(calls)
    ]
    return {"tool_calls": made} if made else {}


def tool_deltas(call: ToolCall, index: int, answer_id: str) -> list[dict[str, Any]]:
    """Make a call's deltas: the first has id and name, the others only arguments."""
    first = {
        "index": index,
        "id": tool_call_id(answer_id, index),
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    rest = [{"index": index, "function": {"arguments": piece}} for piece in call.arguments]
    return [{"tool_calls": [delta]} for delta in (first, *rest)]


def tool_call_id(answer_id: str, index: int) -> str:
    """Make a call's id from its answer's."""
    return f"call_{answer_id[-20:]}{index:04d}"
