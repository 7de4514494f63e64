"""When a model that said 429 may be asked again, by its own `Retry-After`."""

from collections import OrderedDict


class Rests:
    """Of the models of one connection: bounded, who rested first is forgotten first."""

    def __init__(self, models: int = 256) -> None:
        self._models = models
        self._until: OrderedDict[str, float] = OrderedDict()

    def rest(self, model: str, until: float) -> None:
        """Leave it alone until then, by the loop's clock."""
        self._until[model] = until
        self._until.move_to_end(model)
        if len(self._until) > self._models:
            self._until.popitem(last=False)

    def until(self, model: str) -> float:
        """When it may be asked; a moment of the past where it does not rest."""
        return self._until.get(model, float("-inf"))
