"""Searches by Azure AI Search's own SDK, with a managed identity, over TLS."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.certificates import make_certificate
from local.identity import running_identity
from local.ports import free_ports
from local.search import INDEX, SearchService, running_search
from local.simulator.vectors import vector_of
from shared.errors import Misconfigured
from shared.retrieval.azure_search import odata
from shared.settings import SearchSettings, Settings
from tests.retrieval.servers import DIMENSIONS, Servers

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    "hours": "The office opens at nine and closes at five.",
    "rooms": "The large room holds twenty people, the small room holds six.",
    "code": "Error E4711 means that the printer has no paper.",
}
FIELDS: dict[str, dict[str, Any]] = {
    "hours": {"kind": "guide", "level": 1, "open": True},
    "rooms": {"kind": "it's", "level": 2, "open": False},
    "code": {"kind": "guide", "level": 2, "open": False},
}


@dataclass(slots=True)
class Probe:
    """The process that searches, and the service that it asks."""

    process: asyncio.subprocess.Process
    service: SearchService

    async def ask(self, **query: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(query).encode() + b"\n")
        return json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60))

    async def ids(self, **query: Any) -> list[str]:
        return [found[0] for found in await self.ask(**query)]


@pytest.fixture(scope="module")
async def probe(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Probe]:
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    documents = [
        {
            "id": id,
            "title": id,
            "url": f"https://x/{id}",
            "content": text,
            "embedding": vector_of(text, DIMENSIONS),
            **FIELDS[id],
        }
        for id, text in TEXTS.items()
    ]
    filterable = ("kind", "level", "open")
    async with (
        running_identity() as identity,
        running_search(certificate, documents, filterable) as service,
    ):
        settings = servers.environment("none") | {
            "CHAT_RETRIEVERS": "S LOST OTHER NOBODY DOWN",
            **_settings("S", service.url),
            **_settings("LOST", service.url, index="elsewhere"),
            **_settings("OTHER", service.url, titleColumn="name"),
            **_settings("NOBODY", service.url, clientId="not-there"),
            **_settings("DOWN", f"https://127.0.0.1:{next(free_ports())}"),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.retrieval.search_probe", json.dumps(settings)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **identity.env(), **certificate.env()},
        )
        yield Probe(process, service)
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0
        resources = {request.resource for request in await identity.requests()}
        assert resources == {"https://search.azure.com"}


def _settings(name: str, url: str, **more: str) -> dict[str, str]:
    given = {
        "kind": "azure_search",
        "endpoint": url,
        "index": INDEX,
        "credential": "managedidentity",
        "dimensions": str(DIMENSIONS),
    }
    return {f"{name}__{part}": value for part, value in (given | more).items()}


async def test_what_comes_back(probe: Probe) -> None:
    text = "opening of the office"
    (found, *others) = await probe.ask(text=text, top_k=3, mode="vector")
    assert found[:4] == ["hours", "hours", "https://x/hours", TEXTS["hours"]]
    asked, held = vector_of(text, DIMENSIONS), vector_of(TEXTS["hours"], DIMENSIONS)
    assert found[4] == pytest.approx(sum(a * b for a, b in zip(asked, held, strict=True)))
    assert len(others) == 2
    body = probe.service.asked[-1]
    assert body["select"] == "id,content,title,url"
    assert body.get("search") is None


async def test_by_words_and_by_both(probe: Probe) -> None:
    assert await probe.ids(text="E4711", top_k=3, mode="text") == ["code"]
    found = await probe.ask(text="when does the office open", top_k=2)
    assert (found[0][0], found[0][4]) == ("hours", pytest.approx(1.0))
    assert len(found) == 2
    assert probe.service.asked[-1]["vectorQueries"][0]["k"] == 50


async def test_the_least_score(probe: Probe) -> None:
    query = {"text": "large room", "top_k": 3, "min_score": 0.3}
    assert await probe.ids(**query, mode="vector") == ["rooms"]
    refused = await probe.ask(**query)
    assert refused["code"] == "misconfigured"
    assert "mode vector only" in refused["message"]


@pytest.mark.parametrize(
    ("wanted", "right"),
    [
        ({"kind": "guide"}, {"hours", "code"}),
        ({"kind": ["guide", "it's"]}, {"hours", "rooms", "code"}),
        ({"kind": "guide", "level": 2}, {"code"}),
        ({"open": True}, {"hours"}),
        ({"kind": "it's"}, {"rooms"}),
        ({"kind": []}, set()),
        ({"kind": "x' or kind eq 'guide"}, set()),
    ],
)
async def test_a_filter(probe: Probe, wanted: dict[str, Any], right: set[str]) -> None:
    assert set(await probe.ids(text="the office", top_k=5, filter=wanted)) == right


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"retriever": "LOST"}, "misconfigured", "LOST__index: the service has no index elsewhere"),
        ({"retriever": "OTHER"}, "misconfigured", "names of its fields"),
        ({"retriever": "DOWN"}, "retrieval_unavailable", "look at DOWN__endpoint"),
        ({"retriever": "NOBODY"}, "retrieval_unavailable", "Look at NOBODY__credential"),
        ({"filter": {"secret": "x"}}, "misconfigured", "filterable"),
    ],
)
async def test_a_mistake_of_the_set_up(
    probe: Probe, query: Mapping[str, Any], code: str, words: str
) -> None:
    told = await probe.ask(text="office", top_k=2, **query)
    assert told["code"] == code
    assert words in told["message"]


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "misconfigured", "Search Index Data Reader"),
        (429, "retrieval_unavailable", "S__endpoint"),
        (503, "retrieval_unavailable", "S__endpoint"),
    ],
)
async def test_what_the_service_answers(probe: Probe, status: int, code: str, words: str) -> None:
    probe.service.fault = status
    try:
        told = await probe.ask(text="office", top_k=2)
        assert (told["code"], words in told["message"]) == (code, True)
        assert (await probe.ask(ready=True))["code"] == code
    finally:
        probe.service.fault = None
    assert await probe.ask(ready=True) == []


async def test_whatever_is_looked_for(probe: Probe) -> None:
    for text in ("", " ", "\0", "\ud800x", "* OR 1", '"', "办公室", "x" * 3000):
        found = await probe.ask(text=text, top_k=2)
        assert isinstance(found, list), found


def test_a_filter_is_quoted() -> None:
    assert odata({"a": "it's", "b": (1, 2.5, True)}) == (
        "(a eq 'it''s') and (b eq 1 or b eq 2.5 or b eq true)"
    )
    assert odata({"a": ()}) == "(false)"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"S__endpoint": ""}, "S__endpoint is missing"),
        ({"S__endpoint": "nowhere"}, "must be an address"),
        ({"S__index": ""}, "S__index is missing"),
        ({"S__index": "A/B"}, "must be an index's name"),
        ({"S__contentColumn": "a b"}, "S__contentColumn must be a name"),
        ({"S__kind": "other"}, "postgresql, azure_search"),
    ],
)
def test_settings(changed: dict[str, str], words: str) -> None:
    settings = {"CHAT_RETRIEVERS": "S", **_settings("S", "https://x.search.windows.net"), **changed}
    with pytest.raises(Misconfigured, match=words):
        Settings(settings).retriever("S")


def test_fields_of_ones_own() -> None:
    names = {"S__titleColumn": "-", "S__contentColumn": "chunk"}
    settings = {"CHAT_RETRIEVERS": "S", **_settings("S", "https://x.search.windows.net"), **names}
    retriever = Settings(settings).retriever("S")
    assert isinstance(retriever, SearchSettings)
    assert (retriever.columns.title, retriever.columns.content) == (None, "chunk")
