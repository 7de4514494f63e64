"""Which conversation a turn goes to, where its caller names it, a turn, or neither."""

import base64
import hashlib
import uuid

from shared.errors import InvalidRequest
from shared.history.base import Place
from shared.messages import Caller, ChatRequest

MIN_ANONYMOUS_ID = 16


def place_of(caller: Caller, request: ChatRequest) -> Place:
    """Where the turn goes. Raises `InvalidRequest` for an id that would be guessable."""
    given = request.conversation_id
    if given is not None:
        if caller.owner is None and len(given) < MIN_ANONYMOUS_ID:
            raise InvalidRequest(
                "conversationId must have at least 16 characters: for an anonymous caller it is "
                "the key to the conversation.",
                field="conversationId",
            )
        return Place(caller.owner, given)
    if request.turn_id is None:
        return Place(caller.owner, str(uuid.uuid4()))
    if caller.owner is None:
        raise InvalidRequest(
            "turnId needs a conversationId where callers are anonymous: a retry could not find "
            "its conversation.",
            field="conversationId",
        )
    # The same for a retry, so that it finds the conversation that its first try made.
    seed = f"{len(caller.owner)},{caller.owner},{request.turn_id}".encode("utf-8", "replace")
    return Place(
        caller.owner,
        base64.urlsafe_b64encode(hashlib.sha256(seed).digest()[:24]).decode(),
    )
