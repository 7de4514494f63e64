"""The prompt template: two markers, replaced in one pass."""

import re

from shared.errors import InvalidRequest
from shared.messages import Document

USER_PROMPT = "@@userPrompt"
CONTEXT = "@@context"
PLAIN = USER_PROMPT
WITH_CONTEXT = f"Context:\n{CONTEXT}\n\n{USER_PROMPT}"

_MARKERS = re.compile(f"{re.escape(USER_PROMPT)}|{re.escape(CONTEXT)}")


def check_template(template: str, *, has_context: bool) -> None:
    """Raises `InvalidRequest` for a template that would lose the question or its context."""
    if USER_PROMPT not in template:
        raise InvalidRequest(
            f"The template has no {USER_PROMPT}, so the question would be lost: add it.",
            field="promptTemplate",
        )
    if has_context and CONTEXT not in template:
        raise InvalidRequest(
            f"The template has no {CONTEXT}, so the context would be lost: add it, or send none.",
            field="promptTemplate",
        )


def rendered_length(template: str, user_prompt: str, context_length: int) -> int:
    """How many characters `render` would make, told without making them."""
    users, contexts = template.count(USER_PROMPT), template.count(CONTEXT)
    return (
        len(template)
        + users * (len(user_prompt) - len(USER_PROMPT))
        + contexts * (context_length - len(CONTEXT))
    )


def render(template: str, user_prompt: str, context: str) -> str:
    """One pass: what a marker inserts is never looked at again."""
    values = {USER_PROMPT: user_prompt, CONTEXT: context}
    return _MARKERS.sub(lambda found: values[found[0]], template)


def context_length(context: str | tuple[Document, ...] | None) -> int:
    """How many characters `render_context` would make."""
    if context is None or isinstance(context, str):
        return len(context or "")
    return sum(
        len(_heading(n, d)) + len(d.content) + 1 for n, d in enumerate(context, 1)
    ) + 2 * max(0, len(context) - 1)


def render_context(context: str | tuple[Document, ...] | None) -> str:
    """Text as it came; documents numbered, so that an answer can cite them."""
    if context is None or isinstance(context, str):
        return context or ""
    return "\n\n".join(f"{_heading(n, d)}\n{d.content}" for n, d in enumerate(context, 1))


def _heading(number: int, document: Document) -> str:
    return f"[{number}] {document.title}" if document.title else f"[{number}]"
