"""The model service: routes, and the way of one request from its body to its answer."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Never

from aiohttp import web

from local.simulator import errors
from local.simulator.answers import answer_to
from local.simulator.authentication import check_azure, check_mistral, check_openai, identify
from local.simulator.behaviour import Behaviour, FilteredPrompt, Html, StatusCode
from local.simulator.chunks import Azure, Dialect, Header, OpenAI, encode
from local.simulator.directives import take_directives
from local.simulator.documents import Library
from local.simulator.embeddings import Vectors, embeddings_body, read_embeddings
from local.simulator.headers import response_headers
from local.simulator.journal import Entry, Journal
from local.simulator.mistral_chunks import Mistral
from local.simulator.mistral_requests import mistral_by_status, read_mistral_call, too_long
from local.simulator.models import Model
from local.simulator.options import Options
from local.simulator.parts import usage_of
from local.simulator.performance import perform
from local.simulator.playing import Player
from local.simulator.records import Style
from local.simulator.requests import ChatCall, read_call
from local.simulator.script import Holds, Script
from local.simulator.styles import (
    ALIASES_OF,
    CARD,
    check_extra,
    check_version,
    decoded,
    nameless,
    speaks_mistral,
    unknown_model_of,
)
from local.simulator.tokens import count_prompt

_MAX_BODY = 32 * 1024 * 1024
_EMBEDDINGS_PATHS: Mapping[str, Style] = {
    "/openai/v1/embeddings": "azure-v1",
    "/openai/deployments/{deployment}/embeddings": "azure-dated",
    "/models/embeddings": "azure-models",
    "/v1/embeddings": "openai",
    "/mistral/v1/embeddings": "mistral",
}
_KEPT_HEADERS = (
    "accept",
    "extra-parameters",
    "content-type",
    "user-agent",
    "traceparent",
    "idempotency-key",
    "x-ms-client-request-id",
    "x-stainless-retry-count",
)
_HTML = (
    "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n"
    "<center><h1>{code} {reason}</h1></center>\r\n<hr><center>gateway</center>\r\n"
    "</body>\r\n</html>\r\n"
)


type _Answering = Callable[[web.Request, Style, Entry], Awaitable[web.StreamResponse]]


class _Page(Exception):
    """An HTML page instead of the service's own answer."""

    def __init__(self, code: int) -> None:
        super().__init__(f"html {code}")
        self.code = code


@dataclass(frozen=True)
class _Checked:
    """A request that may be answered."""

    call: ChatCall
    model: Model
    deployment: str
    question: str
    behaviours: tuple[Behaviour, ...]
    prompt_tokens: int


class Service:
    """One simulated resource: its options, documents, script, holds and journal."""

    def __init__(self, options: Options, library: Library) -> None:
        self.script = Script()
        self.holds = Holds()
        self.journal = Journal()
        self._options = options
        self._library = library
        self._vectors = Vectors()

    def application(self) -> web.Application:
        """Make the application; the control API is added by `control.add_routes`."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post("/openai/v1/chat/completions", self._azure_v1)
        app.router.add_post("/openai/deployments/{deployment}/chat/completions", self._azure_dated)
        app.router.add_post("/models/chat/completions", self._azure_of_others)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/mistral/v1/chat/completions", self._mistral)
        for path in _EMBEDDINGS_PATHS:
            app.router.add_post(path, self._embeddings)
        app.router.add_get("/openai/v1/models", self._azure_models)
        app.router.add_get("/v1/models", self._openai_models)
        app.router.add_get("/mistral/v1/models", self._mistral_models)
        app.router.add_route("*", "/{path:.*}", self._unknown)
        return app

    async def _azure_v1(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "azure-v1", self._answer)

    async def _azure_dated(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "azure-dated", self._answer)

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "openai", self._answer)

    async def _azure_of_others(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "azure-models", self._answer)

    async def _mistral(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "mistral", self._answer)

    async def _unknown(self, _: web.Request) -> web.StreamResponse:
        return self._error(errors.unknown_path(), "azure-v1")

    async def _azure_models(self, request: web.Request) -> web.StreamResponse:
        return self._models(request, "azure-v1")

    async def _openai_models(self, request: web.Request) -> web.StreamResponse:
        return self._models(request, "openai")

    async def _mistral_models(self, request: web.Request) -> web.StreamResponse:
        return self._models(request, "mistral")

    def _models(self, request: web.Request, style: Style) -> web.StreamResponse:
        authentication, secret = identify(request.headers)
        try:
            if style == "openai":
                check_openai(authentication, secret, self._options)
            elif style == "mistral":
                check_mistral(authentication, secret, self._options)
            else:
                check_azure(authentication, secret, self._options, dated=False, by_header=False)
        except errors.ServiceError as error:
            return self._error(error, style)
        owner = {"openai": "openai", "mistral": "mistralai"}.get(style, "azure")
        more = CARD if style == "mistral" else {}
        data = [
            {"id": name, "object": "model", "created": 1_721_172_741, "owned_by": owner, **more}
            for name in self._options.deployment_names()
        ]
        body = encode({"object": "list", "data": data})
        headers = response_headers(style, self._options.region)
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        assert request.match_info.route.resource is not None
        style = _EMBEDDINGS_PATHS[request.match_info.route.resource.canonical]
        return await self._serve(request, style, self._embed)

    async def _serve(
        self, request: web.Request, style: Style, answer: _Answering
    ) -> web.StreamResponse:
        deployment = request.match_info.get("deployment")
        kept = {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers}
        version = request.query.get("api-version")
        entry = self.journal.open(style, deployment, version, kept)
        try:
            return await answer(request, style, entry)
        except errors.ServiceError as error:
            entry.finish(f"status {error.status}")
            return self._error(error, style)
        except _Page as page:
            entry.finish(str(page))
            reason = "Bad Gateway" if page.code == 502 else "Simulated"
            text = _HTML.format(code=page.code, reason=reason)
            return web.Response(status=page.code, text=text, content_type="text/html")
        except (asyncio.CancelledError, ConnectionError):
            entry.abort()
            raise

    async def _embed(self, request: web.Request, style: Style, entry: Entry) -> web.StreamResponse:
        raw = await request.read()
        self.journal.keep_body(entry, raw)
        self._check_caller(request, style, entry)
        body = decoded(raw, style)
        named, model = self._model(style, entry, body)
        call = read_embeddings(body, model)
        behaviours = self.script.take(named, "\n".join(call.texts))
        player = Player(request, entry, self.holds, perform(self._options, model, behaviours))
        await player.before_headers()
        _refuse(behaviours, style)
        entry.finish("stop")
        return web.Response(
            body=encode(embeddings_body(call, await self._vectors.of(call, model), model.name)),
            content_type="application/json",
            headers=response_headers(style, self._options.region, named),
        )

    async def _answer(self, request: web.Request, style: Style, entry: Entry) -> web.StreamResponse:
        raw = await request.read()
        self.journal.keep_body(entry, raw)
        checked = self._check(request, style, entry, raw)
        performance = perform(self._options, checked.model, checked.behaviours)
        player = Player(request, entry, self.holds, performance)
        await player.before_headers()
        _refuse(checked.behaviours, style)
        answer = answer_to(
            checked.call, checked.question, checked.behaviours, checked.model, self._library
        )
        usage = usage_of(answer, checked.prompt_tokens, checked.call.choices)
        header = Header(
            id=f"chatcmpl-{secrets.token_urlsafe(21)}",
            created=int(time.time()),
            model=checked.model.name,
            include_usage=checked.call.include_usage,
            obfuscate=checked.call.include_obfuscation,
            filter_apart=performance.filter_apart and style != "openai",
            filtered=performance.filtered,
            choices=checked.call.choices,
            top_logprobs=checked.call.top_logprobs,
        )
        dialect: Dialect
        if speaks_mistral(style, checked.model):
            dialect = Mistral(header)
        else:
            dialect = OpenAI(header) if style == "openai" else Azure(header)
        headers = response_headers(style, self._options.region, checked.deployment)
        if not checked.call.stream:
            response = await player.whole(answer, dialect, header, usage)
            response.headers.update(headers)
            return response
        headers["Content-Type"] = "text/event-stream; charset=utf-8"
        stream = web.StreamResponse(headers=headers)
        stream.enable_chunked_encoding()
        await player.stream(stream, answer, dialect, header, usage)
        return stream

    def _check(self, request: web.Request, style: Style, entry: Entry, raw: bytes) -> _Checked:
        self._check_caller(request, style, entry)
        body = decoded(raw, style)
        named, model = self._model(style, entry, body)
        if model.dimensions:
            raise errors.no_chat(model.name)
        of_mistral = speaks_mistral(style, model)
        if style == "azure-models":
            check_extra(request, body)
        call = read_mistral_call(body, model) if of_mistral else read_call(body, model)
        try:
            question, directives = take_directives(call.last_user_text())
        except ValueError as exc:
            raise errors.openai_error(
                str(exc), param="messages", code="simulator_directive"
            ) from exc
        prompt_tokens = count_prompt(message.text for message in call.messages)
        if prompt_tokens + (call.limit or 0) > model.context_window:
            if of_mistral:
                raise too_long(model.context_window, prompt_tokens)
            raise errors.context_length(model.context_window, prompt_tokens, call.limit or 0)
        scripted = self.script.take(named, call.last_user_text())
        return _Checked(call, model, named, question, (*directives, *scripted), prompt_tokens)

    def _model(self, style: Style, entry: Entry, body: Mapping[str, Any]) -> tuple[str, Model]:
        """The deployment that is asked, and what it has."""
        named = entry.deployment or body.get("model")
        if not isinstance(named, str) or not named:
            raise nameless(style)
        entry.deployment = named
        model = self._options.model(named) or ALIASES_OF[style].get(named)
        if model is None:
            raise unknown_model_of(style, named)
        return named, model

    def _check_caller(self, request: web.Request, style: Style, entry: Entry) -> None:
        entry.authentication, secret = identify(request.headers)
        if style == "openai":
            check_openai(entry.authentication, secret, self._options)
            return
        if style == "mistral":
            check_mistral(entry.authentication, secret, self._options)
            return
        dated = style == "azure-dated"
        if dated or style == "azure-models":
            check_version(request.query.get("api-version"))
        by_header = "api-key" in request.headers
        check_azure(entry.authentication, secret, self._options, dated=dated, by_header=by_header)

    def _error(self, error: errors.ServiceError, style: Style) -> web.Response:
        return web.Response(
            status=error.status,
            body=encode(error.body),
            content_type="application/json",
            headers=response_headers(style, self._options.region) | error.headers,
        )


def _refuse(behaviours: Sequence[Behaviour], style: Style) -> None:
    """Raise what a directive asks for instead of an answer; the last one counts."""
    for behaviour in reversed(behaviours):
        match behaviour:
            case StatusCode():
                _raise_status(behaviour, style)
            case Html(code=code):
                raise _Page(code)
            case FilteredPrompt(category=category):
                raise errors.filtered_prompt(category)


def _raise_status(wanted: StatusCode, style: Style) -> Never:
    if style == "mistral":
        error = mistral_by_status(wanted.code)
    else:
        error = errors.by_status(wanted.code, wanted.retry_after or 1)
    if wanted.retry_after is not None:
        error.headers["retry-after"] = f"{wanted.retry_after:g}"
    if wanted.retry_after_ms is not None:
        error.headers["retry-after-ms"] = f"{wanted.retry_after_ms:g}"
    raise error
