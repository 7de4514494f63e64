"""The caller's conversations: list, read, rename, delete, export."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import azure.functions as func
import msgspec
from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse
from msgspec import Meta, Struct

from shared.api.endpoints import (
    add_endpoint,
    authenticate,
    identifier,
    json_response,
    read_json,
    whole_number,
)
from shared.errors import InvalidRequest, NotFound, Unauthenticated
from shared.events import Citations, Error
from shared.history.base import Answer, Conversation, Head, Place, Question
from shared.history.reading import export_messages, read_messages
from shared.protocols.decoding import decode
from shared.protocols.encoding import shown_documents, shown_retrieval
from shared.services import Services

_CONVERSATION = "conversations/{conversationId}"
_PAGE = 50
_MAX_PAGE = 100


class TitleBody(Struct, forbid_unknown_fields=True):
    """The body of PATCH."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]


def conversations_blueprint(services: Services) -> func.Blueprint:
    blueprint = func.Blueprint()

    async def list_them(req: Request) -> Response:
        caller = authenticate(req, services)
        if caller.owner is None:
            raise Unauthenticated("Sign in to list conversations: an anonymous caller has none.")
        limit = whole_number(req, "limit", _PAGE, 1, _MAX_PAGE)
        store = services.store
        page = await store.conversations(caller.owner, limit, req.query_params.get("cursor"))
        return json_response(
            {"items": [_line(item) for item in page.items], "nextCursor": page.cursor}
        )

    async def read(req: Request) -> Response:
        return json_response(await _one(services, _place(req, services)))

    async def rename(req: Request) -> Response:
        place = _place(req, services)
        body = await read_json(req, services.settings.limits.body_bytes)
        title = decode(body, TitleBody).title.strip()
        if not title:
            raise InvalidRequest("title must not be blank.", field="title")
        store = services.store
        await store.rename(place, title)
        return json_response(await _one(services, place))

    async def delete(req: Request) -> Response:
        place = _place(req, services)
        store = services.store
        try:
            await store.delete(place)
        except NotFound:
            services.in_background(store.purge(place))  # deleted before: what is left of it goes
            raise
        services.turns.deleted(place)
        services.in_background(store.purge(place))
        return Response(status_code=204)

    async def messages(req: Request) -> Response:
        place = _place(req, services)
        limit = whole_number(req, "limit", _PAGE, 1, _MAX_PAGE)
        store, turns = services.store, services.turns
        page = await read_messages(store, place, limit, req.query_params.get("cursor"))
        items = []
        for message in page.items:
            if isinstance(message, Answer):
                message = await turns.fresh(place, message)
            items += reversed(_messages(message))
        return json_response({"items": items, "nextCursor": page.cursor})

    async def export(req: Request) -> Response:
        place = _place(req, services)
        conversation = await _one(services, place)
        store = services.store
        head = await _head(services, place)

        async def body() -> AsyncIterator[bytes]:
            yield b'{"conversation":' + msgspec.json.encode(conversation) + b',"messages":['
            separator = b""
            async for exported in export_messages(store, place, head):
                for message in _messages(exported.message):
                    if exported.replaced:
                        message["replaced"] = True
                    yield separator + msgspec.json.encode(message)
                    separator = b","
            yield b"]}"

        name = f"conversation-{place.conversation}.json"
        return StreamingResponse(
            body(),
            media_type="application/json",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    add_endpoint(blueprint, services, "conversations", "conversations", {"GET": list_them})
    add_endpoint(
        blueprint,
        services,
        "conversation",
        _CONVERSATION,
        {"GET": read, "PATCH": rename, "DELETE": delete},
    )
    add_endpoint(blueprint, services, "messages", f"{_CONVERSATION}/messages", {"GET": messages})
    add_endpoint(blueprint, services, "export", f"{_CONVERSATION}/export", {"GET": export})
    return blueprint


def _place(req: Request, services: Services) -> Place:
    caller = authenticate(req, services)
    return Place(caller.owner, identifier(req, "conversationId"))


async def _head(services: Services, place: Place) -> Head:
    head = await services.store.head(place)
    if head is None or head.deleted or not head.next:
        raise NotFound("There is no such conversation.")
    return head


async def _one(services: Services, place: Place) -> dict[str, Any]:
    """One conversation, with the turn that runs in it."""
    store, turns = services.store, services.turns
    view = await store.read(place, 2)
    head = view.head
    if head is None or head.deleted or not head.next:
        raise NotFound("There is no such conversation.")
    conversation = _line(
        Conversation(place.conversation, head.title, head.created, head.updated, head.count)
    )
    if view.answers and (newest := await turns.fresh(place, view.answers[0])).running:
        conversation["runningTurnId"] = newest.turn_id
    return conversation


def _line(item: Conversation) -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.title,
        "createdAt": _time(item.created),
        "updatedAt": _time(item.updated),
        "messageCount": item.count,
    }


def _messages(stored: Question | Answer) -> list[dict[str, Any]]:
    """A stored message as it is shown; what calls gave is one message for each, in their order."""
    if isinstance(stored, Answer):
        return [_answer(stored)]
    if not stored.results:
        return [_shown(stored, "user", stored.text)]
    return [
        _shown(stored, "tool", result.content) | {"toolCallId": result.id}
        for result in stored.results
    ]


def _shown(stored: Question | Answer, role: str, content: str) -> dict[str, Any]:
    return {
        "role": role,
        "content": content,
        "turnId": stored.turn_id,
        "createdAt": _time(stored.created),
    }


def _answer(message: Answer) -> dict[str, Any]:
    shown = _shown(message, "assistant", message.text)
    shown["state"] = "running" if message.running else "ended"
    if not message.running:
        shown["finishReason"] = message.finish_reason
        shown["usage"] = message.usage
    if message.reasoning:
        shown["reasoning"] = message.reasoning
    if cited := next((run for run in message.runs if isinstance(run, Citations)), None):
        if cited.documents:
            shown["citations"] = shown_documents(cited.documents)
        if retrieval := shown_retrieval(cited):
            shown["retrieval"] = retrieval
    if message.calls:
        shown["toolCalls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in message.calls
        ]
    if error := next((run for run in message.runs if isinstance(run, Error)), None):
        shown["error"] = {
            "code": error.code,
            "message": error.message,
            "retryable": error.retryable,
        }
    return shown


def _time(milliseconds: int) -> str:
    """RFC 3339, UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
