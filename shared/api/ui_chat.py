"""`POST /api/ui-chat` and its resume: the AI SDK's UI message stream."""

from dataclasses import replace
from itertools import pairwise

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request, Response

from shared.api.chat import turn_headers
from shared.api.endpoints import add_endpoint, authenticate, identifier, read_json
from shared.api.streaming import WatchResponse, unless_left
from shared.errors import InvalidRequest, NotFound
from shared.events import BEGINNING
from shared.history.base import Answer, Place, View
from shared.messages import Caller
from shared.protocols.native.encoders import TextEncoder
from shared.protocols.ui_messages.accept import UiForm, choose_ui_form
from shared.protocols.ui_messages.encoder import HEADERS, Step, UiMessageEncoder
from shared.protocols.ui_messages.ids import answer_id
from shared.protocols.ui_messages.request import UiChat, parse
from shared.services import Services
from shared.turns.again import ROWS, ask_again
from shared.turns.chain import chain_of
from shared.turns.places import MIN_ANONYMOUS_ID
from shared.turns.turns import Response as TurnResponse


def ui_chat_blueprint(services: Services) -> func.Blueprint:
    blueprint = func.Blueprint()

    async def chat(req: Request) -> Response:
        caller = authenticate(req, services)
        form = _form(req)
        asked = parse(await read_json(req, services.settings.limits.body_bytes))
        turn = await unless_left(req, _start(services, caller, asked))
        return _stream(turn, form, UiMessageEncoder(asked.continues))

    async def resume(req: Request) -> Response:
        caller = authenticate(req, services)
        place = Place(caller.owner, identifier(req, "chatId"))
        form = _form(req)
        found = await _running(services, place)
        if found is None:
            return Response(status_code=204)
        view, newest = found
        turns = services.turns
        encoder = await _whole_message(services, place, view, newest)
        try:
            turn = await turns.attach(place, newest.turn_id, BEGINNING)
        except NotFound:  # it was refused meanwhile, and is none
            turn = None
        if turn is None:
            return Response(status_code=204)
        return _stream(turn, form, encoder)

    add_endpoint(blueprint, services, "ui_chat", "ui-chat", {"POST": chat})
    add_endpoint(blueprint, services, "ui_chat_stream", "ui-chat/{chatId}/stream", {"GET": resume})
    return blueprint


async def _start(services: Services, caller: Caller, asked: UiChat) -> TurnResponse:
    request = asked.request
    chat_id = request.conversation_id or ""
    if caller.owner is None and len(chat_id) < MIN_ANONYMOUS_ID:
        raise InvalidRequest(
            f"id must have at least {MIN_ANONYMOUS_ID} characters: for an anonymous caller it is "
            "the key to the conversation.",
            field="id",
        )
    prompt, model, retriever = services.prepare(request)
    if asked.again is not None:
        store, turns = services.store, services.turns
        place = Place(caller.owner, chat_id)
        request = await ask_again(store, place, request, asked.again, turns.fresh)
        prompt = replace(prompt, request=request)
    turns = services.turns
    return await turns.start(caller, request, prompt, model, retriever)


async def _running(services: Services, place: Place) -> tuple[View, Answer] | None:
    """The conversation's running turn, and what was read with it. Raises `NotFound`."""
    store, turns = services.store, services.turns
    view = await store.read(place, ROWS)
    if view.head is not None and view.head.deleted:
        raise NotFound("There is no such conversation.")
    if view.head is None or not view.answers:
        return None  # a page asks for it before there is any question
    newest = await turns.fresh(place, view.answers[0])
    return (view, newest) if newest.running else None


async def _whole_message(
    services: Services, place: Place, view: View, newest: Answer
) -> UiMessageEncoder:
    """For a page that has seen nothing: the calls that led to the turn belong to its message."""
    links = [link async for link in chain_of(services.store, place, view, newest)]
    steps = [
        Step(link.answer.runs, later.question.results)
        for later, link in pairwise(links)
        if later.question is not None
    ]
    return UiMessageEncoder(answer_id(links[-1].answer.turn_id), steps[::-1])


def _form(req: Request) -> tuple[UiForm, str]:
    accept = ",".join(req.headers.getlist("accept"))
    return choose_ui_form(accept, through_static_web_apps="x-ms-original-url" in req.headers)


def _stream(turn: TurnResponse, form: tuple[UiForm, str], encoder: UiMessageEncoder) -> Response:
    name, content_type = form
    headers = turn_headers(turn)
    if name == "text":
        return WatchResponse(turn.watch, TextEncoder(), content_type, headers)
    return WatchResponse(turn.watch, encoder, content_type, headers | HEADERS)
