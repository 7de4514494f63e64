"""What an answer rests on: the question, as it is to be looked for, and the documents found for it.

It runs after the turn has begun, so that a refused one costs nothing, and before its model is
asked. A search that fails is the turn's error, or is said in `Citations`: never nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import ChatError, RetrievalUnavailable
from shared.events import Citations, Delta, Finish, RetrievalFailure
from shared.messages import ModelRequest, Usage
from shared.models.base import ChatModel
from shared.prompts.actions import Retrieval
from shared.prompts.context import NOTHING, Chosen, without_content
from shared.prompts.prompt import Prompt
from shared.prompts.rewriting import rewriting_request
from shared.prompts.tokens import estimate_messages, estimate_tokens, head
from shared.retrieval.base import Query, Retriever
from shared.turns.buffer import size_in_bytes

logger = logging.getLogger(__name__)

SEARCH_SECONDS = 10.0
REWRITE_SECONDS = 15.0
QUERY_TOKENS = 2000
"""Of a question, what is looked for: embeddings models read about 8,000, and fewer say more."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """What is told of the search, and what the model is asked then."""

    citations: Citations
    request: ModelRequest


@dataclass(frozen=True, slots=True)
class Grounding:
    """The search of one turn. `max_bytes`: of what is told and stored of it."""

    prompt: Prompt
    retrieval: Retrieval
    retriever: Retriever
    model: ChatModel
    window: tuple[dict[str, Any], ...]
    max_bytes: int

    async def find(self, spend: Callable[[int], None]) -> Grounded:
        """Raises what the retriever and the models raise, where the action cannot do without.

        `spend` is told the tokens that rewriting the question took.
        """
        question = self.prompt.request.user_prompt
        query = None
        try:
            if self.retrieval.rewrite:
                query = await self._rewritten(question, spend)
            chosen = await self._search(query or question)
            citations = _citations(chosen, query)
            if size_in_bytes(citations) > self.max_bytes:
                raise RetrievalUnavailable(
                    "Titles and addresses of the documents found are longer than the history keeps."
                )
        except ChatError as exc:
            if self.retrieval.required:
                raise
            logger.warning("A turn is answered without documents: %s", exc.message)
            chosen = NOTHING
            citations = Citations((), query=query, failure=RetrievalFailure(exc.code, exc.message))
        return Grounded(citations, self.prompt.render(self.window, chosen.documents))

    async def _search(self, text: str) -> Chosen:
        retrieval = self.retrieval
        query = Query(
            text=head(text, QUERY_TOKENS),
            top_k=retrieval.top_k,
            mode=retrieval.mode,
            min_score=retrieval.min_score,
            filter=retrieval.filter,
        )
        try:
            async with asyncio.timeout(SEARCH_SECONDS):
                found = await self.retriever.search(query)
        except TimeoutError as exc:
            raise RetrievalUnavailable(
                f"The documents were not found within {SEARCH_SECONDS:g} s."
            ) from exc
        return self.prompt.choose(found)

    async def _rewritten(self, question: str, spend: Callable[[int], None]) -> str | None:
        """The question for the search, where it is another one."""
        past = self.prompt.past(self.window)
        request = rewriting_request(self.prompt.model, past, head(question, QUERY_TOKENS))
        if request is None:
            return None
        try:
            async with asyncio.timeout(REWRITE_SECONDS):
                text = await _ask(self.model, request, spend)
        except TimeoutError as exc:
            raise RetrievalUnavailable(
                f"The question was not rewritten within {REWRITE_SECONDS:g} s."
            ) from exc
        rewritten = head(text.strip(), QUERY_TOKENS)
        return rewritten if rewritten not in ("", question.strip()) else None


async def _ask(model: ChatModel, request: ModelRequest, spend: Callable[[int], None]) -> str:
    """The whole answer; nothing, where it is not whole."""
    texts: list[str] = []
    usage: Usage | None = None
    whole = False
    async with model.ask(request) as stream:
        async for events in stream:
            for event in events:
                if isinstance(event, Delta):
                    texts.append(event.text)
                elif isinstance(event, Finish):
                    usage = event.usage or usage
                    whole = whole or event.reason == "stop"
    text = "".join(texts)
    asked = estimate_messages(request.messages)
    spend(usage.total_tokens if usage else asked + estimate_tokens(text))
    return text if whole else ""


def _citations(chosen: Chosen, query: str | None) -> Citations:
    return Citations(
        without_content(chosen.documents), left_out=without_content(chosen.left_out), query=query
    )


def brought_citations(prompt: Prompt) -> tuple[Citations, ...]:
    """The one event of the documents that the caller brought, where there are any."""
    brought = prompt.brought
    return (_citations(brought, None),) if brought.documents or brought.left_out else ()
