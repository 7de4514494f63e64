"""Texts as vectors, by a connection's embeddings model.

Asked by the SDK's low-level call: its typed answer would parse every number of every vector.
https://learn.microsoft.com/azure/ai-foundry/openai/reference#embeddings
"""

import asyncio
import base64
import binascii
import random
import sys
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from shared.errors import ChatError, Misconfigured, ModelRefused, ModelUnavailable
from shared.models.completions import FIRST_DELAY, RETRY_SECONDS, Failed
from shared.models.failures import Answer, retry_wait, translated
from shared.models.stream import network_errors
from shared.settings import Connection

if TYPE_CHECKING:
    from openai import AsyncOpenAI

ANSWER_SECONDS: Final = 60.0
"""For one request: a batch of many texts takes its time."""


class _Embedded(Struct):
    embedding: str | list[float]
    index: int


class _Tokens(Struct):
    total_tokens: int = 0


class _Body(Struct):
    data: list[_Embedded]
    usage: _Tokens | None = None


class EmbeddingsModel:
    """Implements `retrieval.base.Embeddings`. `dimensions` None: as many as the model makes.

    `retry_seconds`: for all attempts of one call together.
    """

    def __init__(
        self,
        client: "AsyncOpenAI",
        connection: Connection,
        dimensions: int | None = None,
        *,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._client = client
        self._connection = connection
        self._dimensions = dimensions
        self._retry_seconds = retry_seconds
        self.tokens = 0
        """Used so far, as the service says."""

    @property
    def model(self) -> str:
        """Raises `Misconfigured` where the connection has none."""
        model = self._connection.embeddings_model
        if model is None:
            raise Misconfigured(
                f"{self._connection.setting('embeddingsModel')} is missing: the deployment or "
                "model that turns text into vectors, such as text-embedding-3-small."
            )
        return model

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """See `retrieval.base.Embeddings`. The service bounds number and length of the texts."""
        model = self.model
        deadline = _now() + self._retry_seconds
        delay = FIRST_DELAY * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
        while True:
            try:
                body = await self._post(model, texts, delay)
                break
            except Failed as failed:
                if failed.wait is None or _now() + failed.wait > deadline:
                    raise failed.error from failed.__cause__
                wait = failed.wait
            await asyncio.sleep(wait)
            delay = min(10.0, delay * random.uniform(1.5, 2.5))  # noqa: S311  # jitter, no secret
        if body.usage is not None:
            self.tokens += body.usage.total_tokens
        found = sorted(body.data, key=lambda item: item.index)
        if [item.index for item in found] != list(range(len(texts))):
            raise self._garbled()
        return [self._vector(item.embedding) for item in found]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _post(self, model: str, texts: Sequence[str], delay: float) -> _Body:
        """Ask once. Raises `Failed`."""
        from openai import APIStatusError

        body: dict[str, Any] = {"model": model, "input": list(texts)}
        if self._connection.kind != "mistral":  # whose services send numbers, and know no other way
            body["encoding_format"] = "base64"
        if self._dimensions is not None:
            name = "output_dimension" if self._connection.kind == "mistral" else "dimensions"
            body[name] = self._dimensions
        try:
            answer = await self._client.post(
                "/embeddings", body=body, cast_to=object, options={"timeout": ANSWER_SECONDS}
            )
        except APIStatusError as exc:
            refused = Answer(exc.status_code, exc.response.headers, exc.body)
            error = self._translated(refused, model)
            raise Failed(error, retry_wait(refused, delay)) from refused.refusal()
        except network_errors() as exc:
            raise Failed(
                ModelUnavailable(
                    "The embeddings model cannot be reached: look at "
                    f"{self._connection.setting('endpoint')}."
                ),
                delay,
            ) from exc
        try:
            return msgspec.convert(answer, _Body)
        except msgspec.ValidationError as exc:
            raise self._garbled() from exc

    def _translated(self, answer: Answer, model: str) -> ChatError:
        """A refusal of the request itself is the set-up's: nothing in it is the caller's field."""
        error = translated(answer, self._connection, model, {})
        if answer.status == 404:
            return ModelRefused(
                f"The service has no embeddings model {model}: look at "
                f"{self._connection.setting('embeddingsModel')} and "
                f"{self._connection.setting('endpoint')}."
            )
        if error.status != 400:
            return error
        dimensions = "" if self._dimensions is None else f" with {self._dimensions} dimensions"
        return Misconfigured(
            f"The embeddings model {model} refused a request{dimensions}: look at "
            f"{self._connection.setting('embeddingsModel')}, and whether the texts are too long."
        )

    def _vector(self, embedding: str | list[float]) -> list[float]:
        if isinstance(embedding, list):
            return embedding
        try:
            numbers = array("f", base64.b64decode(embedding, validate=True))
        except (binascii.Error, ValueError) as exc:
            raise self._garbled() from exc
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tolist()

    def _garbled(self) -> ModelUnavailable:
        return ModelUnavailable(
            "The embeddings model answered with something else than one vector a text: is "
            f"{self._connection.setting('endpoint')} right?"
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
