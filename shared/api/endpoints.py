"""What every endpoint does alike: preflights, CORS, safe headers, errors as problems."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func
import msgspec
from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.requests import ClientDisconnect

from shared.api.problems import problem_response
from shared.errors import (
    ChatError,
    InternalError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from shared.messages import ID_PATTERN, Caller
from shared.services import Services
from shared.telemetry.facts import RequestFacts, begin_call, now

logger = logging.getLogger(__name__)

type Work = Callable[[Request], Awaitable[Response]]

SAFE_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_ALLOWED_HEADERS = "content-type, authorization, last-event-id, x-ms-useragent"
_EXPOSED_HEADERS = "x-conversation-id, x-turn-id, retry-after"
_SDK_EXPOSED_HEADERS = f"{_EXPOSED_HEADERS}, x-should-retry"
_PREFLIGHT_SECONDS = 600


def add_endpoint(
    blueprint: func.Blueprint,
    services: Services,
    name: str,
    route: str,
    work: dict[str, Work],
    refuse: Callable[[ChatError], Response] = problem_response,
    sdk_headers: re.Pattern[str] | None = None,
) -> None:
    """Register one route; `work` says what each method does, `refuse` how an error is told.

    `sdk_headers`: what else pages of other origins may send, where one asks to. The SDKs that send
    them may also read whether to ask again.
    """
    methods = tuple(work)

    async def handle(req: Request, context: func.Context) -> Response:
        call = begin_call(name, context.invocation_id, context.trace_context.trace_parent)
        code: str | None = None
        try:
            if req.method == "OPTIONS":
                response = Response(status_code=204, headers=SAFE_HEADERS)
            else:
                response = await work[req.method](req)
        except ChatError as error:
            if error.status >= 500:
                logger.warning("%s %s: %s", req.method, name, error.message, exc_info=error)
            response, code = refuse(error), error.code
        except ClientDisconnect:
            response, code = Response(status_code=400), "left"
        except Exception:
            logger.exception("%s %s failed", req.method, name)
            failure = InternalError("Something went wrong; the backend's log says more.")
            response, code = refuse(failure), failure.code
        services.telemetry.record(RequestFacts(call, now(), code))
        for header, value in (SAFE_HEADERS | _cors(req, services, methods, sdk_headers)).items():
            response.headers.setdefault(header, value)
        return response

    routed = blueprint.route(
        route=route, methods=[*methods, "OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS
    )(handle)
    blueprint.function_name(name)(routed)


def json_response(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def authenticate(req: Request, services: Services) -> Caller:
    """Who calls. Raises `Unauthenticated` and `Misconfigured`."""
    values = req.headers.getlist("x-ms-client-principal")
    return services.caller(values)


def identifier(req: Request, name: str) -> str:
    """An id of the route. Raises `NotFound` for what cannot be one."""
    value: str = req.path_params.get(name, "")
    if not re.match(ID_PATTERN, value):
        raise NotFound("There is nothing of that id.")
    return value


async def read_json(req: Request, most: int) -> bytes:
    """The body. Raises `UnsupportedMediaType` and `PayloadTooLarge`."""
    media_type = req.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the body with content-type: application/json.")
    declared = req.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise _too_large(most)
    body = bytearray()
    async for part in req.stream():
        body += part
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def whole_number(req: Request, name: str, default: int, least: int, most: int) -> int:
    """A number of the query string. Raises `InvalidRequest`."""
    text = req.query_params.get(name)
    if text is None:
        return default
    value = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else least - 1
    if not least <= value <= most:
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}.", field=name)
    return value


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body must have at most {most} bytes.")


def _cors(
    req: Request,
    services: Services,
    methods: tuple[str, ...],
    sdk_headers: re.Pattern[str] | None,
) -> dict[str, str]:
    """Headers for an allowed origin; only the platform's own CORS could not expose ours."""
    origin = req.headers.get("origin")
    if origin is None:
        return {}
    try:
        allowed = origin in services.settings.allowed_origins
    except ChatError:
        allowed = False
    headers = {"vary": "origin"}
    if allowed:
        headers |= {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": (
                _EXPOSED_HEADERS if sdk_headers is None else _SDK_EXPOSED_HEADERS
            ),
        }
        if req.method == "OPTIONS":
            headers |= {
                "access-control-allow-methods": ", ".join((*methods, "OPTIONS")),
                "access-control-allow-headers": ", ".join(
                    (_ALLOWED_HEADERS, *_further(req, sdk_headers))
                ),
                "access-control-max-age": str(_PREFLIGHT_SECONDS),
            }
    return headers


def _further(req: Request, pattern: re.Pattern[str] | None) -> list[str]:
    """The headers that a preflight asks for, as far as they fit: with credentials there is no *."""
    asked = req.headers.get("access-control-request-headers", "").lower()
    names = (name.strip() for name in asked.split(","))
    return [name for name in names if pattern is not None and pattern.fullmatch(name)]
