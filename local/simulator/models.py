"""The models that the simulator plays, and the deployments under which they are found."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

_SAMPLING = frozenset({"top_p", "presence_penalty", "frequency_penalty", "logit_bias", "stop"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})


@dataclass(frozen=True)
class Model:
    """What one kind of model accepts, and how it thinks."""

    kind: str
    name: str
    context_window: int = 128_000
    max_completion_tokens: int = 16_384
    # Refused whatever their value; a refusal is the service's `unsupported_parameter`.
    refuses: frozenset[str] = frozenset()
    # Names that this model's API does not know at all.
    unknown: frozenset[str] = frozenset({"reasoning_effort", "verbosity"})
    fixed_temperature: bool = False
    takes_max_tokens: bool = True
    # Tokens of thought before the answer: unseen, or shown as `reasoning_content`.
    reasoning_tokens: int = 0
    shows_reasoning: bool = False
    # Whether it speaks Mistral's form under Azure's URLs.
    of_mistral: bool = False
    # Of the vectors of an embeddings model; 0 for one that chats.
    dimensions: int = 0


CHAT = Model(kind="chat", name="gpt-4o-mini-2024-07-18")
REASONING = Model(
    kind="reasoning",
    name="o4-mini-2025-04-16",
    context_window=200_000,
    max_completion_tokens=100_000,
    refuses=_LOGPROBS | _SAMPLING,
    unknown=frozenset(),
    fixed_temperature=True,
    takes_max_tokens=False,
    reasoning_tokens=64,
)
REASONING_OPEN = Model(
    kind="reasoning-open",
    name="DeepSeek-R1-0528",
    refuses=_LOGPROBS,
    reasoning_tokens=64,
    shows_reasoning=True,
)

MISTRAL = Model(kind="mistral", name="mistral-medium-2508", refuses=frozenset(), of_mistral=True)
MAGISTRAL = Model(
    kind="magistral",
    name="magistral-medium-2509",
    context_window=40_000,
    refuses=frozenset(),
    reasoning_tokens=64,
    shows_reasoning=True,
    of_mistral=True,
)

EMBEDDING = Model(kind="embedding", name="text-embedding-3-small", dimensions=1536)
EMBEDDING_LARGE = Model(kind="embedding-large", name="text-embedding-3-large", dimensions=3072)
# A real one, where its package is installed: local/minilm.
MINILM = Model(kind="minilm", name="all-MiniLM-L6-v2", dimensions=384)
MISTRAL_EMBED = Model(kind="mistral-embed", name="mistral-embed", dimensions=1024, of_mistral=True)

KINDS: Mapping[str, Model] = {
    model.kind: model
    for model in (
        CHAT,
        REASONING,
        REASONING_OPEN,
        MISTRAL,
        MAGISTRAL,
        EMBEDDING,
        EMBEDDING_LARGE,
        MINILM,
        MISTRAL_EMBED,
    )
}

# By OpenAI's own names, for the URL style that has no deployments.
ALIASES: Mapping[str, Model] = {
    "gpt-4o-mini": CHAT,
    CHAT.name: CHAT,
    "o4-mini": REASONING,
    REASONING.name: REASONING,
    EMBEDDING.name: EMBEDDING,
    EMBEDDING_LARGE.name: EMBEDDING_LARGE,
}

# By Mistral's own names; `azureai` is what its client for Azure calls whatever is deployed.
MISTRAL_ALIASES: Mapping[str, Model] = {
    "azureai": MISTRAL,
    "mistral-small-latest": MISTRAL,
    "mistral-medium-latest": MISTRAL,
    MISTRAL.name: MISTRAL,
    "magistral-medium-latest": MAGISTRAL,
    MAGISTRAL.name: MAGISTRAL,
    MISTRAL_EMBED.name: MISTRAL_EMBED,
}


def parse_deployments(text: str) -> dict[str, Model]:
    """Read `name=kind` or `name=kind:window`, separated by commas; the window is in tokens.

    Raises `ValueError` that says what is wrong.
    """
    deployments: dict[str, Model] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, rest = item.partition("=")
        kind, _, window = rest.partition(":")
        if not name or kind not in KINDS:
            raise ValueError(
                f"deployment {item!r}: write name=kind, where kind is one of {', '.join(KINDS)}"
            )
        model = KINDS[kind]
        if window:
            if not window.isascii() or not window.isdigit() or int(window) < 1:
                raise ValueError(f"deployment {item!r}: the context window must be a whole number")
            model = replace(model, context_window=int(window))
        deployments[name] = model
    return deployments
