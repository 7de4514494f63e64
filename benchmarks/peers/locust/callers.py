"""Locust's callers of `POST /api/chat`: each reads its answers to the end and checks them.

Run by `python -m benchmarks.streams`, in Locust's own environment. `STREAMS_PROMPT` says what each
asks, `_TOKENS` how many tokens an answer has on average, `_TURNS` how many turns each runs, one
after the other; the figures go to the file `STREAMS_RESULT` as JSON.
"""

import json
import os
import random
import time
from array import array
from collections import Counter
from pathlib import Path

from locust import FastHttpUser, constant, events, task
from locust.exception import StopUser

PROMPT = os.environ["STREAMS_PROMPT"]
TOKENS = int(os.environ["STREAMS_TOKENS"])
TURNS = int(os.environ["STREAMS_TURNS"])
RESULT = Path(os.environ["STREAMS_RESULT"])


class Wrong(Exception):
    """An answer that is not what was asked for."""


class Record:
    """What all callers saw."""

    def __init__(self) -> None:
        self.began = array("d")
        """When each stream was asked for, and below when its bytes came; seconds."""
        self.first = array("d")
        self.last = array("d")
        self.gaps = array("d")
        self.turn = array("i")
        """Which of its caller's turns each stream was, from 0."""
        self.tokens = 0
        self.frames = 0
        self.errors: Counter[str] = Counter()
        self.open = 0
        self.peak = 0
        self.done = 0


record = Record()
lengths = random.Random("lengths")


class Caller(FastHttpUser):  # type: ignore[misc]
    """One caller, with one connection."""

    wait_time = constant(0)
    connection_timeout = 60.0
    network_timeout = 60.0

    def on_start(self) -> None:
        self.turns = 0

    @task  # type: ignore[untyped-decorator]
    def turn(self) -> None:
        began = time.perf_counter()
        try:
            self.read(began)
        except Exception as exc:  # whatever it is, it is counted, and the run has failed
            record.errors[f"{type(exc).__name__}: {exc}"[:200]] += 1
            self.tell("whole answer", began, exc)
        else:
            self.tell("whole answer", began)
        record.done += 1
        self.turns += 1
        if record.done == TURNS * self.environment.parsed_options.num_users:
            self.environment.runner.quit()
        if self.turns == TURNS:
            raise StopUser

    def read(self, began: float) -> None:
        # Half to one and a half times as long: in step, all would begin again at once.
        tokens = lengths.randint(max(1, TOKENS // 2), TOKENS + TOKENS // 2)
        with self.client.post(
            "/api/chat",
            json={"userPrompt": PROMPT.replace("@tokens@", str(tokens))},
            headers={"accept": "text/event-stream"},
            stream=True,
            catch_response=True,
        ) as response:
            response.success()
            if response.status_code != 200:
                raise Wrong(f"status {response.status_code}: {response.text}")
            readline, now = response.stream.readline, time.perf_counter
            gaps = record.gaps
            frames = [readline(b"\n\n")]
            first = before = now()
            record.open += 1
            record.peak = max(record.peak, record.open)
            try:
                while frame := readline(b"\n\n"):
                    moment = now()
                    gaps.append(moment - before)
                    before = moment
                    frames.append(frame)
            finally:
                record.open -= 1
        check(frames, tokens)
        record.turn.append(self.turns)
        record.tokens += tokens
        record.began.append(began)
        record.first.append(first)
        record.last.append(before)
        record.frames += len(frames)
        self.tell("first byte", began, until=first)

    def tell(
        self, name: str, began: float, exception: Exception | None = None, until: float = 0.0
    ) -> None:
        self.environment.events.request.fire(
            request_type="turn",
            name=name,
            response_time=((until or time.perf_counter()) - began) * 1000,
            response_length=0,
            exception=exception,
            context={},
        )


def check(frames: list[bytes], tokens: int) -> None:
    """Raises `Wrong` unless it is one whole answer of so many tokens that ended by itself."""
    told = [json.loads(frame.partition(b"data: ")[2]) for frame in frames if frame[:1] != b":"]
    if not told or told[-1]["type"] != "end" or told[-1]["finishReason"] != "stop":
        raise Wrong(f"the last event was {frames[-1][:200]!r}")
    end = told[-1]
    if end["usage"]["completionTokens"] != tokens:
        raise Wrong(f"{end['usage']} instead of {tokens} tokens")
    text = "".join(event["text"] for event in told if event["type"] == "delta")
    if text != end["result"]["response"]:
        raise Wrong(f"{len(text)} characters streamed of {len(end['result']['response'])}")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write(**_: object) -> None:
    RESULT.write_text(
        json.dumps(
            {
                "began": list(record.began),
                "first": list(record.first),
                "last": list(record.last),
                "gaps": list(record.gaps),
                "turn": list(record.turn),
                "tokens": record.tokens,
                "frames": record.frames,
                "peak": record.peak,
                "errors": record.errors,
            }
        ),
        encoding="utf-8",
    )
