"""A chat-completions service, asked by the SDK's low-level call and read as raw bytes.

The SDK brings URLs, credentials and errors; its typed transforms of the request and its parsing of
the stream would cost several times what the rest of a turn does. SDK exceptions become this app's
errors here and nowhere else. The SDK is imported when it is first used, never with this module.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from shared.errors import ChatError, InvalidRequest, ModelUnavailable
from shared.events import ModelEvent
from shared.messages import ModelRequest
from shared.models.failures import Answer, retry_wait, translated
from shared.models.fields import prepared, said_to, usage_on_request
from shared.models.stream import ModelStream, network_errors
from shared.models.unsupported import Memory, fitted, has_old_name, unsupported
from shared.settings import Connection

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

RETRY_SECONDS: Final = 4.0
"""For all attempts of one ask together, so that a failure is told within 5 s."""
FIRST_DELAY: Final = 0.2
"""Seconds before the second attempt, about doubled for each further one."""
WARM_SECONDS: Final = 60.0
"""For how long a connection that was just used counts as warm."""

_log = logging.getLogger(__name__)


class ChatCompletions:
    """A `ChatModel` that speaks OpenAI's chat completions, by a client that is set up for it."""

    def __init__(
        self, client: "AsyncOpenAI", connection: Connection, *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._client = client
        self._connection = connection
        self._retry_seconds = retry_seconds
        self._memory = Memory()
        self._answered = float("-inf")

    @asynccontextmanager
    async def ask(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[Sequence[ModelEvent]]]:
        """See `ChatModel.ask`."""
        response = await self._open(request)
        stream = ModelStream(response)
        try:
            yield stream
        finally:
            await stream.aclose()

    async def warm(self) -> None:
        """Fetch the token and connect, so that the next ask need not; free if one just did.

        Raises what fetching the token raises, and `ModelUnavailable` where nobody answers.
        """
        from openai import APIStatusError

        if _now() - self._answered < WARM_SECONDS:
            return
        model = quote(self._connection.model or "none", safe="")
        try:
            await self._client.get(f"/models/{model}", cast_to=object, options={"timeout": 5.0})
        except APIStatusError:
            pass  # Whoever answers is there; what they think of the app, an ask will tell.
        except network_errors() as exc:
            raise self._unreachable() from exc
        self._answered = _now()

    async def aclose(self) -> None:
        """Close all connections; streams that still run break off."""
        await self._client.close()

    async def _open(self, request: ModelRequest) -> "httpx2.Response":
        """The response whose stream has begun, after whatever had to be tried again."""
        from openai import APIStatusError

        model = request.model
        parameters = prepared(self._connection.kind, request)
        request = said_to(self._connection.kind, request)
        wanted = usage_on_request(self._connection.kind) | parameters.values
        refused = self._memory.refused(model)
        deadline = _now() + self._retry_seconds
        delay = FIRST_DELAY * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
        while True:
            sent = fitted(wanted, refused, parameters.chosen)
            error: ChatError
            cause: Exception
            wait: float | None
            try:
                return await self._post(request, sent)
            except APIStatusError as exc:
                answer = Answer(exc.status_code, exc.response.headers, exc.body)
                if (name := unsupported(answer, sent)) is not None:
                    refused |= {name}
                    if name not in parameters.chosen or has_old_name(name, refused):
                        _log.warning("Model %r does not take %s: no longer sent.", model, name)
                        self._memory.learn(model, name)
                        continue
                    field = parameters.chosen[name]
                    error = InvalidRequest(
                        f"{field}: the model {model} does not take it, or not with this value.",
                        field=field,
                    )
                else:
                    error = translated(answer, self._connection, model, parameters.chosen)
                wait, cause = retry_wait(answer, delay), answer.refusal()
            except network_errors() as exc:
                error, wait, cause = self._unreachable(), delay, exc
            if wait is None or _now() + wait > deadline:
                raise error from cause
            await asyncio.sleep(wait)
            delay *= random.uniform(1.5, 2.5)  # noqa: S311  # jitter, no secret

    async def _post(self, request: ModelRequest, parameters: dict[str, Any]) -> "httpx2.Response":
        from openai import AsyncStream

        stream = await self._client.post(
            "/chat/completions",
            body={
                "model": request.model,
                "messages": request.messages,
                "stream": True,
                **parameters,
            },
            cast_to=object,
            stream=True,
            stream_cls=AsyncStream[object],
        )
        response = stream.response
        self._answered = _now()
        headers = response.headers
        kind = headers.get("content-type", "text/event-stream").partition(";")[0].strip().lower()
        encoding = headers.get("content-encoding", "identity").lower()
        if kind == "text/event-stream" and encoding == "identity":
            return response
        await response.aclose()
        raise ModelUnavailable(
            f"The model service answered with {kind[:80]} (encoding {encoding[:20]}), not with a "
            f"stream: is {self._connection.setting('endpoint')} right?"
        )

    def _unreachable(self) -> ModelUnavailable:
        return ModelUnavailable(
            f"The model service cannot be reached: look at {self._connection.setting('endpoint')}."
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
