"""Named actions: the server-side set-up of a streaming chat completion, kept in `actions.json`."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidRequest, Misconfigured
from shared.prompts.template import USER_PROMPT
from shared.settings import DEFAULT_CONNECTION, LOCKABLE_FIELDS, Settings

DEFAULT_ACTION = "default"
DEFAULT_TEMPERATURE = 0.7
FILE = "actions.json"


class ActionFile(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One entry of `actions.json`; what is absent comes from the settings."""

    title: str | None = None
    description: str = ""
    connection: str = DEFAULT_CONNECTION
    model: str | None = None
    system_prompt: str | None = None
    prompt_template: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    caller_fields: tuple[str, ...] | None = None


class Action(Struct, frozen=True, kw_only=True):
    """What a turn is run with, but for what its caller may set."""

    name: str
    title: str
    description: str
    connection: str
    model: str | None
    system_prompt: str
    prompt_template: str | None
    temperature: float
    max_completion_tokens: int | None
    caller_fields: frozenset[str]


class Actions:
    """All actions by name; the one named `default` always exists."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._actions = actions

    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions.values())

    def get(self, name: str) -> Action:
        """Raises `InvalidRequest` for a name that is none."""
        action = self._actions.get(name)
        if action is None:
            raise InvalidRequest(
                f"There is no action of that name. There are: {', '.join(self._actions)}.",
                field="action",
            )
        return action


def load_actions(content: bytes | None, settings: Settings) -> Actions:
    """The actions of the file's content (None: there is no file). Raises `Misconfigured`."""
    try:
        named = msgspec.json.decode(content or b"{}", type=dict[str, ActionFile])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Misconfigured(f"{FILE} cannot be read: {exc}.") from exc
    named = {DEFAULT_ACTION: ActionFile(), **named}
    return Actions({name: _action(name, entry, settings) for name, entry in named.items()})


def _action(name: str, entry: ActionFile, settings: Settings) -> Action:
    fields = entry.caller_fields
    if fields == ("*",):
        fields = LOCKABLE_FIELDS
    for field in fields or ():
        if field not in LOCKABLE_FIELDS:
            raise Misconfigured(
                f"{FILE}, {name}: callerFields names {field!r}, which is not one of "
                f"{', '.join(LOCKABLE_FIELDS)}; or * alone for all."
            )
    if entry.prompt_template is not None and USER_PROMPT not in entry.prompt_template:
        raise Misconfigured(
            f"{FILE}, {name}: promptTemplate has no {USER_PROMPT}, so the question would be lost."
        )
    caller_fields = frozenset(fields or ())
    if name == DEFAULT_ACTION:
        caller_fields |= settings.caller_fields
    return Action(
        name=name,
        title=entry.title or name,
        description=entry.description,
        connection=entry.connection,
        model=entry.model,
        system_prompt=entry.system_prompt or settings.system_prompt,
        prompt_template=entry.prompt_template,
        temperature=DEFAULT_TEMPERATURE if entry.temperature is None else entry.temperature,
        max_completion_tokens=entry.max_completion_tokens,
        caller_fields=caller_fields,
    )
