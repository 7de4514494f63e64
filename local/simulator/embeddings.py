"""Embeddings requests: checked as the service does, and answered.

https://learn.microsoft.com/azure/ai-foundry/openai/reference#embeddings
"""

import asyncio
import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.simulator.errors import ServiceError, openai_error
from local.simulator.models import Model
from local.simulator.tokens import count_tokens
from local.simulator.vectors import vector_of

if TYPE_CHECKING:
    from local.minilm import MiniLm

MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 8192
MAX_TOKENS = 300_000
"""Of all inputs of one request together."""
_FIELDS = frozenset(
    {"input", "model", "user", "dimensions", "output_dimension", "encoding_format", "input_type"}
)


@dataclass(frozen=True)
class EmbeddingsCall:
    """A request that has been checked."""

    texts: tuple[str, ...]
    dimensions: int
    as_base64: bool
    tokens: int


def read_embeddings(body: Mapping[str, Any], model: Model) -> EmbeddingsCall:
    """Check a request against a model; raises `ServiceError` 400 for the first thing wrong."""
    if not model.dimensions:
        raise openai_error(
            f"The embeddings operation does not work with the specified model, {model.name}. "
            "Please choose different model and try again.",
            code="OperationNotSupported",
        )
    unknown = [name for name in body if name not in _FIELDS]
    if unknown:
        raise openai_error(f"Unrecognized request argument supplied: {', '.join(unknown)}")
    texts = _texts(body.get("input"))
    counts = [count_tokens(text) for text in texts]
    if max(counts) > MAX_INPUT_TOKENS:
        raise openai_error(
            f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens, however you "
            f"requested {max(counts)} tokens. Please reduce your prompt.",
        )
    if sum(counts) > MAX_TOKENS:
        raise openai_error(
            f"Invalid 'input': maximum request size is {MAX_TOKENS} tokens per request.",
            param="input",
            code="max_tokens_per_request",
        )
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise openai_error(
            f"Invalid value for 'encoding_format': {form!r}.", param="encoding_format"
        )
    return EmbeddingsCall(texts, _dimensions(body, model), form == "base64", sum(counts))


class Vectors:
    """What makes the vectors: hashing, or the real model, which is loaded when first asked for."""

    def __init__(self) -> None:
        self._minilm: MiniLm | None = None
        self._loading = asyncio.Lock()

    async def of(self, call: EmbeddingsCall, model: Model) -> list[list[float]]:
        """Raises `ServiceError` 404 where the real model is not installed."""
        if model.kind != "minilm":
            return [vector_of(text, call.dimensions) for text in call.texts]
        async with self._loading:
            if self._minilm is None:
                from local.minilm import MiniLm, NotInstalled

                try:
                    self._minilm = await asyncio.to_thread(MiniLm)
                except NotInstalled as exc:
                    raise openai_error(str(exc), status=404) from exc
        return await asyncio.to_thread(self._minilm.embed, call.texts)


def embeddings_body(
    call: EmbeddingsCall, vectors: Sequence[list[float]], name: str
) -> dict[str, Any]:
    """The answer's JSON."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _encoded(vector[: call.dimensions], as_base64=call.as_base64),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": call.tokens, "total_tokens": call.tokens}
    return {"object": "list", "data": data, "model": name, "usage": usage}


def _texts(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given or not all(isinstance(t, str) for t in given):
        raise _invalid("expected a string, or an array of strings that is not empty")
    if len(given) > MAX_INPUTS:
        raise _invalid(f"an array of at most {MAX_INPUTS} strings was expected")
    if not all(given):
        raise _invalid("input cannot be an empty string")
    return tuple(given)


def _invalid(why: str) -> ServiceError:
    return openai_error(f"Invalid 'input': {why}.", param="input")


def _dimensions(body: Mapping[str, Any], model: Model) -> int:
    given = body.get("output_dimension" if model.of_mistral else "dimensions")
    if given is None:
        return model.dimensions
    if not isinstance(given, int) or not 1 <= given <= model.dimensions:
        raise openai_error(
            f"Invalid value for 'dimensions' = {given}. Must be less than or equal to "
            f"{model.dimensions}.",
            param="dimensions",
        )
    return given


def _encoded(vector: list[float], *, as_base64: bool) -> str | list[float]:
    """Little-endian float32, or numbers."""
    if not as_base64:
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
