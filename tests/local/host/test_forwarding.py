"""Requests and responses through the front, byte for byte and chunk by chunk."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from local.host import Host, running_host


async def test_request_reaches_the_function(host: Host, client: aiohttp.ClientSession) -> None:
    response = await client.post(
        f"{host.url}/api/echo/A%20b/7?q=1&q=%2B",
        data=b"hello",
        headers=[
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("x-ms-invocation-id", "forged"),
            ("x-forwarded-for", "forged"),
            ("connection", "x-private"),
            ("x-private", "between us"),
        ],
    )
    echo = await response.json()
    assert echo["method"] == "POST"
    assert echo["path"] == "/api/echo/A b/7"
    assert echo["query"] == "q=1&q=%2B"
    assert echo["params"] == {"name": "A b", "number": "7"}
    assert echo["body"] == "hello"
    headers = [tuple(item) for item in echo["headers"]]
    assert [value for name, value in headers if name == "x-twice"] == ["1", "2"]
    assert ("content-length", "5") in headers
    assert ("x-forwarded-for", "127.0.0.1") in headers
    assert ("x-forwarded-host", host.url.removeprefix("http://")) in headers
    (invocation,) = [value for name, value in headers if name == "x-ms-invocation-id"]
    assert invocation != "forged"
    assert "x-private" not in dict(headers)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_methods(host: Host, client: aiohttp.ClientSession, method: str) -> None:
    response = await client.request(method, f"{host.url}/api/echo/x")
    assert (await response.json())["method"] == method


async def test_head(host: Host, client: aiohttp.ClientSession) -> None:
    response = await client.head(f"{host.url}/api/bare/200")
    assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize("status", [200, 204, 304, 418, 503])
async def test_response_is_passed_as_it_is(
    host: Host, client: aiohttp.ClientSession, status: int
) -> None:
    response = await client.get(f"{host.url}/api/bare/{status}")
    assert response.status == status
    assert await response.read() == b""
    assert response.headers.getall("set-cookie") == ["a=1", "b=2"]
    assert "content-type" not in response.headers
    assert "transfer-encoding" not in response.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/nowhere"),
        ("GET", "/api/no%0Awhere"),
        ("GET", "/who"),
        ("POST", "/api/who"),
        ("HEAD", "/api/who"),
        ("TRACE", "/api/who"),
    ],
)
async def test_no_such_route(
    host: Host, client: aiohttp.ClientSession, method: str, path: str
) -> None:
    response = await client.request(method, URL(host.url + path, encoded=True))
    assert (response.status, await response.read()) == (404, b"")
    assert "content-type" not in response.headers


async def test_stream_arrives_chunk_by_chunk(host: Host, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{host.url}/api/stream") as response:
        assert response.content_type == "text/event-stream"
        for number in range(3):
            assert await response.content.readany() == b"%d" % number
            await client.post(f"{host.url}/api/allow")


async def test_upload_arrives_chunk_by_chunk(host: Host, client: aiohttp.ClientSession) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await client.get(f"{host.url}/api/seen/upload")
        yield b"second"

    response = await client.post(f"{host.url}/api/upload", data=body())
    assert (await response.json())["size"] == len("firstsecond")


async def test_big_bodies(host: Host, client: aiohttp.ClientSession) -> None:
    block = bytes(range(256)) * 256

    async def body() -> AsyncIterator[bytes]:
        for _ in range(128):
            yield block

    response = await client.post(f"{host.url}/api/upload", data=body())
    answer = await response.json()
    assert answer["size"] == 128 * len(block)
    assert answer["sha256"] == hashlib.sha256(block * 128).hexdigest()
    response = await client.get(f"{host.url}/api/download/8388608")
    assert response.headers["content-length"] == "8388608"
    assert len(await response.read()) == 8388608


async def test_refusal_before_the_upload_has_ended(
    host: Host, client: aiohttp.ClientSession
) -> None:
    refused = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await refused.wait()

    async with client.post(f"{host.url}/api/refuse", data=body()) as response:
        assert response.status == 413
        refused.set()


async def test_leaving_cancels_in_the_app(host: Host, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{host.url}/api/stream") as response:
        await response.content.readany()
        response.close()
    response = await client.get(f"{host.url}/api/seen/left")
    assert response.status == 204


async def test_exception_is_a_bare_500(host: Host, client: aiohttp.ClientSession) -> None:
    response = await client.get(f"{host.url}/api/raises")
    assert response.status == 500
    assert "there is no such thing" not in await response.text()


async def test_exception_in_mid_stream_breaks_the_response(
    host: Host, client: aiohttp.ClientSession
) -> None:
    response = await client.get(f"{host.url}/api/breaks")
    assert await response.content.readany() == b"so far"
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


async def test_idle_limit(sample_app: Path, client: aiohttp.ClientSession) -> None:
    limit = 0.5
    async with running_host(sample_app, inherit_env=False, idle_limit=limit, grace=0.2) as host:
        silent = await client.get(f"{host.url}/api/silent")
        assert silent.status == 504
        response = await client.get(f"{host.url}/api/stream")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() - begun < 2 * limit:
            assert await response.content.readany()
            await client.post(f"{host.url}/api/allow")
        assert await response.content.readany()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
        left = await client.get(f"{host.url}/api/seen/left")
        assert left.status in (204, 504)
        assert any("nothing happened for 0.5 s" in line for line in host.logs)
