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

from shared.errors import ChatError, InvalidRequest, Misconfigured, ModelUnavailable
from shared.events import ModelEvent
from shared.messages import ModelRequest
from shared.models.failures import Answer, retry_after, retry_wait, translated
from shared.models.fields import prepared, said_to, usage_on_request
from shared.models.pieces import reader_for
from shared.models.rests import Rests
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


class Failed(Exception):
    """One attempt failed. `wait`: seconds before another one may help; None: it would not."""

    def __init__(self, error: ChatError, wait: float | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait = wait


class ChatCompletions:
    """A `ChatModel` that speaks OpenAI's chat completions, by a client that is set up for it."""

    def __init__(
        self, client: "AsyncOpenAI", connection: Connection, *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._client = client
        self._connection = connection
        self._retry_seconds = retry_seconds
        self._memory = Memory()
        self.rests = Rests()
        """Of its models: who has others to turn to leaves one that rests alone."""
        self._answered = float("-inf")

    @property
    def connection(self) -> Connection:
        return self._connection

    @asynccontextmanager
    async def ask(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[Sequence[ModelEvent]]]:
        """See `ChatModel.ask`."""
        stream = await self._open(request)
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

    async def begin(
        self, request: ModelRequest, delay: float, connect: float | None = None
    ) -> ModelStream:
        """Ask once, and give the stream that has begun: close it.

        `delay`: seconds before another attempt, where the service names none. `connect`: seconds
        within which the service must be reached. Raises `Failed` for what it answered instead, and
        what is wrong with the request before anything is sent, as `ChatError`.
        """
        from openai import APIStatusError

        model = request.model
        parameters = prepared(self._connection.kind, request)
        request = said_to(self._connection.kind, request)
        wanted = usage_on_request(self._connection.kind) | parameters.values
        refused = self._memory.refused(model)
        lessons: list[str] = []
        while True:
            sent = fitted(wanted, refused, parameters.chosen | parameters.options)
            error: ChatError
            try:
                response = await self._post(request, sent, connect)
                # What helped is remembered, and nothing that a refusal only seemed to say.
                for lesson in lessons:
                    self._memory.learn(model, lesson)
                return ModelStream(response, reader_for(request))
            except APIStatusError as exc:
                answer = Answer(exc.status_code, exc.response.headers, exc.body)
                if (name := unsupported(answer, sent)) is not None:
                    refused |= {name}
                    wanted_by = parameters.chosen | parameters.options
                    if name not in wanted_by or has_old_name(name, refused):
                        _log.warning("Model %r does not take %s: asked without it.", model, name)
                        lessons.append(name)
                        continue
                    field = wanted_by[name]
                    why = f"the model {model} does not take it, or not with this value."
                    if name in parameters.chosen:
                        error = InvalidRequest(f"{field}: {why}", field=field)
                    else:
                        error = Misconfigured(f"The action sets {field}: {why}")
                else:
                    error = translated(answer, self._connection, model, parameters.chosen)
                if answer.status == 429 and (rest := retry_after(answer.headers)) is not None:
                    self.rests.rest(model, _now() + rest)
                raise Failed(error, retry_wait(answer, delay)) from answer.refusal()
            except network_errors() as exc:
                raise Failed(self._unreachable(), delay) from exc

    async def _open(self, request: ModelRequest) -> ModelStream:
        """The stream that has begun, after whatever had to be tried again."""
        budget = self._retry_seconds
        deadline = _now() + (budget if request.within is None else min(budget, request.within))
        delay = FIRST_DELAY * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
        while True:
            try:
                return await self.begin(request, delay)
            except Failed as failed:
                if failed.wait is None or _now() + failed.wait > deadline:
                    raise failed.error from failed.__cause__
                wait = failed.wait
            await asyncio.sleep(wait)
            delay *= random.uniform(1.5, 2.5)  # noqa: S311  # jitter, no secret

    async def _post(
        self, request: ModelRequest, parameters: dict[str, Any], connect: float | None
    ) -> "httpx2.Response":
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
            options={} if connect is None else {"timeout": _connecting(connect)},
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


def _connecting(seconds: float) -> "httpx2.Timeout":
    import httpx2

    return httpx2.Timeout(None, connect=seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()
