"""The page of the shape `direct`: signed in with Entra, its backend at another address."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from playwright.async_api import Browser, Page, expect

from local.certificates import make_certificate
from local.entra import Entra, running_easyauth, running_entra
from local.host import running_host
from local.loopback import serving
from local.ports import free_ports
from local.simulator import Simulator
from local.site import Direct, build
from tests.browser.chat import GUARD_MS, WATCH_POLICY, Chat

ROOT = Path(__file__).resolve().parents[2]
CLIENT_ID = "33333333-3333-3333-3333-333333333333"
SAY = "[simulate: say text=Hello]"


@pytest.fixture(scope="module")
async def entra(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Entra]:
    async with running_entra(make_certificate(tmp_path_factory.mktemp("tls"))) as running:
        yield running


@pytest.fixture(scope="module")
def site_port() -> int:
    """Known before the page is, as the backend has to name its origin."""
    return next(free_ports())


@pytest.fixture(scope="module")
async def api(settings: dict[str, str], site_port: int) -> AsyncIterator[str]:
    """The backend behind App Service authentication, at an address of its own."""
    changes = {
        "CHAT_AUTH": "easyauth",
        "WEBSITE_AUTH_ENABLED": "True",
        "CHAT_ALLOWED_ORIGINS": f"http://127.0.0.1:{site_port}",
    }
    async with (
        running_host(ROOT, env=settings | changes, inherit_env=False) as host,
        running_easyauth(host.url, f"api://{CLIENT_ID}") as url,
    ):
        yield f"{url}/api"


@pytest.fixture(scope="module")
async def site(
    entra: Entra, api: str, site_port: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The page as `python -m local site` makes it, served with the headers that it wants."""
    made = tmp_path_factory.mktemp("site") / "web"
    build(ROOT, made, Direct(api, CLIENT_ID, entra.authority))
    headers = json.loads((made / "staticwebapp.config.json").read_text())["globalHeaders"]

    async def index(request: web.Request) -> web.FileResponse:
        return web.FileResponse(made / "index.html")

    async def say(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    app = web.Application()
    app.on_response_prepare.append(say)
    app.router.add_get("/", index)
    app.router.add_static("/", made)
    async with serving(app, port=site_port) as url:
        yield url


@pytest.fixture
async def page(browser: Browser, model: Simulator) -> AsyncIterator[Page]:
    # The tenant's certificate is this test's own.
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(GUARD_MS)
    await context.add_init_script(WATCH_POLICY)
    yield await context.new_page()
    await context.close()


async def test_one_signs_in_asks_reloads_and_signs_out(
    page: Page, site: str, entra: Entra, api: str
) -> None:
    chat = Chat(page, site)
    await page.goto(site)
    await page.locator("#account").get_by_role("link", name="Sign in").click()
    account = page.locator("#account")
    await expect(account).to_contain_text("alice@example.com")
    assert entra.asked
    assert f"api://{CLIENT_ID}/.default" in entra.asked[-1]

    await chat.box.fill(SAY)
    await chat.send.click()
    await expect(chat.answer).to_have_text("Hello")
    await expect(chat.listed).to_have_count(1)
    assert chat.conversation

    await page.reload()
    await expect(chat.answer).to_have_text("Hello")
    await expect(account).to_contain_text("alice@example.com")

    await account.get_by_role("link", name="Sign out").click()
    await expect(account.get_by_role("link", name="Sign in")).to_be_visible()
    assert not [text for text in chat.complaints if "policy" in text or "CORS" in text]


async def test_who_is_not_signed_in_reads_nothing_and_is_told_how_to_get_in(
    page: Page, site: str
) -> None:
    chat = Chat(page, site)
    await page.goto(site)
    await expect(chat.list).to_contain_text("Sign in to see your conversations.")
    await chat.box.fill(SAY)
    await chat.send.click()
    await expect(page.locator("main").get_by_role("link", name="Sign in")).to_be_visible()


async def test_the_platform_takes_no_made_up_caller_and_no_other_audience(api: str) -> None:
    forged = {"x-ms-client-principal": "eyJhdXRoX3R5cCI6ImFhZCJ9"}
    async with ClientSession() as session:
        async with session.get(f"{api}/conversations", headers=forged) as response:
            assert response.status == 401
        other = {"authorization": "Bearer e30.eyJhdWQiOiJhcGk6Ly9vdGhlciIsImV4cCI6OTk5OTk5OTk5OX0."}
        async with session.get(f"{api}/conversations", headers=other) as response:
            assert response.status == 401
