"""`POST /api/ai-chat` and `POST /api/ai-chat/stream`: the AI Chat Protocol."""

import azure.functions as func
import msgspec
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.api.chat import turn_headers
from shared.api.endpoints import add_endpoint, authenticate, read_json
from shared.api.problems import retry_after
from shared.api.streaming import WatchResponse, unless_left
from shared.errors import ChatError, UnsupportedMediaType
from shared.protocols.ai_chat.encoders import CompletionEncoder, DeltaEncoder
from shared.protocols.ai_chat.request import parse
from shared.services import Services
from shared.turns.turns import Response as TurnResponse


def ai_chat_blueprint(services: Services) -> func.Blueprint:
    blueprint = func.Blueprint()

    async def complete(req: Request) -> Response:
        turn = await _start(req, services)
        encoder = CompletionEncoder()
        return WatchResponse(turn.watch, encoder, "application/json", turn_headers(turn))

    async def stream(req: Request) -> Response:
        turn = await _start(req, services)
        # The client says `accept: application/json` and means lines. Static Web Apps holds them
        # back, unless they are octets.
        through_static_web_apps = "x-ms-original-url" in req.headers
        form = "application/octet-stream" if through_static_web_apps else "application/jsonl"
        return WatchResponse(turn.watch, DeltaEncoder(), form, turn_headers(turn))

    add_endpoint(blueprint, services, "ai_chat", "ai-chat", {"POST": complete}, _refuse)
    add_endpoint(blueprint, services, "ai_chat_stream", "ai-chat/stream", {"POST": stream}, _refuse)
    return blueprint


async def _start(req: Request, services: Services) -> TurnResponse:
    caller = authenticate(req, services)
    if req.headers.get("content-type", "").lower().startswith("multipart/"):
        raise UnsupportedMediaType(
            "No files are taken: send the messages without files, as application/json."
        )
    request = parse(await read_json(req, services.settings.limits.body_bytes))
    asked = services.prepare(request)
    turns = services.turns
    return await unless_left(req, turns.start(caller, request, *asked))


def _refuse(error: ChatError) -> Response:
    """As the client throws it."""
    body = {"error": {"code": error.code, "message": error.message}}
    return Response(
        msgspec.json.encode(body),
        status_code=error.status,
        media_type="application/json",
        headers=retry_after(error),
    )
