"""What is wrong with the parts: each thing that the doctor can find is brought about."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from local.certificates import Certificate, make_certificate
from local.doctor import inside
from local.doctor.findings import Finding
from local.identity import Identity, IdentityFault, running_identity
from local.loopback import server_tls, serving
from local.simulator import Simulator, running_simulator
from local.simulator.behaviour import Behaviour, Hold, StatusCode
from local.storage import Storage, running_storage
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
async def storage() -> AsyncIterator[Storage]:
    async with running_storage() as running:
        yield running


@pytest.fixture(scope="module")
async def shared_model() -> AsyncIterator[Simulator]:
    async with running_simulator(api_key="k") as running:
        yield running


@pytest.fixture
async def model(shared_model: Simulator) -> Simulator:
    await shared_model.reset()
    return shared_model


@pytest.fixture
def settings(model: Simulator, storage: Storage) -> dict[str, str]:
    return {
        "AZURE_OPENAI_ENDPOINT": model.url,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
        "AZURE_OPENAI_API_KEY": "k",
        "CHAT_STORAGE": storage.connection_string,
        "CHAT_AUTH": "anonymous",
    }


async def found(
    settings: dict[str, str], folder: Path = ROOT, patience: float = 20.0
) -> list[Finding]:
    examining = inside.examine(Settings(settings), folder, patience=patience)
    return [finding async for finding in examining]


def faults(findings: list[Finding]) -> dict[str, Finding]:
    wrong = [finding for finding in findings if finding.state == "fault"]
    assert len({finding.part for finding in wrong}) == len(wrong), wrong
    assert all(finding.advice for finding in wrong)
    return {finding.part: finding for finding in wrong}


async def test_nothing_is_wrong(settings: dict[str, str], model: Simulator) -> None:
    findings = await found(settings)
    assert [(f.part, f.state) for f in findings if f.state == "fault"] == []
    assert [f.part for f in findings] == ["settings", "model", "store", "store", "clock"]
    asked = [record for record in await model.requests() if record.body]
    assert [record.body["max_completion_tokens"] for record in asked] == [16]


async def test_what_it_wrote_is_gone(settings: dict[str, str]) -> None:
    from shared.services import Services

    await found(settings)
    services = Services(Settings(settings), ROOT)
    try:
        assert await services.rows.page(inside.PROBE, "!", "z", 10) == []
    finally:
        await services.aclose()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CHAT_AUTH", "nobody", "CHAT_AUTH must be"),
        ("CHAT_MAX_BODY_BYTES", "x", "CHAT_MAX_BODY_BYTES must be"),
        ("AZURE_OPENAI_ENDPOINT", "", "AZURE_OPENAI_ENDPOINT is missing"),
        ("CHAT_CONNECTIONS", "OTHER", "OTHER__endpoint is missing"),
        ("CHAT_TELEMETRY", "perhaps", "CHAT_TELEMETRY must be"),
    ],
)
async def test_a_wrong_setting(settings: dict[str, str], name: str, value: str, says: str) -> None:
    wrong = faults(await found(settings | {name: value}))
    assert says in wrong["settings"].says
    assert "README" in wrong["settings"].advice


async def test_a_setting_that_is_missing_for_the_model_or_the_store(
    settings: dict[str, str],
) -> None:
    wrong = faults(await found(settings | {"CHAT_STORAGE": "nonsense"}))
    assert "CHAT_STORAGE" in wrong["settings"].says
    without = faults(await found(settings | {"AZURE_OPENAI_CHAT_DEPLOYMENT": ""}))
    assert "AZURE_OPENAI_CHAT_DEPLOYMENT is missing" in without["settings"].says


@pytest.mark.parametrize(
    ("behaviour", "says", "advice"),
    [
        (StatusCode(code=401), "", "AZURE_OPENAI_API_KEY"),
        (StatusCode(code=404), "", "deployment"),
        (StatusCode(code=429), "", "quota"),
        (StatusCode(code=503), "", "curl -i"),
    ],
)
async def test_a_model_that_does_not_answer(
    settings: dict[str, str], model: Simulator, behaviour: Behaviour, says: str, advice: str
) -> None:
    await model.script(behaviour, times=None)
    wrong = faults(await found(settings))
    assert set(wrong) == {"model"}
    assert says in wrong["model"].says
    assert advice in wrong["model"].advice


async def test_a_model_that_is_silent(settings: dict[str, str], model: Simulator) -> None:
    await model.script(Hold(), times=None)
    wrong = faults(await found(settings, patience=0.2))
    assert wrong["model"].says == "chat said nothing for 0.2 s"


async def test_a_model_that_is_not_there(settings: dict[str, str]) -> None:
    wrong = faults(await found(settings | {"AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9"}))
    assert "cannot be reached" in wrong["model"].says
    assert "curl -i http://127.0.0.1:9" in wrong["model"].advice


async def test_a_store_that_refuses_the_key(settings: dict[str, str], storage: Storage) -> None:
    key = storage.connection_string.partition("AccountKey=")[2].partition(";")[0]
    wrong_key = storage.connection_string.replace(key, "d3Jvbmc=")
    wrong = faults(await found(settings | {"CHAT_STORAGE": wrong_key}))
    assert "refuses the key" in wrong["store"].says
    assert "show-connection-string" in wrong["store"].advice


async def test_retrieval_that_does_not_work(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "actions.json").write_text(
        '{"default": {"title": "Chat", "retrieval": {"retriever": "DOCS"}}}'
    )
    more = {
        "CHAT_RETRIEVERS": "DOCS",
        "DOCS__host": "127.0.0.1",
        "DOCS__port": "9",
        "DOCS__database": "d",
        "DOCS__user": "u",
        "DOCS__password": "p",
        "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": "embedding",
    }
    wrong = faults(await found(settings | more, tmp_path))
    assert set(wrong) == {"retrieval"}
    assert "docs/retrieval.md" in wrong["retrieval"].advice


@asynccontextmanager
async def refusing(tls: ssl.SSLContext | None, date: str | None = None) -> AsyncIterator[str]:
    """A service that lets nobody in; `date` is what its clock says."""

    async def refuse(request: web.Request) -> web.Response:
        headers = {"date": date} if date else {}
        return web.json_response({"odata.error": {"code": "x"}}, status=403, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    async with serving(app, tls=tls) as url:
        yield url


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
async def identity() -> AsyncIterator[Identity]:
    async with running_identity() as running:
        yield running


def doctor(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The command itself: how it trusts a certificate comes from a process's environment."""
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    command = [sys.executable, "-m", "local.doctor"]
    return subprocess.run(
        command, cwd=ROOT, env=clean | env, capture_output=True, text=True, timeout=60
    )


async def in_a_thread(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(doctor, env)


async def test_an_identity_that_lacks_its_roles(
    identity: Identity, certificate: Certificate
) -> None:
    async with (
        refusing(server_tls(certificate)) as model,
        refusing(server_tls(certificate)) as store,
    ):
        env = {
            "AZURE_OPENAI_ENDPOINT": model,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI__credential": "managedidentity",
            "CHAT_STORAGE__tableServiceUri": store,
            "CHAT_STORAGE__credential": "managedidentity",
            **identity.env(),
            **certificate.env(),
        }
        done = await in_a_thread(env)
    assert done.returncode == 1, done.stdout + done.stderr
    for role in ("Cognitive Services OpenAI User", "Storage Table Data Contributor"):
        assert f'az role assignment create --assignee PRINCIPAL_ID --role "{role}"' in done.stdout
    assert "2 found wrong." in done.stdout
    assert "ok     identity" in done.stdout


async def test_an_identity_that_gets_no_token(identity: Identity) -> None:
    await identity.script(IdentityFault(status=400, times=100))
    env = {
        "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
        "AZURE_OPENAI__credential": "managedidentity",
        "CHAT_STORAGE": "UseDevelopmentStorage=true",
        **identity.env(),
    }
    done = await in_a_thread(env)
    assert done.returncode == 1
    assert "FAULT  identity" in done.stdout
    assert "az functionapp identity assign" in done.stdout


@pytest.mark.parametrize(
    ("date", "state"),
    [("Thu, 01 Jan 2026 00:00:00 GMT", "fault"), ("no time", "ok"), (None, "ok")],
)
async def test_a_clock_that_is_wrong(date: str | None, state: str) -> None:
    async with refusing(None, date) as url:
        finding = await inside._clock(url)
    assert (finding.part, finding.state) == ("clock", state)
    if state == "fault":
        assert "ahead of the store" in finding.says
        assert "timedatectl" in finding.advice


async def test_a_store_that_tells_no_time_at_all() -> None:
    assert (await inside._clock("http://127.0.0.1:9")).says == "the store tells no time"
