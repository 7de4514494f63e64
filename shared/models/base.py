"""What a turn needs of a model."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shared.events import ModelEvent
from shared.messages import ModelRequest


class ChatModel(Protocol):
    """A connection to a model service, or several that stand in for each other."""

    def ask(
        self, request: ModelRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[ModelEvent]]]:
        """Ask once. Entering or the first read sends the request; leaving closes the connection at
        once.

        The same raises what the service answered instead of a stream: `ModelRefused`,
        `RateLimited`, `ModelUnavailable`, `ModelTimeout`, `ContentFiltered`,
        `ContextLengthExceeded`, `InvalidRequest`. What may help is tried again before that,
        within one budget of time, and elsewhere where the connection has a fallback. Iterating
        gives what arrived together, and raises the same errors for one inside the stream. The
        stream's `Finish` says how the model ended; a stream that ends without a reason broke off.
        """
        ...
