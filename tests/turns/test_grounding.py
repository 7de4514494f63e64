"""Answers from what the server finds: the search, its failures, and what is told of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from shared.errors import ChatError, ModelUnavailable, NotFound, RateLimited, RetrievalUnavailable
from shared.events import Citations, Finish, RetrievalFailure
from shared.messages import Document, Message, Usage
from shared.prompts.actions import Action, Retrieval
from shared.retrieval.base import Query
from shared.turns.grounding import QUERY_TOKENS, SEARCH_SECONDS
from tests.turns.bench import ACTION, PLACE, Instance
from tests.turns.clock_loop import in_virtual_time
from tests.turns.scripted import ScriptedModel

HOURS = Document(content="The office opens at nine.", id="7", title="Hours", url="/h", score=0.9)
LONG = Document(content="x" * 9000, id="8", title="Long", score=0.8)


class Shelf:
    """A retriever whose documents, or failure, the test chooses. Implements `Retriever`."""

    def __init__(self, *documents: Document, failure: Exception | None = None) -> None:
        self.queries: list[Query] = []
        self.failure = failure
        self._documents = documents
        self.before: Callable[[], Awaitable[Any]] | None = None

    async def search(self, query: Query) -> tuple[Document, ...]:
        self.queries.append(query)
        if self.before is not None:
            await self.before()
        if self.failure is not None:
            raise self.failure
        return self._documents

    async def ready(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


def grounded(*, max_context_tokens: int | None = None, **retrieval: Any) -> Action:
    return msgspec.structs.replace(
        ACTION,
        retrieval=Retrieval(**{"retriever": "D"} | retrieval),
        max_context_tokens=max_context_tokens,
    )


def answering(text: str = "At nine [1].") -> ScriptedModel:
    model = ScriptedModel()
    model.say(text)
    model.finish()
    return model


def rewriting(question: str, usage: Usage | None = None, reason: str = "stop") -> ScriptedModel:
    """It rewrites the question first, and answers then."""
    model = ScriptedModel()
    model.say(question)
    model.say(Finish(reason, usage))  # type: ignore[arg-type]
    model.end()
    model.say("At nine [1].")
    model.finish()
    return model


@in_virtual_time
async def test_the_documents_are_in_the_prompt_told_and_stored() -> None:
    app, model, shelf = Instance(), answering(), Shelf(HOURS)
    action = grounded(top_k=3, mode="vector", min_score=0.2, filter={"kind": ("a", "b")})
    listener = await app.listen(model, "When?", action=action, retriever=shelf)
    assert (await listener.ended()).text == "At nine [1]."
    told = Citations((msgspec.structs.replace(HOURS, content=""),))
    assert listener.kinds == ["Start", "Citations", "Delta", "End"]
    assert listener.events[1] == told
    assert (await app.stored()).runs[0] == told
    content = model.requests[0].messages[-1]["content"]
    assert content == "Context:\n[1] Hours\nThe office opens at nine.\n\nWhen?"
    assert shelf.queries == [
        Query(text="When?", top_k=3, mode="vector", min_score=0.2, filter={"kind": ("a", "b")})
    ]


@in_virtual_time
async def test_who_asks_again_is_told_the_same_and_nothing_is_searched() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    first = await app.listen(answering(), action=grounded(), retriever=shelf)
    await first.ended()
    again = await app.listen(ScriptedModel(), action=grounded(), retriever=shelf)
    await again.ended()
    assert again.events == first.events
    assert len(shelf.queries) == 1


@in_virtual_time
async def test_a_busy_conversation_searches_nothing() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    model = ScriptedModel()
    model.say("Wait")
    running = await app.listen(model)
    with pytest.raises(ChatError) as raised:
        await app.start(answering(), action=grounded(), retriever=shelf, turn_id="t2")
    assert (raised.value.code, shelf.queries) == ("conversation_busy", [])
    model.finish()
    await running.ended()


@in_virtual_time
async def test_the_question_is_stored_before_anything_is_searched() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    seen = []

    async def look() -> None:
        seen.append(await app.stored())

    shelf.before = look
    await (await app.listen(answering(), action=grounded(), retriever=shelf)).ended()
    assert [answer.running for answer in seen] == [True]


@in_virtual_time
async def test_what_has_no_room_is_named_and_numbers_stay_in_order() -> None:
    app, model = Instance(), answering()
    action = grounded(max_context_tokens=100)
    listener = await app.listen(model, action=action, retriever=Shelf(LONG, HOURS))
    await listener.ended()
    (told,) = [e for e in listener.events if isinstance(e, Citations)]
    assert [d.id for d in told.documents] == ["7"]
    assert [(d.id, d.content) for d in told.left_out] == [("8", "")]
    assert "[1] Hours" in model.requests[0].messages[-1]["content"]


@in_virtual_time
async def test_nothing_found_is_told_and_the_prompt_is_the_question() -> None:
    app, model = Instance(), answering()
    listener = await app.listen(model, "Hm?", action=grounded(), retriever=Shelf())
    await listener.ended()
    assert listener.events[1] == Citations(())
    assert model.requests[0].messages[-1]["content"] == "Hm?"


@in_virtual_time
async def test_a_search_that_fails_refuses_the_turn_and_leaves_nothing_behind() -> None:
    app, model = Instance(), answering()
    shelf = Shelf(failure=RetrievalUnavailable("No."))
    with pytest.raises(RetrievalUnavailable, match="No"):
        await app.start(model, action=grounded(), retriever=shelf)
    assert model.requests == []
    shelf.failure = None
    again = await app.listen(model, action=grounded(), retriever=shelf)
    assert (await again.ended()).finish_reason == "stop"


@in_virtual_time
async def test_one_that_fails_later_ends_the_turn_and_nothing_was_used() -> None:
    app = Instance(respond_within=1.0)
    shelf = Shelf()
    shelf.before = _forever
    listener = await app.listen(answering(), action=grounded(), retriever=shelf)
    end = await listener.ended()
    assert [e.code for e in listener.errors] == ["retrieval_unavailable"]
    assert f"{SEARCH_SECONDS:g} s" in listener.errors[0].message
    assert (end.finish_reason, end.usage) == ("error", Usage(0, 0, 0))


@in_virtual_time
async def test_a_search_is_no_silence_of_the_model() -> None:
    app, shelf, model = Instance(respond_within=1.0, model_timeout=2.0), Shelf(HOURS), answering()

    async def slowly() -> None:
        await asyncio.sleep(SEARCH_SECONDS - 1)

    shelf.before = slowly
    listener = await app.listen(model, action=grounded(), retriever=shelf)
    assert (await listener.ended()).finish_reason == "stop"


async def _forever() -> None:
    await asyncio.Event().wait()


@in_virtual_time
async def test_the_action_may_answer_without_and_says_so() -> None:
    app, model = Instance(), answering("I do not know.")
    shelf = Shelf(failure=RetrievalUnavailable("No."))
    listener = await app.listen(model, "Hm?", action=grounded(required=False), retriever=shelf)
    assert (await listener.ended()).finish_reason == "stop"
    told = Citations((), failure=RetrievalFailure("retrieval_unavailable", "No."))
    assert listener.events[1] == told
    assert (await app.stored()).runs[0] == told
    assert model.requests[0].messages[-1]["content"] == "Hm?"


@in_virtual_time
async def test_titles_that_are_too_long_to_be_kept_are_a_failure() -> None:
    app = Instance(max_bytes=1000)
    shelf = Shelf(msgspec.structs.replace(HOURS, url="https://example.com/" + "x" * 600))
    with pytest.raises(RetrievalUnavailable, match="longer"):
        await app.start(answering(), action=grounded(), retriever=shelf)


@in_virtual_time
async def test_a_model_that_refuses_keeps_its_status_behind_a_search() -> None:
    app, model = Instance(), ScriptedModel(refusal=RateLimited("Later."))
    with pytest.raises(RateLimited):
        await app.start(model, action=grounded(), retriever=Shelf(HOURS))
    with pytest.raises(NotFound):
        await app.turns.state(PLACE, "t1")


@in_virtual_time
async def test_context_that_the_caller_brings_and_results_are_not_searched_for() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    for number, context in enumerate(("text", (HOURS,), "", ())):
        listener = await app.listen(
            answering(), action=grounded(), retriever=shelf, context=context, turn_id=f"t{number}"
        )
        await listener.ended()
    assert shelf.queries == []


@in_virtual_time
async def test_a_first_question_is_not_rewritten() -> None:
    app, model, shelf = Instance(), answering(), Shelf(HOURS)
    await (await app.listen(model, action=grounded(rewrite=True), retriever=shelf)).ended()
    assert len(model.requests) == 1


@in_virtual_time
async def test_a_follow_up_is_looked_for_as_it_is_meant() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    await app.whole_turn("The office is in Bern.", "Where is the office?", turn_id="t0")
    model = rewriting(" When does the office open? ")
    listener = await app.listen(
        model, "And when does it open?", action=grounded(rewrite=True), retriever=shelf
    )
    await listener.ended()
    assert [query.text for query in shelf.queries] == ["When does the office open?"]
    (told,) = [e for e in listener.events if isinstance(e, Citations)]
    assert told.query == "When does the office open?"
    asked, answered = model.requests
    assert asked.messages[1]["content"] == (
        "Conversation:\nUser: Where is the office?\nAssistant: The office is in Bern.\n\n"
        "Next message:\nAnd when does it open?"
    )
    assert answered.messages[-1]["content"].endswith("\n\nAnd when does it open?")


@in_virtual_time
@pytest.mark.parametrize("said", [("And when?", "stop"), (" ", "stop"), ("When does", "length")])
async def test_the_question_itself_is_looked_for_where_nothing_better_came(
    said: tuple[str, str],
) -> None:
    app, shelf = Instance(), Shelf(HOURS)
    await app.whole_turn("In Bern.", turn_id="t0")
    model = rewriting(said[0], reason=said[1])
    listener = await app.listen(model, "And when?", action=grounded(rewrite=True), retriever=shelf)
    await listener.ended()
    assert [query.text for query in shelf.queries] == ["And when?"]
    assert [e.query for e in listener.events if isinstance(e, Citations)] == [None]


@in_virtual_time
async def test_a_callers_own_history_is_what_a_question_is_rewritten_from() -> None:
    app, shelf, model = Instance(), Shelf(HOURS), rewriting("When does the office open?")
    history = (Message(role="user", content="Where?"), Message(role="assistant", content="Bern"))
    action = grounded(rewrite=True)
    listener = await app.listen(
        model, "And when?", action=action, retriever=shelf, history=history, store=False
    )
    await listener.ended()
    assert "User: Where?\nAssistant: Bern" in model.requests[0].messages[1]["content"]
    assert [query.text for query in shelf.queries] == ["When does the office open?"]


@in_virtual_time
async def test_what_rewriting_used_is_spent_too(budget: "Purse") -> None:
    app, shelf = Instance(budget=budget), Shelf(HOURS)
    await app.whole_turn("In Bern.", turn_id="t0")
    budget.spent.clear()
    model = rewriting("When does it open?", Usage(40, 10, 50))
    await (await app.listen(model, action=grounded(rewrite=True), retriever=shelf)).ended()
    await app.turns.aclose()
    assert budget.spent == [55]
    budget.spent.clear()


@in_virtual_time
async def test_a_question_that_cannot_be_rewritten_fails_as_the_search_does() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    await app.whole_turn("In Bern.", turn_id="t0")
    model = ScriptedModel(refusal=ModelUnavailable("Gone."))
    with pytest.raises(ModelUnavailable):
        await app.start(model, action=grounded(rewrite=True), retriever=shelf)
    assert shelf.queries == []


@in_virtual_time
async def test_a_very_long_question_is_looked_for_by_its_beginning() -> None:
    app, shelf = Instance(), Shelf(HOURS)
    asked = "Why? " * 6000
    await (await app.listen(answering(), asked, action=grounded(), retriever=shelf)).ended()
    assert asked.startswith(shelf.queries[0].text)
    assert len(shelf.queries[0].text) == 3 * QUERY_TOKENS


@in_virtual_time
async def test_who_stops_a_turn_stops_its_search() -> None:
    app, shelf = Instance(respond_within=1.0), Shelf()
    shelf.before = _forever
    listener = await app.listen(answering(), action=grounded(), retriever=shelf)
    await app.turns.stop(PLACE, "t1")
    assert (await listener.ended()).finish_reason == "cancelled"


class Purse:
    """A budget that remembers what was spent. Implements `Budget`."""

    def __init__(self) -> None:
        self.spent: list[int] = []

    async def admit(self, owner: str | None) -> None:
        pass

    def spend(self, owner: str | None, tokens: int) -> None:
        self.spent.append(tokens)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def budget() -> Purse:
    return Purse()
