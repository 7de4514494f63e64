"""`POST /api/chat`, and watching and stopping its turns."""

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.api.endpoints import (
    SAFE_HEADERS,
    add_endpoint,
    authenticate,
    identifier,
    json_response,
    read_json,
)
from shared.api.streaming import WatchResponse, unless_left
from shared.errors import InvalidRequest
from shared.events import BEGINNING, Position
from shared.history.base import Place
from shared.protocols.native.accept import Form, choose_form
from shared.protocols.native.encoders import make_encoder
from shared.protocols.native.request import parse
from shared.services import Services
from shared.turns.turns import Response as TurnResponse
from shared.turns.turns import TurnState

_TURN = "conversations/{conversationId}/turns/{turnId}"


def chat_blueprint(services: Services) -> func.Blueprint:
    blueprint = func.Blueprint()

    async def chat(req: Request) -> Response:
        caller = authenticate(req, services)
        form = _form(req)
        request = parse(await read_json(req, services.settings.limits.body_bytes))
        asked = services.prepare(request)
        turns = services.turns
        starting = turns.start(caller, request, *asked)
        return _stream(await unless_left(req, starting), form)

    async def attach(req: Request) -> Response:
        place, turn_id = _turn(req, services)
        form = _form(req)
        position = _position(req)
        turns = services.turns
        # One object is always the whole one, whatever was seen before.
        found = await turns.attach(place, turn_id, position, whole=form[0] == "json")
        return Response(status_code=204) if found is None else _stream(found, form)

    async def state(req: Request) -> Response:
        place, turn_id = _turn(req, services)
        turns = services.turns
        return json_response(_state(await turns.state(place, turn_id)))

    async def stop(req: Request) -> Response:
        place, turn_id = _turn(req, services)
        turns = services.turns
        stopped = await turns.stop(place, turn_id)
        return json_response(_state(stopped), 202 if stopped.running else 200)

    add_endpoint(blueprint, services, "chat", "chat", {"POST": chat})
    add_endpoint(blueprint, services, "turn", _TURN, {"GET": state})
    add_endpoint(blueprint, services, "turn_stream", f"{_TURN}/stream", {"GET": attach})
    add_endpoint(blueprint, services, "turn_stop", f"{_TURN}/stop", {"POST": stop})
    return blueprint


def _turn(req: Request, services: Services) -> tuple[Place, str]:
    caller = authenticate(req, services)
    return Place(caller.owner, identifier(req, "conversationId")), identifier(req, "turnId")


def _form(req: Request) -> tuple[Form, str]:
    accept = ",".join(req.headers.getlist("accept"))
    return choose_form(accept, through_static_web_apps="x-ms-original-url" in req.headers)


def _position(req: Request) -> Position:
    given = (req.headers.get("last-event-id"), req.query_params.get("after"))
    positions = [Position.parse(text) for text in given if text]
    for position in positions:
        if position is None:
            raise InvalidRequest(
                "That is no position: hand back the id of an event, or leave it out.", field="after"
            )
    return next(filter(None, positions), BEGINNING)


def _stream(turn: TurnResponse, form: tuple[Form, str]) -> Response:
    name, content_type = form
    encoder = make_encoder(name, turn.result_name)
    return WatchResponse(turn.watch, encoder, content_type, turn_headers(turn))


def turn_headers(turn: TurnResponse) -> dict[str, str]:
    """What the headers of every response that tells a turn say."""
    headers = SAFE_HEADERS | {"x-accel-buffering": "no"}
    if turn.conversation_id and turn.turn_id:
        headers |= {"x-conversation-id": turn.conversation_id, "x-turn-id": turn.turn_id}
    return headers


def _state(turn: TurnState) -> dict[str, object]:
    return {
        "turnId": turn.turn_id,
        "state": "running" if turn.running else "ended",
        "finishReason": turn.finish_reason,
        "usage": turn.usage,
    }
