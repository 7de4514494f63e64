"""What a chat-completions stream says, as events.

Text that arrives together becomes one event. Tool calls are put together and given complete, in
the order of their indexes, once the model has said that it ended; a call that was cut off (by the
length, the filter or a broken stream) is none. `Finish` says all that is known so far: it comes
with the reason, and once more if figures of usage follow.

A reason that is not one of the four is not taken for `stop`: there is none then, and the turn ends
`incomplete`. Where the model made calls, `stop` means `tool_calls`: that is how a call that
`tool_choice` forced ends (https://platform.openai.com/docs/guides/function-calling). Every call has
an id that no other of the answer has, made up where the model gave none. What the content filter
says of the answer is read where it may have fired: of a chunk that ends by it, and of one without
a delta, which ends the answer if it did.
"""

from collections.abc import Iterable
from typing import Final

from shared.errors import ChatError, ModelUnavailable
from shared.events import Delta, Finish, ModelEvent, Reasoning, TextEvent, ToolCall
from shared.messages import FinishReason, Usage
from shared.models.call_ids import made_id
from shared.models.failures import in_stream
from shared.models.filters import MOST, fired_in_chunk
from shared.models.surrogates import SurrogateJoiner, mended
from shared.models.wire import CallDelta, Choice, WireUsage, decode, reported

MAX_CALLS = 128
MAX_ARGUMENTS_CHARS = 1 << 20
"""Of all calls of an answer together."""

REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


class ChunkReader:
    """One answer's reader: the data of its events in, model events out. Pure."""

    __slots__ = (
        "_call_chars",
        "_calls",
        "_filtered",
        "_joiner",
        "_kind",
        "_usage",
        "done",
        "failure",
        "reason",
    )

    def __init__(self) -> None:
        self.reason: FinishReason | None = None
        """How the model says that it ended."""
        self.done = False
        """Whether the stream has said that nothing follows."""
        self.failure: ChatError | None = None
        """What went wrong, to be raised once the events before it were given."""
        self._usage: WireUsage | None = None
        self._filtered: tuple[str, ...] = ()
        self._calls: dict[int, _Call] = {}
        self._call_chars = 0
        self._joiner = SurrogateJoiner()
        self._kind: type[TextEvent] = Delta

    def read(self, payloads: Iterable[bytes]) -> list[ModelEvent]:
        """The events of what arrived together. Sets `failure`, and raises nothing."""
        events: list[ModelEvent] = []
        known = (self.reason, self._usage, self._filtered)
        try:
            for payload in payloads:
                if payload == b"[DONE]":
                    self.done = True
                    break
                self._chunk(payload, events)
        except ChatError as exc:
            self.failure = exc
        if self.reason is not None and known != (self.reason, self._usage, self._filtered):
            self._finish(events)
        return events

    def end(self) -> list[ModelEvent]:
        """What is still to be told when nothing follows."""
        events: list[ModelEvent] = []
        if self.reason is None and self._usage is not None:
            self._finish(events)
        self._flush(events)
        return events

    def _chunk(self, payload: bytes, events: list[ModelEvent]) -> None:
        chunk, clean = decode(payload)
        if chunk.error:
            raise in_stream(chunk.error)
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or self._without_choices(payload):
            if not choice.index:
                self._choice(choice, clean, events, payload)

    def _without_choices(self, payload: bytes) -> tuple[Choice, ...]:
        """A chunk of usage or of the filter mostly, but it may be an error."""
        if error := reported(payload):
            raise in_stream(error)
        return ()

    def _choice(
        self, choice: Choice, clean: bool, events: list[ModelEvent], payload: bytes
    ) -> None:
        delta = choice.delta
        if delta is not None:
            if thought := delta.reasoning_content or delta.reasoning:
                self._say(Reasoning, thought, clean, events)
            if content := delta.content or delta.refusal:
                self._say(Delta, content, clean, events)
            for call in delta.tool_calls or ():
                self._call(call)
        else:
            self._judge(payload)
        if choice.finish_reason and self.reason != "content_filter":
            if choice.finish_reason == "error":
                raise in_stream()
            self.reason = REASONS.get(choice.finish_reason, self.reason)
            if self.reason == "stop" and self._calls:
                self.reason = "tool_calls"
            elif self.reason == "content_filter":
                self._judge(payload)

    def _judge(self, payload: bytes) -> None:
        """What the filter says, apart from the text or at its end."""
        if names := fired_in_chunk(payload):
            self.reason = "content_filter"
            self._filtered = tuple(dict.fromkeys(self._filtered + names))[:MOST]

    def _say(self, kind: type[TextEvent], text: str, clean: bool, events: list[ModelEvent]) -> None:
        if kind is not self._kind:
            self._flush(events)
            self._kind = kind
        if self._joiner.holding or not clean:
            text = self._joiner.join(text)
        if text:
            _append(kind, text, events)

    def _flush(self, events: list[ModelEvent]) -> None:
        if text := self._joiner.flush():
            _append(self._kind, text, events)

    def _call(self, delta: CallDelta) -> None:
        calls, function = self._calls, delta.function
        index = delta.index
        if index is None:
            # Services that give no index begin a call with its id, or at least with its name.
            begins = delta.id or not calls or (function is not None and function.name)
            index = max(calls, default=-1) + (1 if begins else 0)
        call = calls.get(index)
        if call is None:
            call = calls[index] = _Call()
        if delta.id and delta.id != "null":  # Mistral's word for none.
            call.id = delta.id
        if function is not None:
            if function.name:
                call.name = function.name
            if function.arguments:
                call.arguments.append(function.arguments)
                self._call_chars += len(function.arguments)
        if len(calls) > MAX_CALLS or self._call_chars > MAX_ARGUMENTS_CHARS:
            raise ModelUnavailable("The model's stream could not be read: too many tool calls.")

    def _finish(self, events: list[ModelEvent]) -> None:
        self._flush(events)
        if self.reason == "tool_calls":
            events += _whole(call for _, call in sorted(self._calls.items()))
            self._calls.clear()
        usage = self._usage
        details = usage.completion_tokens_details if usage else None
        events.append(
            Finish(
                self.reason,
                usage_of(usage) if usage else None,
                (details.reasoning_tokens or 0) if details else 0,
                self._filtered,
            )
        )


class _Call:
    """A tool call that is being put together."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


def _whole(calls: Iterable[_Call]) -> list[ToolCall]:
    """The calls as events. An id that is missing, or was there before, is made of the call."""
    whole: list[ToolCall] = []
    taken = {""}
    for index, call in enumerate(calls):
        call_id, name = mended(call.id), mended(call.name)
        arguments = mended("".join(call.arguments))
        made = 0
        while call_id in taken:
            call_id = made_id(f"{index} {made} {name} {arguments}")
            made += 1
        taken.add(call_id)
        whole.append(ToolCall(index, call_id, name, arguments))
    return whole


def _append(kind: type[TextEvent], text: str, events: list[ModelEvent]) -> None:
    if events and isinstance(last := events[-1], kind):
        events[-1] = kind(last.text + text)
    else:
        events.append(kind(text))


def usage_of(usage: WireUsage) -> Usage:
    """The figures of a service, as far as it gave them."""
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return Usage(prompt, completion, usage.total_tokens or prompt + completion)
