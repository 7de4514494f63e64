"""What a caller may name as `model`: an action, an action's own model, or a connection's."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from shared.errors import FieldLocked, Misconfigured
from shared.prompts.actions import DEFAULT_ACTION, Action, Actions
from shared.settings import Settings


class Offered(Struct, frozen=True, kw_only=True):
    """One name that the caller may use."""

    id: str
    owned_by: str
    """`actions`, or the name of the connection."""
    default_temperature: float


class Chosen(NamedTuple):
    """Who is to answer: an action, and what of it the caller replaces."""

    action: str
    connection: str | None = None
    model: str | None = None


def choose(name: str | None, actions: Actions, settings: Settings) -> Chosen:
    """What the name means; None is the default action. Actions win, then their own models.

    Raises `FieldLocked` for what the default action does not open to its callers.
    """
    if name is None:
        return Chosen(DEFAULT_ACTION)
    for action in actions:
        if action.name == name:
            return Chosen(action.name)
    for action in _default_first(actions):
        connection, model = _own(action, settings)
        if model is not None and name in (model, f"{connection}/{model}"):
            return Chosen(action.name)
    chosen = _of_connection(name, settings) or Chosen(DEFAULT_ACTION, None, name)
    open_fields = actions.get(DEFAULT_ACTION).caller_fields
    for field, value in (("connection", chosen.connection), ("model", chosen.model)):
        if value is not None and field not in open_fields:
            names = ", ".join(offered.id for offered in offer(actions, settings))
            raise FieldLocked(
                f"The model {name!r} is not open to callers. Use one of {names}; or have "
                f"CHAT_CALLER_FIELDS name {field}.",
                field=field,
            )
    return chosen


def offer(actions: Actions, settings: Settings) -> tuple[Offered, ...]:
    """All names that are listed. A model that only the service knows is not, however open it is."""
    found: dict[str, Offered] = {}
    for action in actions:
        found[action.name] = Offered(
            id=action.name, owned_by="actions", default_temperature=action.temperature
        )
    for action in _default_first(actions):
        connection, model = _own(action, settings)
        if model is not None:
            found.setdefault(model, _offered(model, connection, action))
    default = actions.get(DEFAULT_ACTION)
    if "connection" in default.caller_fields:
        for connection in settings.connection_names:
            if (model := _model_of(connection, settings)) is not None:
                id = f"{connection}/{model}"
                found.setdefault(id, _offered(id, connection, default))
    return tuple(found.values())


def _offered(id: str, connection: str, action: Action) -> Offered:
    return Offered(id=id, owned_by=connection, default_temperature=action.temperature)


def _default_first(actions: Actions) -> Iterator[Action]:
    """Where several actions have one model, its name means the default one."""
    yield actions.get(DEFAULT_ACTION)
    yield from (action for action in actions if action.name != DEFAULT_ACTION)


def _own(action: Action, settings: Settings) -> tuple[str, str | None]:
    """The connection and the model that the action asks."""
    return action.connection, action.model or _model_of(action.connection, settings)


def _of_connection(name: str, settings: Settings) -> Chosen | None:
    """`connection/model`, or the model of a connection alone."""
    for connection in settings.connection_names:
        own = _model_of(connection, settings)
        if own is not None and name in (own, f"{connection}/{own}"):
            return Chosen(DEFAULT_ACTION, connection)
        if name.startswith(f"{connection}/") and len(name) > len(connection) + 1:
            return Chosen(DEFAULT_ACTION, connection, name.removeprefix(f"{connection}/"))
    return None


def _model_of(connection: str, settings: Settings) -> str | None:
    """The connection's own model; one that is set up wrongly offers nothing, and health says so."""
    try:
        return settings.connection(connection).model
    except Misconfigured:
        return None
