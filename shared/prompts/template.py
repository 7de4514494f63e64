"""The prompt template: two markers, replaced in one pass."""

import re
from collections.abc import Sequence

from shared.errors import InvalidRequest
from shared.messages import Document

USER_PROMPT = "@@userPrompt"
CONTEXT = "@@context"
PLAIN = USER_PROMPT
WITH_CONTEXT = f"Context:\n{CONTEXT}\n\n{USER_PROMPT}"

_MARKERS = re.compile(f"{re.escape(USER_PROMPT)}|{re.escape(CONTEXT)}")


def check_template(template: str, *, has_context: bool, once: bool = False) -> None:
    """Raises `InvalidRequest` for a template that would lose the question or its context.

    `once`: nobody knows yet how long the context is, so that it can be there only once.
    """
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
    if once and template.count(CONTEXT) > 1:
        raise InvalidRequest(
            f"The template holds {CONTEXT} more than once, which documents that are retrieved do "
            "not allow: keep one.",
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
    """How many characters a context takes in a prompt, were all of it taken."""
    if context is None or isinstance(context, str):
        return len(context or "")
    return sum(
        len(document_heading(n, d)) + len(d.content) + 1 for n, d in enumerate(context, 1)
    ) + 2 * max(0, len(context) - 1)


def render_documents(documents: Sequence[Document]) -> str:
    """Documents, numbered, so that an answer can cite them."""
    return "\n\n".join(f"{document_heading(n, d)}\n{d.content}" for n, d in enumerate(documents, 1))


def document_heading(number: int, document: Document) -> str:
    """The line over a document's content, by whose number an answer cites it."""
    title = " ".join((document.title or "").split())  # on one line, or it could fake another
    return f"[{number}] {title}" if title else f"[{number}]"
