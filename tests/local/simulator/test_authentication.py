"""Keys and tokens: what opens, and the answers where nothing does."""

import time
from pathlib import Path

import pytest

from local.identity.tokens import SYSTEM_ASSIGNED, make_token
from local.simulator import Simulator, running_simulator
from tests.local.simulator.support import AZURE_DATED, AZURE_V1, OPENAI, ask, body_of

DATED = AZURE_DATED.format("chat")
NO_CREDENTIAL = {
    "statusCode": 401,
    "message": "Unauthorized. Access token is missing, invalid, audience is incorrect "
    "(https://cognitiveservices.azure.com), or have expired.",
}
WRONG_KEY = {
    "error": {
        "code": "401",
        "message": "Access denied due to invalid subscription key or wrong API endpoint. Make sure "
        "to provide a valid key for an active subscription and use a correct regional API endpoint "
        "for your resource.",
    }
}


def token(audience: str = "https://cognitiveservices.azure.com", lifetime: int = 600) -> str:
    return make_token(audience, SYSTEM_ASSIGNED, int(time.time()) + lifetime)


@pytest.mark.parametrize("path", [AZURE_V1, DATED])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eA=="}, {"api-key": ""}])
async def test_nothing_is_401(simulator: Simulator, path: str, headers: dict[str, str]) -> None:
    reply = await ask(simulator, body_of("Hi"), path=path, headers=headers)
    assert (reply.status, reply.json()) == (401, NO_CREDENTIAL)
    assert (await simulator.requests())[0].authentication.kind == "none"


@pytest.mark.parametrize("path", [AZURE_V1, DATED])
@pytest.mark.parametrize(
    "audience",
    [
        "https://cognitiveservices.azure.com",
        "https://cognitiveservices.azure.com/",
        "https://ai.azure.com",
    ],
)
async def test_tokens_open(simulator: Simulator, path: str, audience: str) -> None:
    headers = {"Authorization": f"Bearer {token(audience)}"}
    reply = await ask(simulator, body_of("Hi"), path=path, headers=headers)
    assert reply.status == 200
    [record] = await simulator.requests()
    assert (record.authentication.kind, record.authentication.audience) == ("token", audience)
    assert record.authentication.client_id == SYSTEM_ASSIGNED.client_id
    assert "authorization" not in {name.lower() for name in record.headers}


@pytest.mark.parametrize("path", [AZURE_V1, DATED])
@pytest.mark.parametrize(
    "wrong", [token("https://storage.azure.com"), token(lifetime=-1), token("")]
)
async def test_tokens_that_do_not_open(simulator: Simulator, path: str, wrong: str) -> None:
    headers = {"Authorization": f"Bearer {wrong}"}
    reply = await ask(simulator, body_of("Hi"), path=path, headers=headers)
    assert (reply.status, reply.json()) == (401, NO_CREDENTIAL)


async def test_a_key_as_bearer_opens_v1_only(simulator: Simulator) -> None:
    headers = {"Authorization": "Bearer k"}
    assert (await ask(simulator, body_of("Hi"), headers=headers)).status == 200
    reply = await ask(simulator, body_of("Hi"), path=DATED, headers=headers)
    assert (reply.status, reply.json()) == (401, NO_CREDENTIAL)


@pytest.mark.parametrize("broken", ["a.b.c", "a.!!!!.c", "a.e3.c", "a.W10.c", "a.b"])
async def test_what_is_no_token_counts_as_key(simulator: Simulator, broken: str) -> None:
    await ask(simulator, body_of("Hi"), headers={"Authorization": f"Bearer {broken}"})
    assert (await simulator.requests())[0].authentication.kind == "key"


async def test_a_configured_key(documents: Path) -> None:
    async with running_simulator(api_key="right", documents=documents) as simulator:
        for path in (AZURE_V1, DATED):
            reply = await ask(simulator, body_of("Hi"), path=path, headers={"api-key": "wrong"})
            assert (reply.status, reply.json()) == (401, WRONG_KEY)
            reply = await ask(simulator, body_of("Hi"), path=path, headers={"api-key": "right"})
            assert reply.status == 200
        bearer = {"Authorization": "Bearer wrong"}
        reply = await ask(simulator, body_of("Hi"), path=OPENAI, headers=bearer)
        assert (reply.status, reply.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_openai_without_a_key(simulator: Simulator) -> None:
    reply = await ask(simulator, body_of("Hi"), path=OPENAI, headers={})
    assert reply.status == 401
    assert reply.json()["error"]["message"].startswith("You didn't provide an API key.")


async def test_tokens_only_and_other_audiences(documents: Path) -> None:
    async with running_simulator(
        require_token=True, audiences=("https://example.org",), documents=documents
    ) as simulator:
        reply = await ask(simulator, body_of("Hi"), headers={"api-key": "k"})
        assert (reply.status, reply.json()["error"]["code"]) == (403, "AuthenticationTypeDisabled")
        headers = {"Authorization": f"Bearer {token()}"}
        assert (await ask(simulator, body_of("Hi"), headers=headers)).status == 401
        headers = {"Authorization": f"Bearer {token('https://example.org')}"}
        assert (await ask(simulator, body_of("Hi"), headers=headers)).status == 200
