"""A request to run a turn with a history, and the row that it begins with."""

import secrets
from dataclasses import dataclass

from shared.errors import PayloadTooLarge
from shared.history.base import NewTurn, Place
from shared.history.codec import encode_runs
from shared.messages import ChatRequest
from shared.models.base import ChatModel
from shared.prompts.prompt import Prompt
from shared.retrieval.base import Retriever
from shared.turns.begin import Asked
from shared.turns.grounding import brought_citations

CITED = 2
"""What may be cited takes at most one part in so many of an answer's row."""


@dataclass(frozen=True, slots=True)
class Order:
    """Where a turn goes, and what it needs."""

    place: Place
    turn_id: str
    brought: bool
    """The caller brought the turn's id."""
    request: ChatRequest
    prompt: Prompt
    model: ChatModel
    retriever: Retriever | None
    respond_by: float

    def asked(self, digest: str, max_bytes: int) -> Asked:
        """The turn as it begins. `max_bytes`: of an answer. Raises `PayloadTooLarge`."""
        request, prompt = self.request, self.prompt
        body = encode_runs(brought_citations(prompt))
        if len(body) > max_bytes // CITED:
            raise PayloadTooLarge(
                f"Ids, titles and addresses of the context take {len(body)} bytes; the history "
                f"keeps at most {max_bytes // CITED}.",
                field="context",
            )
        new = NewTurn(
            turn_id=self.turn_id,
            nonce=secrets.token_urlsafe(12),
            digest=digest,
            action=prompt.action.name,
            model=prompt.model,
            result_name=prompt.result_name,
            question=request.user_prompt,
            title=_title(request.user_prompt),
            results=request.tool_results,
            body=body,
        )
        return Asked(self.place, new, request.replaces, self.brought)


def _title(prompt: str) -> str:
    """The first line that says anything; the store cuts it."""
    line = next((line for line in prompt.splitlines() if line.strip()), "")
    return " ".join(line.split())
