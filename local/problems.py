"""Errors of the local stack's own servers, in the form of RFC 9457."""

from http import HTTPStatus

from aiohttp import web


def problem(status: int, detail: str) -> web.Response:
    """`detail` says in words what is wrong, and what to do."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")
