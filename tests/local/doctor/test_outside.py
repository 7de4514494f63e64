"""A running app as its callers meet it: each thing that the doctor can find is brought about."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from local.doctor import outside
from local.doctor.__main__ import parse, run
from local.doctor.findings import Finding
from local.host import Host, running_host
from local.loopback import serving
from local.principal import HEADER, LOCAL_DEVELOPER, encode, principal_proxy
from local.simulator import Simulator, running_simulator
from local.simulator.behaviour import Pace, Say, StatusCode, StreamError
from local.storage import running_storage

ROOT = Path(__file__).resolve().parents[3]
SLOW = (Say(text="one, two, three, four, five, six, seven, eight, nine, ten"), Pace(ms=20))


@pytest.fixture(scope="module")
async def shared_model() -> AsyncIterator[Simulator]:
    async with running_simulator(api_key="k") as running:
        yield running


@pytest.fixture
async def model(shared_model: Simulator) -> Simulator:
    await shared_model.reset()
    await shared_model.script(*SLOW, times=None)
    return shared_model


@pytest.fixture(scope="module")
async def settings(shared_model: Simulator) -> AsyncIterator[dict[str, str]]:
    async with running_storage() as storage:
        yield {
            "AZURE_OPENAI_ENDPOINT": shared_model.url,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "k",
            "CHAT_STORAGE": storage.connection_string,
            "CHAT_AUTH": "staticwebapps",
            "WEBSITE_AUTH_ENABLED": "True",
        }


@pytest.fixture(scope="module")
async def host(settings: dict[str, str]) -> AsyncIterator[Host]:
    async with running_host(ROOT, env=settings, inherit_env=False) as running:
        yield running


@pytest.fixture
async def url(host: Host) -> AsyncIterator[str]:
    """The app behind what says who calls, as in Azure."""
    async with principal_proxy(host.url) as url:
        yield url


async def found(url: str, token: str | None = None) -> list[Finding]:
    return [finding async for finding in outside.examine(url, token, quick=0.0)]


def of(findings: list[Finding], part: str) -> list[tuple[str, str]]:
    return [(finding.state, finding.says) for finding in findings if finding.part == part]


def faults(findings: list[Finding]) -> dict[str, Finding]:
    assert all(finding.advice for finding in findings if finding.state != "ok")
    return {finding.part: finding for finding in findings if finding.state == "fault"}


@asynccontextmanager
async def front(
    behind: str,
    *,
    held: bool = False,
    cut: bool = False,
    trusting: bool = False,
    changed: Callable[[bytes], bytes] = bytes,
    chat: dict[str, object] | None = None,
) -> AsyncIterator[str]:
    """Something between the caller and the app that does one thing wrong.

    `held`: it passes a stream on when it is over. `cut`: it breaks a stream off after its first
    piece. `trusting`: it passes a caller's own principal on. `changed`: what it makes of the
    conversation's JSON. `chat`: what it answers itself instead of a turn.
    """

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in ("accept", "content-type", "authorization", HEADER)
        }
        if HEADER not in headers or not trusting:
            headers[HEADER] = encode(LOCAL_DEVELOPER)
        if chat is not None and request.path == "/api/chat":
            return web.json_response(chat, status=502)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                behind + request.path_qs,
                headers=headers,
                data=await request.read() or None,
            ) as received,
        ):
            kept = {"content-type": received.headers.get("content-type", "text/plain")}
            if received.content_type == "text/event-stream":
                response = web.StreamResponse(status=received.status, headers=kept)
                if held:
                    body = await received.read()
                    await response.prepare(request)
                    await response.write(body)
                    return response
                await response.prepare(request)
                async for piece in received.content.iter_any():
                    await response.write(piece)
                    if cut and request.transport is not None:
                        request.transport.abort()
                        break
                return response
            body = await received.read()
            if request.method == "GET" and "/conversations/" in request.path:
                body = changed(body)
            return web.Response(status=received.status, headers=kept, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    async with serving(app) as url:
        yield url


async def test_nothing_is_wrong(url: str, model: Simulator) -> None:
    findings = await found(url)
    assert faults(findings) == {}
    assert [f.part for f in findings if f.state == "ok"] == [
        *("app", "parts", "turn", "stream", "turn", "clock", "trust")
    ]
    # Behind this proxy everybody is signed in as the developer.
    assert of(findings, "sign-in") == [("warning", "nobody needs to sign in")]


async def test_nothing_is_left_behind(url: str, model: Simulator) -> None:
    await found(url)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/conversations") as got:
        assert (await got.json())["items"] == []


async def test_the_address_of_the_api_will_do(url: str, model: Simulator) -> None:
    assert faults(await found(f"{url}/api/")) == {}


async def test_an_app_that_is_not_there() -> None:
    (finding,) = await found("http://127.0.0.1:9")
    assert (finding.part, finding.state) == ("app", "fault")
    assert "does not answer" in finding.says


async def test_something_else_at_that_address() -> None:
    async with serving(web.Application()) as other:
        (finding,) = await found(other)
    assert finding.says.endswith("/api/health is 404, not 200")
    assert "log tail" in finding.advice


async def test_a_forged_principal_that_is_believed(host: Host, model: Simulator) -> None:
    findings = await found(host.url)  # nothing stands before it
    assert faults(findings)["trust"].says == "a made-up x-ms-client-principal is believed"
    assert "az webapp auth update" in faults(findings)["trust"].advice
    assert of(findings, "sign-in") == [("warning", "who is not signed in is refused (401)")]


async def test_a_front_that_lets_a_made_up_principal_through(host: Host, model: Simulator) -> None:
    async with front(host.url, trusting=True) as url:
        wrong = faults(await found(url))
    assert "changes who a caller is" in wrong["trust"].says


async def test_a_stream_that_is_held_back(host: Host, model: Simulator) -> None:
    async with front(host.url, held=True) as url:
        findings = await found(url)
    wrong = faults(findings)
    assert set(wrong) == {"stream"}
    assert wrong["stream"].says.startswith("all of it came within")
    assert "proxy_buffering off" in wrong["stream"].advice


async def test_a_stream_that_is_broken_off(host: Host, model: Simulator) -> None:
    async with front(host.url, cut=True) as url:
        wrong = faults(await found(url))
    assert wrong["turn"].says == "the stream broke off before its end"
    assert "45 s" in wrong["turn"].advice


async def test_an_answer_too_short_to_tell(url: str, model: Simulator) -> None:
    await model.reset()
    await model.script(Say(text="yes"), times=None)
    findings = await found(url)
    assert faults(findings) == {}
    assert "too quickly to tell" in of(findings, "stream")[0][1]


async def test_a_model_that_refuses_the_app(url: str, model: Simulator) -> None:
    await model.reset()
    await model.script(StatusCode(code=401), times=None)
    wrong = faults(await found(url))
    assert wrong["turn"].says.startswith("model_refused: ")
    assert "names the role and the command" in wrong["turn"].advice


async def test_a_model_that_fails_in_mid_answer(url: str, model: Simulator) -> None:
    await model.reset()
    await model.script(*SLOW, StreamError(after=5), times=None)
    wrong = faults(await found(url))
    assert wrong["turn"].says.startswith("model_")


async def test_an_answer_that_is_not_this_apps(host: Host, model: Simulator) -> None:
    async with front(host.url, chat={"message": "gateway"}) as url:
        wrong = faults(await found(url))
    assert wrong["turn"].says == "status 502: no answer of this app"


async def test_parts_that_are_not_ready(settings: dict[str, str], model: Simulator) -> None:
    env = settings | {"CHAT_MAX_PROMPT_CHARS": "many"}
    async with (
        running_host(ROOT, env=env, inherit_env=False) as host,
        principal_proxy(host.url) as url,
    ):
        wrong = faults(await found(url))
    assert "CHAT_MAX_PROMPT_CHARS must be" in wrong["settings"].says
    assert "python -m local doctor" in wrong["settings"].advice


async def test_a_clock_that_is_wrong(host: Host, model: Simulator) -> None:
    def earlier(body: bytes) -> bytes:
        said = json.loads(body)
        return json.dumps(said | {"updatedAt": "2026-01-01T00:00:00Z"}).encode()

    async with front(host.url, changed=earlier) as url:
        wrong = faults(await found(url))
    assert set(wrong) == {"clock"}
    assert "ahead of the app" in wrong["clock"].says


async def test_a_token_is_shown_to_the_app() -> None:
    shown: list[str | None] = []

    async def note(request: web.Request) -> web.Response:
        shown.append(request.headers.get("authorization"))
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/api/health", note)
    async with serving(app) as url:
        await found(url, "the-token")
    assert shown == ["Bearer the-token"]


@pytest.mark.parametrize("broken", [False, True])
async def test_the_command_tells_and_exits(
    url: str, model: Simulator, broken: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    given = parse(["--url", "http://127.0.0.1:9" if broken else url])
    assert await run(given) == int(broken)
    said = capsys.readouterr().out
    assert ("1 found wrong." if broken else "Nothing is wrong.") in said


async def test_settings_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await asyncio.to_thread((tmp_path / "local.settings.json").write_text, "{")
    assert await run(parse([]), tmp_path) == 2
    assert "not valid JSON" in capsys.readouterr().err


def test_an_address_must_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--url", "chat.example.com"])
    assert "must begin with http" in capsys.readouterr().err
