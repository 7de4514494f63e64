"""What became of the last turn at the model and at the store.

What the model was sent is the simulator's journal; the tokens are counted as the simulator counts.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from local.drawer.turns import Turn
from local.simulator import Simulator
from local.simulator.records import RequestRecord
from local.simulator.tokens import count_prompt, count_tokens
from local.storage_meter import Meter, StoreRequest

_SYSTEM = ("system", "developer")
# What a request is made of besides its messages, none of it a parameter of the answer.
_NOT_PARAMETERS = ("messages",)


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one part of a turn; `messages` where it consists of messages."""

    name: str
    tokens: int
    messages: int | None = None


async def model_side(turn: Turn, simulator: Simulator) -> dict[str, Any]:
    """How often the model was asked, and of the last time: what it was sent, how it ended.

    Raises `SimulatorError`, and aiohttp's errors where it cannot be reached.
    """
    since = int(1000 * turn.began)
    until = None if turn.ended is None else int(1000 * turn.ended)
    records = [
        record
        for record in await simulator.requests(since=since)
        if (until is None or record.received_at <= until) and _asks(record, turn.prompt)
    ]
    if not records:
        return {"asked": 0}
    record = records[-1]
    sent = _messages(record)
    body = record.body if isinstance(record.body, dict) else {}
    return {
        "asked": len(records),
        "deployment": record.deployment,
        "state": record.state,
        "outcome": record.outcome,
        "outcomes": [record.outcome for record in records],
        "messages": sent,
        "messageTokens": [count_tokens(text_of(message.get("content"))) for message in sent],
        "parameters": {k: v for k, v in body.items() if k not in _NOT_PARAMETERS},
        "tokens": [asdict(part) for part in tokens_by_part(sent, turn.prompt, record)],
    }


def store_side(turn: Turn, meter: Meter) -> dict[str, Any]:
    """The store's requests for the turn's conversation while the turn ran."""
    requests = [
        request
        for request in meter.requests(since=turn.began)
        if (turn.ended is None or request.at <= turn.ended)
        and request.conversation == turn.conversation_id
        and request.conversation is not None
    ]
    reads = sum(request.reads for request in requests)
    return {
        "reads": reads,
        "writes": len(requests) - reads,
        "requests": [_shown(request, turn.began) for request in requests],
    }


def tokens_by_part(
    messages: Sequence[dict[str, Any]], prompt: str | None, record: RequestRecord
) -> list[Part]:
    """Tokens of each part; those before `reasoning` add up to the prompt's."""
    texts = [text_of(message.get("content")) for message in messages]
    system = [t for m, t in zip(messages, texts, strict=True) if m.get("role") in _SYSTEM]
    others = [t for m, t in zip(messages, texts, strict=True) if m.get("role") not in _SYSTEM]
    *history, last = others or [""]
    whole = count_tokens(last)
    question = whole if prompt is None else min(whole, count_tokens(prompt))
    counted = sum(map(count_tokens, texts))
    return [
        Part("system", sum(map(count_tokens, system)), len(system)),
        Part("history", sum(map(count_tokens, history)), len(history)),
        Part("context", whole - question),
        Part("question", question),
        Part("framing", count_prompt(texts) - counted),
        Part("reasoning", record.reasoning_tokens),
        Part("answer", record.chunks),
    ]


def text_of(content: Any) -> str:
    """A message's text, where it has parts their texts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else json.dumps(content)


def _asks(record: RequestRecord, prompt: str | None) -> bool:
    """Whether this was asked for the turn: another one may run at the same time."""
    if prompt is None or record.body is None:
        return True
    users = [m for m in _messages(record) if m.get("role") == "user"]
    return bool(users) and prompt in text_of(users[-1].get("content"))


def _messages(record: RequestRecord) -> list[dict[str, Any]]:
    messages = record.body.get("messages") if isinstance(record.body, dict) else None
    return [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []


def _shown(request: StoreRequest, began: float) -> dict[str, Any]:
    return {
        "afterMs": round(1000 * (request.at - began)),
        "method": request.method,
        "what": request.what,
        "path": request.path,
        "status": request.status,
        "ms": request.ms,
    }
