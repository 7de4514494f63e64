"""Named actions: the server-side set-up of a streaming chat completion, kept in `actions.json`."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from shared.errors import InvalidRequest
from shared.messages import Filter, SearchMode
from shared.prompts.actions_file import ActionFile, RetrievalFile, read_actions
from shared.settings import DEFAULT_CONNECTION, LOCKABLE_FIELDS, Settings

DEFAULT_ACTION = "default"
DEFAULT_TEMPERATURE = 0.7


class Retrieval(Struct, frozen=True, kw_only=True):
    """Where an action's question is answered from, and how it is looked for."""

    retriever: str
    top_k: int = 5
    mode: SearchMode = "hybrid"
    min_score: float | None = None
    filter: Filter = {}
    rewrite: bool = False
    """Have the model rewrite a follow-up question from the history."""
    required: bool = True
    """A search that fails is the turn's error; else it answers without documents, and says so."""


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
    result_name: str | None = None
    """The result's, for callers who name none."""
    retrieval: Retrieval | None = None
    max_context_tokens: int | None = None
    """Of documents, in a prompt; None: as the settings say."""
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    """Further fields of the completions request, for callers who do not set them."""


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
    named = {DEFAULT_ACTION: ActionFile(), **(read_actions(content) if content else {})}
    return Actions({name: _action(name, entry, settings) for name, entry in named.items()})


def _action(name: str, entry: ActionFile, settings: Settings) -> Action:
    fields = entry.caller_fields or ()
    caller_fields = frozenset(LOCKABLE_FIELDS if fields == ("*",) else fields)
    if name == DEFAULT_ACTION:
        caller_fields |= settings.caller_fields
    return Action(
        name=name,
        title=entry.title or name,
        description=entry.description or "",
        connection=entry.connection or DEFAULT_CONNECTION,
        model=entry.model or entry.deployment_name,
        system_prompt=entry.system_prompt or settings.system_prompt,
        prompt_template=entry.prompt_template,
        temperature=DEFAULT_TEMPERATURE if entry.temperature is None else entry.temperature,
        max_completion_tokens=entry.max_completion_tokens,
        caller_fields=caller_fields,
        result_name=entry.result_variable_name,
        retrieval=_retrieval(entry.retrieval) if entry.retrieval else None,
        max_context_tokens=entry.max_context_tokens,
        options=msgspec.to_builtins(entry.options) if entry.options else {},
    )


def _retrieval(entry: RetrievalFile) -> Retrieval:
    return Retrieval(
        retriever=entry.retriever,
        top_k=entry.top_k,
        mode=entry.mode,
        min_score=entry.min_score,
        filter={
            name: tuple(value) if isinstance(value, list) else value
            for name, value in (entry.filter or {}).items()
        },
        rewrite=entry.rewrite,
        required=entry.on_failure == "fail",
    )
