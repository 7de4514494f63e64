"""What a turn tells operators of itself: filled in on the way, told once it is over."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import ChatError
from shared.events import Answering, Citations
from shared.messages import ModelRequest
from shared.prompts.prompt import Prompt
from shared.telemetry.facts import Content, NoTelemetry, Search, Telemetry, TurnFacts, new_turn, now
from shared.turns.buffer import TurnBuffer


class Report:
    """One turn's. `telemetry` takes it, once."""

    def __init__(self, facts: TurnFacts, telemetry: Telemetry) -> None:
        self._facts = facts
        self._telemetry = telemetry
        self._request: ModelRequest | None = None

    @classmethod
    def nowhere(cls) -> "Report":
        """One that nobody reads."""
        return cls(new_turn("", "", None, None), NoTelemetry())

    def watched(self, by: int) -> None:
        """So many callers watch now."""
        self._facts.watchers = max(self._facts.watchers, by)

    def asked(self, request: ModelRequest) -> None:
        """The model is being asked."""
        self._facts.asked = now()
        self._facts.parameters = request.parameters
        self._request = request

    def heard(self) -> None:
        """The model said something."""
        facts = self._facts
        facts.chunks += 1
        if not facts.first:
            facts.first = now()

    def answered_by(self, answering: Answering) -> None:
        """Another model answers than was asked."""
        facts = self._facts
        facts.fail_overs += 1
        facts.answered_by = answering.model
        facts.service = answering.service or facts.service

    @contextmanager
    def searching(self, retriever: str) -> Iterator[list[Citations]]:
        """Documents are being looked for; put what was found into the list."""
        search = self._facts.search = Search(retriever, now())
        found: list[Citations] = []
        try:
            yield found
        except ChatError as exc:
            search.error = exc.code
            raise
        finally:
            search.ended = now()
            for citations in found:
                search.found = len(citations.documents)
                search.error = citations.failure.code if citations.failure else None

    def failed(self, error: ChatError) -> None:
        """What the turn ends with, or is refused with."""
        self._facts.code = error.code

    def told_again(self) -> None:
        """It ran before, or runs already: nothing was asked."""
        self._facts.how = "told"
        self._tell()

    def refused(self, error: Exception) -> None:
        """Nothing of it is left."""
        self._facts.how = "refused"
        self._facts.code = error.code if isinstance(error, ChatError) else type(error).__name__
        self._tell()

    def ended(self, buffer: TurnBuffer, reasoning_tokens: int) -> None:
        """It is over, with the buffer's end, or with a refusal where there is none."""
        facts = self._facts
        if (end := buffer.end) is None:
            facts.how = "refused"
        else:
            facts.reason, facts.usage = end.finish_reason, end.usage
            facts.reasoning_tokens = reasoning_tokens
            if self._telemetry.content and self._request is not None:
                facts.content = Content(self._request.messages, end.text)
        self._tell()

    def _tell(self) -> None:
        self._facts.ended = now()
        self._telemetry.record(self._facts)


@contextmanager
def reported(prompt: Prompt, conversation: str | None, telemetry: Telemetry) -> Iterator[Report]:
    """The report of a turn that was just asked for; what runs from here on belongs to it.

    An error within is the turn's refusal.
    """
    facts = new_turn(prompt.action.name, prompt.model, prompt.service, conversation)
    report = Report(facts, telemetry)
    try:
        yield report
    except Exception as exc:
        report.refused(exc)
        raise
