"""The admin routes: status, plugs to pull, and timers to run."""

import aiohttp
import pytest

from local.host import Host


async def test_status(pair: Host, client: aiohttp.ClientSession) -> None:
    await pair.ready()
    status = await (await client.get(f"{pair.url}/admin/host/status")).json()
    assert status["state"] == "Running"
    assert status["workers"] == [
        {"index": index, "pid": pid, "ready": True} for index, pid in enumerate(pair.workers)
    ]
    assert {"name": "tick", "trigger": "timerTrigger"} in status["functions"]


@pytest.mark.parametrize("verb", ["kill", "terminate"])
async def test_ending_a_worker(pair: Host, client: aiohttp.ClientSession, verb: str) -> None:
    await pair.ready()
    old, other = pair.workers
    response = await client.post(f"{pair.url}/admin/workers/0/{verb}")
    assert response.status == 204
    await pair.ready()
    assert pair.workers[0] != old
    assert pair.workers[1] == other


@pytest.mark.parametrize("verb", ["kill", "terminate"])
async def test_unknown_worker(pair: Host, client: aiohttp.ClientSession, verb: str) -> None:
    response = await client.post(f"{pair.url}/admin/workers/2/{verb}")
    assert response.status == 404
    assert (await response.json())["error"] == "there is no worker 2; the indexes are 0 to 1"


async def test_running_a_timer(host: Host, client: aiohttp.ClientSession) -> None:
    response = await client.post(f"{host.url}/admin/functions/Tick")
    assert response.status == 202
    assert (await client.get(f"{host.url}/api/seen/tick")).status == 204


@pytest.mark.parametrize(("name", "status"), [("who", 400), ("nobody", 404)])
async def test_no_timer(host: Host, client: aiohttp.ClientSession, name: str, status: int) -> None:
    assert (await client.post(f"{host.url}/admin/functions/{name}")).status == status


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"host": "10.0.0.1:80"}, {"origin": "http://localhost"}]
)
async def test_not_for_web_pages(
    host: Host, client: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    response = await client.get(f"{host.url}/admin/host/status", headers=headers)
    assert response.status == 403


@pytest.mark.parametrize("name", ["localhost:7071", "127.0.0.1", "[::1]:80"])
async def test_loopback_names(host: Host, client: aiohttp.ClientSession, name: str) -> None:
    response = await client.get(f"{host.url}/admin/host/status", headers={"host": name})
    assert response.status == 200


async def test_admin_routes_that_do_not_exist(host: Host, client: aiohttp.ClientSession) -> None:
    assert (await client.get(f"{host.url}/admin/workers/0/kill")).status == 404
