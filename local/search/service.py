"""The service's REST API, as far as a search needs it, over HTTPS, with bearer tokens only.

https://learn.microsoft.com/rest/api/searchservice/documents/search-post
"""

import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from local.certificates import Certificate
from local.loopback import server_tls, serving
from local.search.filters import BadFilter, matches
from local.simulator.authentication import read_claims
from local.simulator.documents import words_of

INDEX = "documents"
AUDIENCE = "https://search.azure.com"
_RRF = 60


@dataclass(slots=True)
class SearchService:
    """One index, whose fields are those of the documents that it holds."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    """Fields by name; the vector is `embedding`."""
    filterable: frozenset[str] = frozenset()
    fault: int | None = None
    """The status of the next answers, instead of the service's own."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all searches."""
    url: str = ""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/indexes('{index}')/docs/search.post.search", self._search)
        return app

    async def _search(self, request: web.Request) -> web.Response:
        if refused := _refusal(request):
            return refused
        if self.fault is not None:
            return _error(self.fault, "", "Simulated.")
        if request.match_info["index"] != INDEX:
            return _error(404, "", "The index was not found.")
        if not request.query.get("api-version"):
            return _error(400, "", "The api-version query parameter must be specified.")
        body = await request.json()
        self.asked.append(body)
        try:
            found = self._found(body)
        except (BadFilter, KeyError, ValueError) as exc:
            return _error(400, "InvalidRequestParameter", str(exc))
        return web.json_response({"value": found})

    def _found(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        condition = body.get("filter")
        documents = [d for d in self.documents if matches(condition, d, self.filterable)]
        rankings = [_near(documents, query) for query in body.get("vectorQueries") or ()]
        if body.get("search") not in (None, "*"):
            rankings.append(_said(documents, body["search"]))
        if len(rankings) == 1:
            ranked = rankings[0]
        else:
            fused: dict[int, float] = {}
            for ranking in rankings:
                for rank, (number, _) in enumerate(ranking, 1):
                    fused[number] = fused.get(number, 0.0) + 1 / (_RRF + rank)
            ranked = sorted(fused.items(), key=lambda item: -item[1])
        chosen = _selected(body.get("select"), self.documents)
        return [
            {"@search.score": score, **{name: documents[n].get(name) for name in chosen}}
            for n, score in ranked[: body.get("top", 50)]
        ]


def _near(
    documents: Sequence[Mapping[str, Any]], query: Mapping[str, Any]
) -> list[tuple[int, float]]:
    """By cosine, scored as the service does."""
    vector = query["vector"]
    ranked = []
    for number, document in enumerate(documents):
        held = document[query["fields"]]
        if len(held) != len(vector):
            raise ValueError("The dimensions of the vector do not match those of the field.")
        length = math.hypot(*held) * math.hypot(*vector)
        cosine = sum(a * b for a, b in zip(held, vector, strict=True)) / length
        ranked.append((number, 1 / (2 - cosine)))
    ranked.sort(key=lambda item: -item[1])
    return ranked[: query["k"]]


def _said(documents: Sequence[Mapping[str, Any]], text: str) -> list[tuple[int, float]]:
    """By words: as many as are there, and rarer ones count more."""
    asked = words_of(text)
    held = [words_of(f"{d.get('title', '')} {d.get('content', '')}") for d in documents]
    weights = {w: math.log(1 + len(held) / (1 + sum(w in h for h in held))) for w in asked}
    ranked = [(n, sum(weights[w] for w in asked & h)) for n, h in enumerate(held)]
    return sorted((r for r in ranked if r[1] > 0), key=lambda item: -item[1])


def _selected(select: str | None, documents: Sequence[Mapping[str, Any]]) -> list[str]:
    known = {name for document in documents for name in document}
    chosen = [name for name in re.split(r"[,\s]+", select or "") if name]
    if unknown := [name for name in chosen if documents and name not in known]:
        raise ValueError(
            f"Could not find a property named '{unknown[0]}' on type 'search.document'."
        )
    return chosen or sorted(known - {"embedding"})


def _refusal(request: web.Request) -> web.Response | None:
    """The service as it is deployed with keys off: only a token for it opens."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if "api-key" in request.headers or kind.lower() != "bearer":
        return web.Response(status=403)
    claims = read_claims(token) or {}
    if str(claims.get("aud", "")).rstrip("/") != AUDIENCE:
        return web.Response(status=403)
    return None


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


@asynccontextmanager
async def running_search(
    certificate: Certificate, documents: Sequence[Mapping[str, Any]], filterable: Sequence[str] = ()
) -> AsyncIterator[SearchService]:
    """The service while the block runs; clients must trust the certificate."""
    service = SearchService([dict(d) for d in documents], frozenset(filterable))
    async with serving(service.application(), tls=server_tls(certificate)) as url:
        service.url = url
        yield service
