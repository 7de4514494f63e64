"""A store whose calls are noted: how long each took, for whom, and how it failed."""

from collections.abc import Callable
from typing import Any, cast

from shared.telemetry.facts import TURN, StoreCall, Telemetry, now


def observed[T](store: T, telemetry: Telemetry) -> T:
    """The same store, whose every method is a coroutine that tells `telemetry` of itself."""
    return cast(T, _Observed(store, telemetry))


class _Observed:
    def __init__(self, store: Any, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*args: Any, **options: Any) -> Any:
            began = now()
            error = None
            try:
                return await method(*args, **options)
            except BaseException as exc:
                error = type(exc).__name__
                raise
            finally:
                made = StoreCall(name, began, now(), error)
                self._telemetry.record(made)
                if (turn := TURN.get()) is not None:
                    turn.called(made)

        # The next time it is found without asking here.
        setattr(self, name, call)
        return call
