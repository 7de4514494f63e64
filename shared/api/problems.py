"""Errors as `application/problem+json` (RFC 9457)."""

import math
from typing import Any

import msgspec
from azurefunctions.extensions.http.fastapi import Response

from shared.errors import ChatError, ConversationBusy


def problem_response(error: ChatError) -> Response:
    """What a caller is told of an error before a response began."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.problems:
        body["errors"] = [{"field": p.field, "message": p.message} for p in error.problems]
    if isinstance(error, ConversationBusy):
        body["turnId"] = error.turn_id
    return Response(
        msgspec.json.encode(body),
        status_code=error.status,
        media_type="application/problem+json",
        headers=retry_after(error),
    )


def retry_after(error: ChatError) -> dict[str, str]:
    """The header, in whole seconds, where the error knows it."""
    if error.retry_after is None:
        return {}
    return {"retry-after": str(max(1, math.ceil(error.retry_after)))}
