"""`/api/v1`: chat completions and models, as OpenAI's and Mistral's clients ask for them."""

import re
import secrets
import time
from urllib.parse import unquote

import azure.functions as func
import msgspec
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.api.endpoints import (
    SAFE_HEADERS,
    Work,
    add_endpoint,
    authenticate,
    json_response,
    read_json,
)
from shared.api.problems import retry_after
from shared.api.streaming import WatchResponse, unless_left
from shared.api.whole import WholeResponse
from shared.errors import ChatError, InvalidRequest, NotFound
from shared.messages import ChatRequest
from shared.prompts.offered import Offered, choose, offer
from shared.protocols.openai.encoders import ChunkEncoder, WholeEncoder
from shared.protocols.openai.errors import refusal
from shared.protocols.openai.request import Completion, parse
from shared.services import Services
from shared.turns.turns import Response as Turn

CREATED = 1_764_028_800
"""Seconds since 1970, for every model: clients want a number, and compare it."""
SDK_HEADERS = re.compile(
    r"x-stainless-[a-z0-9-]+|openai-[a-z0-9-]+|idempotency-key|x-conversation-id|user-agent"
)
"""What the SDKs send from a browser."""


def openai_blueprint(services: Services) -> func.Blueprint:
    blueprint = func.Blueprint()

    async def complete(req: Request) -> Response:
        caller = authenticate(req, services)
        asked = parse(await read_json(req, services.settings.limits.body_bytes), req.headers)
        request = _request(asked, services)
        prompt, model, retriever = services.prepare(request)
        turns = services.turns
        turn = await unless_left(req, turns.start(caller, request, prompt, model, retriever))
        return _told(turn, asked)

    async def models(req: Request) -> Response:
        authenticate(req, services)
        offered = offer(services.actions, services.settings)
        return json_response({"object": "list", "data": [_model(one) for one in offered]})

    async def model(req: Request) -> Response:
        authenticate(req, services)
        # An encoded slash is no separator of the route's, and comes as it was sent.
        name = unquote(req.path_params.get("model", ""))
        for one in offer(services.actions, services.settings):
            if one.id == name:
                return json_response(_model(one))
        raise NotFound("There is no model of that name, or it is not open to you.", field="model")

    def add(name: str, route: str, work: dict[str, Work]) -> None:
        add_endpoint(blueprint, services, name, route, work, _refuse, SDK_HEADERS)

    add("v1_completions", "v1/chat/completions", {"POST": complete})
    add("v1_models", "v1/models", {"GET": models})
    add("v1_model", "v1/models/{*model}", {"GET": model})
    return blueprint


def _request(asked: Completion, services: Services) -> ChatRequest:
    """The request to the action, connection and model that it names."""
    chosen = choose(asked.model, services.actions, services.settings)
    request = asked.request
    if asked.choices > 1:
        limit = services.actions.get(chosen.action).max_completion_tokens
        most = services.settings.limits.completion_tokens
        request = _bounded(request, asked.choices, limit, most)
    return msgspec.structs.replace(
        request, action=chosen.action, connection=chosen.connection, model=chosen.model
    )


def _bounded(request: ChatRequest, choices: int, limit: int | None, most: int) -> ChatRequest:
    """Several answers together stay within the cap of one; without a limit each gets its share."""
    asked = request.max_completion_tokens
    share = most // choices
    if asked is None:
        asked = share if limit is None else min(limit, share)
    if not 1 <= asked <= share:
        raise InvalidRequest(
            f"n times max_completion_tokens must be at most {most}: for n = {choices} that is "
            f"{share} for each.",
            field="maxCompletionTokens",
        )
    return msgspec.structs.replace(request, max_completion_tokens=asked)


def _told(turn: Turn, asked: Completion) -> Response:
    id = f"chatcmpl-{turn.turn_id or secrets.token_urlsafe(18)}"
    created = int(time.time())
    headers = SAFE_HEADERS | {"x-accel-buffering": "no"}
    if turn.conversation_id and turn.turn_id:
        headers |= {"x-conversation-id": turn.conversation_id, "x-turn-id": turn.turn_id}
    if asked.stream:
        chunks = ChunkEncoder(id, created, usage=asked.include_usage)
        return WatchResponse(turn.watch, chunks, "text/event-stream", headers)
    # What failed is in the history: asked again by itself, an SDK would ask a second question.
    refused = {"x-should-retry": "false"} if turn.turn_id else {}
    return WholeResponse(turn.watch, WholeEncoder(id, created), headers, refused)


def _model(offered: Offered) -> dict[str, object]:
    """A model; Mistral's client reads no list whose members lack `type` and `capabilities`."""
    return {
        "id": offered.id,
        "object": "model",
        "created": CREATED,
        "owned_by": offered.owned_by,
        "default_temperature": offered.default_temperature,
        "default_model_temperature": offered.default_temperature,
        "type": "base",
        "capabilities": {"completion_chat": True},
    }


def _refuse(error: ChatError) -> Response:
    told = refusal(error)
    return Response(
        told.body,
        status_code=told.status,
        media_type="application/json",
        headers=told.headers | retry_after(error),
    )
