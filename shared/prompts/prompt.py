"""From an action and a request to what a model is asked; bounded before it is rendered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.errors import FieldLocked, InvalidRequest, PayloadTooLarge
from shared.messages import ChatRequest, Document, ModelRequest, ModelService
from shared.prompts.actions import Action, Retrieval
from shared.prompts.context import NOTHING, Chosen, choose_documents
from shared.prompts.template import (
    PLAIN,
    WITH_CONTEXT,
    check_template,
    context_length,
    render,
    render_documents,
    rendered_length,
)
from shared.settings import Limits

RESULT_NAME = "response"
_OTHER_NAMES = {"seed": "random_seed", "random_seed": "seed"}
"""Options that say the same: a caller's own stands for the action's, whichever name it has."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A checked request, ready to be rendered once the window is known."""

    action: Action
    request: ChatRequest
    model: str
    template: str | None
    """The caller's or the action's; None: the one that goes with what context there is."""
    brought: Chosen = NOTHING
    """The documents that the caller brought."""
    max_context_tokens: int = 0
    """Of what is retrieved."""
    service: ModelService | None = None
    """Who is asked."""

    @property
    def result_name(self) -> str:
        """The name of the whole answer: the caller's, else the action's."""
        return self.request.result_variable_name or self.action.result_name or RESULT_NAME

    @property
    def retrieval(self) -> Retrieval | None:
        """How documents are to be found for it: not where the caller brings a context."""
        request = self.request
        asks = request.user_prompt.strip() and not request.tool_results
        return self.action.retrieval if asks and request.context is None else None

    def choose(self, found: Sequence[Document]) -> Chosen:
        """What of the documents that were retrieved goes into the prompt."""
        return choose_documents(found, self.max_context_tokens)

    def render(
        self, window: tuple[dict[str, Any], ...], found: Sequence[Document] = ()
    ) -> ModelRequest:
        """System prompt, window (or what the caller brought instead), rendered prompt.

        `found`: what was chosen of the documents that were retrieved.
        """
        request, action = self.request, self.action
        chosen = msgspec.to_builtins(request.options) if request.options else {}
        if request.temperature is not None:
            chosen["temperature"] = request.temperature
        if request.max_completion_tokens is not None:
            chosen["max_completion_tokens"] = request.max_completion_tokens
        defaults = {
            name: value
            for name, value in action.options.items()
            if _OTHER_NAMES.get(name) not in chosen
        }
        defaults["temperature"] = action.temperature
        if action.max_completion_tokens is not None:
            defaults["max_completion_tokens"] = action.max_completion_tokens
        return ModelRequest(
            model=self.model,
            messages=(
                {"role": "system", "content": request.system_prompt or action.system_prompt},
                *self.past(window),
                *self._asked(found),
            ),
            parameters=defaults | chosen,
            chosen=frozenset(chosen).union(
                name for name in ("model", "messages") if getattr(request, name)
            ),
            pieces=request.pieces,
        )

    def past(self, window: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        """What comes before what is asked."""
        request = self.request
        if request.messages is not None:
            return request.messages[:-1]
        if request.history is not None:
            return tuple({"role": m.role, "content": m.content} for m in request.history)
        return window

    def _asked(self, found: Sequence[Document]) -> tuple[dict[str, Any], ...]:
        """The question, rendered, before its images; or what the model's calls gave."""
        request = self.request
        if request.tool_results:
            return tuple(
                {"role": "tool", "tool_call_id": result.id, "content": result.content}
                for result in request.tool_results
            )
        last = request.messages[-1] if request.messages else {"role": "user", "content": ""}
        if last["role"] != "user":
            return (last,)
        context = request.context if isinstance(request.context, str) else ""
        documents = self.brought.documents or found
        template = self.template or (WITH_CONTEXT if context or documents else PLAIN)
        user = render(template, request.user_prompt, context or render_documents(documents))
        if images := _images(last):
            text = [{"type": "text", "text": user}] if user.strip() else []
            return ({**last, "content": [*text, *images]},)
        return ({**last, "content": user},)


def check_locks(action: Action, request: ChatRequest) -> None:
    """Raises `FieldLocked` for a field that the action does not open to its callers."""
    given = {
        "connection": request.connection,
        "model": request.model,
        "systemPrompt": request.system_prompt,
        "promptTemplate": request.prompt_template,
        "options": request.options,
    }
    for field, value in given.items():
        if value is not None and field not in action.caller_fields:
            setting = (
                "CHAT_CALLER_FIELDS"
                if action.name == "default"
                else "its callerFields in actions.json"
            )
            raise FieldLocked(
                f"The action {action.name} does not let callers set {field}. Leave it out, or "
                f"have {setting} name it.",
                field=field,
            )


def make_prompt(action: Action, request: ChatRequest, model: str, limits: Limits) -> Prompt:
    """Check template and sizes. Raises `InvalidRequest` and `PayloadTooLarge` by field."""
    given = request.prompt_template
    if given is None:
        given = action.prompt_template
    context = request.context
    retrieves = context is None and action.retrieval is not None
    template = (WITH_CONTEXT if context else PLAIN) if given is None else given
    retrieves = retrieves and given is not None
    check_template(template, has_context=bool(context) or retrieves, once=retrieves)
    if (tokens := request.max_completion_tokens) and tokens > limits.completion_tokens:
        raise InvalidRequest(
            f"maxCompletionTokens must be at most {limits.completion_tokens}.",
            field="maxCompletionTokens",
        )
    if len(request.user_prompt) > limits.prompt_chars:
        raise PayloadTooLarge(
            f"The prompt has {len(request.user_prompt)} characters; the limit is "
            f"{limits.prompt_chars}.",
            field="userPrompt",
        )
    _check_input(action, request, template, limits.input_chars)
    most = action.max_context_tokens or limits.context_tokens
    brought = choose_documents(context, most) if isinstance(context, tuple) else NOTHING
    return Prompt(action, request, model, given, brought, most)


def _brought(request: ChatRequest) -> Sequence[dict[str, Any]]:
    """What a caller brought, without the question's text, which is rendered."""
    messages = request.messages or ()
    if not messages or messages[-1]["role"] != "user":
        return messages
    return *messages[:-1], *_images(messages[-1])


def _images(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a message that are no text."""
    content = message["content"]
    return [part for part in content if part["type"] != "text"] if isinstance(content, list) else []


def _check_input(action: Action, request: ChatRequest, template: str, most: int) -> None:
    context = context_length(request.context)
    whole = rendered_length(template, request.user_prompt, context)
    without_context = rendered_length(template, request.user_prompt, 0)
    if request.tool_results:  # then no prompt is rendered
        whole = without_context = 0
    parts = {
        "systemPrompt": len(request.system_prompt or action.system_prompt),
        "history": sum(len(m.content) for m in request.history or ()),
        "messages": sum(len(msgspec.json.encode(m)) for m in _brought(request)),
        "toolResults": sum(len(result.content) for result in request.tool_results),
        "context": whole - without_context,
        "userPrompt": without_context,
    }
    if (total := sum(parts.values())) > most:
        field = max(parts, key=lambda name: parts[name])
        raise PayloadTooLarge(
            "System prompt, history, context, and prompt or tool results together would have "
            f"{total} characters, most of them from {field}; the limit is {most}.",
            field=field,
        )
