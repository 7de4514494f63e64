"""Parameters that a model does not take: found in its refusal, and remembered.

A deployment's name does not tell its model, so what a model takes is learned from its answers: a
reasoning model refuses `temperature`, a service of before September 2024 knows
`max_completion_tokens` by its old name only.
"""

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any, Final

from shared.models.failures import Answer, parameter

ESSENTIAL: Final = frozenset({"model", "messages", "stream"})
OLD_NAMES: Final = {"max_completion_tokens": "max_tokens"}
"""What to try instead before a parameter is left out."""

_CODES: Final = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_WORDS = re.compile(
    r"unsupported|unrecognized|unknown|unexpected|not supported|not permitted|not allowed"
    r"|extra inputs|extra_forbidden|extra[_ -]parameters",
    re.IGNORECASE,
)


_ADDRESS = re.compile(r"\b(?:https?|data|ftp|file):\S*", re.IGNORECASE)
_OTHER_CODE = re.compile(
    r"(?!bad[ _]?request|invalid_request|invalid_parameter)[a-z]", re.IGNORECASE
)
"""What begins a code that says something else."""


def unsupported(answer: Answer, sent: Iterable[str]) -> str | None:
    """The first of the parameters sent that the answer calls unsupported; None: it does not.

    The names stand in `param`, else in the message, else in a validator's list of locations.
    """
    if answer.status not in (400, 422):
        return None
    names = [name for name in sent if name not in ESSENTIAL]
    # A service may quote what it was sent: no caller's address teaches anything.
    message, code = _ADDRESS.sub("", answer.text("message")), answer.text("code")
    if code in _CODES or (
        not _OTHER_CODE.match(code)
        and _WORDS.search(message)
        and not message.startswith("Invalid schema")
    ):
        named = parameter(answer)
        if named is not None:
            return named if named in names else None
        words = set(re.findall(r"[a-z_]+", message))
        return next((name for name in names if name in words), None)
    located = {
        finding.place[0]
        for finding in answer.findings()
        if len(finding.place) == 1 and _WORDS.search(finding.words)
    }
    return next((name for name in names if name in located), None)


class Memory:
    """What the models of one connection do not take: bounded, the least used forgotten first."""

    def __init__(self, models: int = 256) -> None:
        self._models = models
        self._refused: OrderedDict[str, frozenset[str]] = OrderedDict()

    def refused(self, model: str) -> frozenset[str]:
        """The names that this model was seen to refuse."""
        names = self._refused.get(model)
        if names is None:
            return frozenset()
        self._refused.move_to_end(model)
        return names

    def learn(self, model: str, name: str) -> None:
        """The model has refused this parameter."""
        self._refused[model] = self.refused(model) | {name}
        self._refused.move_to_end(model)
        if len(self._refused) > self._models:
            self._refused.popitem(last=False)


def fitted(
    parameters: dict[str, Any], refused: frozenset[str], chosen: Collection[str]
) -> dict[str, Any]:
    """The parameters without those that the model refuses; what the caller chose stays.

    An old name is tried before a parameter is left out, a chosen one too.
    """
    if refused.isdisjoint(parameters):
        return parameters
    fitting: dict[str, Any] = {}
    for name, value in parameters.items():
        if name not in refused:
            fitting[name] = value
        elif has_old_name(name, refused):
            fitting[OLD_NAMES[name]] = value
        elif name in chosen:
            fitting[name] = value
    return fitting


def has_old_name(name: str, refused: frozenset[str]) -> bool:
    """Whether a parameter has another name that the model has not refused yet."""
    return OLD_NAMES.get(name, name) not in refused | {name}
