"""How a simulator is set up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.simulator.models import KINDS, Model

# A token for one of these opens an Azure AI resource; with or without a slash at the end.
AUDIENCES = ("https://cognitiveservices.azure.com", "https://ai.azure.com")

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Options:
    """Everything that can be chosen when a simulator starts; times are in milliseconds."""

    # Deployments by name; those named after the kinds are there unless they are replaced.
    deployments: Mapping[str, Model] = field(default_factory=dict)
    token_ms: float = 33.0
    first_token_ms: float = 400.0
    # The only key that opens; None accepts any.
    api_key: str | None = None
    # Only tokens open, as on a resource whose key authentication is disabled.
    require_token: bool = False
    audiences: tuple[str, ...] = AUDIENCES
    documents: Path = REPOSITORY
    region: str = "East US"

    def model(self, deployment: str) -> Model | None:
        """Find the model behind a deployment's name."""
        return self.deployments.get(deployment) or KINDS.get(deployment)

    def deployment_names(self) -> list[str]:
        """List the names that `model` finds."""
        return sorted({*KINDS, *self.deployments})
