"""Tokens shared by all who want one: over HTTP, and by a clock that tests move."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from local.identity import Identity, IdentityFault, running_identity
from shared.identity.credentials import credential
from shared.identity.tokens import MAX_SCOPES, IdentityUnavailable, SharedTokens
from shared.settings import IdentitySettings

SCOPE = "https://storage.azure.com/.default"


class Authority:
    """A credential whose answers tests let through one by one."""

    def __init__(self, life: int = 3600) -> None:
        self.now = 1000.0
        self.life = life
        self.asked: list[tuple[str, ...]] = []
        self.failure: Exception | None = None
        self.closed = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked.append(scopes)
        self.arrived.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return AccessToken(f"token {len(self.asked)}", int(self.now) + self.life)

    async def close(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> "Authority":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def tokens(self) -> SharedTokens:
        return SharedTokens(lambda: self, "Look there.", clock=lambda: self.now)


async def settled() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def authority() -> Authority:
    return Authority()


async def test_one_request_for_all_who_wait(authority: Authority) -> None:
    authority.gate.clear()
    async with authority.tokens() as tokens:
        waiting = [asyncio.create_task(tokens.token(SCOPE)) for _ in range(20)]
        await authority.arrived.wait()
        authority.gate.set()
        assert set(await asyncio.gather(*waiting)) == {"token 1"}
        assert await tokens.token(SCOPE) == "token 1"
    assert authority.asked == [(SCOPE,)]
    assert authority.closed == 1


async def test_each_scope_has_its_own_and_few_are_kept(authority: Authority) -> None:
    async with authority.tokens() as tokens:
        assert await tokens.token("a") != await tokens.token("b")
        for number in range(MAX_SCOPES):
            await tokens.token(str(number))
        asked = len(authority.asked)
        await tokens.token("a")
        assert len(authority.asked) == asked + 1


async def test_a_caller_who_leaves_leaves_the_request_to_the_others(authority: Authority) -> None:
    authority.gate.clear()
    async with authority.tokens() as tokens:
        leaving, staying = (asyncio.create_task(tokens.token(SCOPE)) for _ in range(2))
        await authority.arrived.wait()
        leaving.cancel()
        await settled()
        assert leaving.cancelled()
        authority.gate.set()
        assert await staying == "token 1"
    assert len(authority.asked) == 1


@pytest.mark.parametrize(
    "failure", [ClientAuthenticationError("secret"), ServiceRequestError("secret"), OSError("x")]
)
async def test_a_failure_reaches_all_who_wait_and_is_not_kept(
    authority: Authority, failure: Exception
) -> None:
    authority.gate.clear()
    authority.failure = failure
    async with authority.tokens() as tokens:
        waiting = [asyncio.create_task(tokens.token(SCOPE)) for _ in range(3)]
        await authority.arrived.wait()
        authority.gate.set()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, IdentityUnavailable)
            assert result.message == "Look there."
        authority.failure = None
        assert await tokens.token(SCOPE) == "token 2"


async def test_a_token_is_renewed_while_callers_go_on_with_the_old_one(
    authority: Authority,
) -> None:
    async with authority.tokens() as tokens:
        await tokens.token(SCOPE)
        authority.now += 3600 - 301
        assert await tokens.token(SCOPE) == "token 1"
        assert len(authority.asked) == 1
        authority.now += 2
        authority.gate.clear()
        authority.arrived.clear()
        assert [await tokens.token(SCOPE) for _ in range(3)] == ["token 1"] * 3
        await authority.arrived.wait()
        assert len(authority.asked) == 2
        authority.gate.set()
        await settled()
        assert await tokens.token(SCOPE) == "token 2"


async def test_a_renewal_that_fails_is_tried_again_later_and_harms_nobody(
    authority: Authority,
) -> None:
    async with authority.tokens() as tokens:
        await tokens.token(SCOPE)
        authority.now += 3600 - 200
        authority.failure = ServiceRequestError("secret")
        for _ in range(3):
            assert await tokens.token(SCOPE) == "token 1"
            await settled()
        assert len(authority.asked) == 2
        authority.now += 31
        authority.failure = None
        assert await tokens.token(SCOPE) == "token 1"
        await settled()
        assert await tokens.token(SCOPE) == "token 3"


async def test_a_token_at_its_end_is_not_given_out(authority: Authority) -> None:
    async with authority.tokens() as tokens:
        await tokens.token(SCOPE)
        authority.now += 3600 - 59
        assert await tokens.token(SCOPE) == "token 2"


async def test_short_lived_tokens_are_not_fetched_for_every_call() -> None:
    authority = Authority(life=120)
    async with authority.tokens() as tokens:
        for _ in range(5):
            await tokens.token(SCOPE)
            await settled()
    assert len(authority.asked) == 1


async def test_closing_ends_the_waiting_with_a_reason(authority: Authority) -> None:
    authority.gate.clear()
    tokens = authority.tokens()
    waiting = asyncio.create_task(tokens.token(SCOPE))
    await authority.arrived.wait()
    await tokens.aclose()
    with pytest.raises(IdentityUnavailable, match="closed"):
        await waiting
    with pytest.raises(IdentityUnavailable, match="closed"):
        await tokens.token(SCOPE)
    await tokens.close()
    assert authority.closed == 1


def test_the_loop_may_end_while_a_request_is_under_way() -> None:
    complaints: list[Any] = []

    async def app() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        authority = Authority()
        authority.gate.clear()
        asking = asyncio.create_task(authority.tokens().token(SCOPE))
        await authority.arrived.wait()
        assert not asking.done()

    asyncio.run(app())
    assert complaints == []


async def test_closing_what_was_never_used_opens_nothing() -> None:
    def never() -> AsyncTokenCredential:
        raise AssertionError

    await SharedTokens(never, "").aclose()


async def test_azures_sdks_may_use_it(authority: Authority) -> None:
    async with authority.tokens() as tokens:
        info = await tokens.get_token_info(SCOPE, options={"enable_cae": True})
        token = await tokens.get_token(SCOPE, claims=None, tenant_id=None, enable_cae=False)
    assert (info.token, info.expires_on) == (token.token, token.expires_on) == ("token 1", 4600)
    assert isinstance(tokens, AsyncTokenCredential)


CLIENT_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
async def identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Identity]:
    async with running_identity(client_ids=[CLIENT_ID]) as running:
        for name, value in running.env().items():
            monkeypatch.setenv(name, value)
        yield running


def application(token: str) -> str:
    """The client id that a token is for (RFC 7519)."""
    claims = token.split(".")[1]
    raw = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
    return str(json.loads(raw)["appid"])


async def test_a_managed_identity_over_http(identity: Identity) -> None:
    async with credential(IdentitySettings(managed=True)) as tokens:
        texts = await asyncio.gather(*(tokens.token(SCOPE) for _ in range(20)))
    assert {application(text) for text in texts} == {identity.identities[0].client_id}
    (request,) = await identity.requests()
    assert request.resource == "https://storage.azure.com"


async def test_a_user_assigned_identity_by_either_id(identity: Identity) -> None:
    by_client = IdentitySettings(managed=True, client_id=CLIENT_ID)
    by_resource = IdentitySettings(managed=True, resource_id=identity.identities[1].resource_id)
    for settings in (by_client, by_resource):
        async with credential(settings) as tokens:
            assert application(await tokens.token(SCOPE)) == CLIENT_ID


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (IdentitySettings(managed=True, client_id="another"), "__clientId"),
        (IdentitySettings(managed=True, resource_id="/another"), "__managedIdentityResourceId"),
    ],
)
async def test_an_identity_that_the_app_does_not_have(
    identity: Identity, settings: IdentitySettings, words: str
) -> None:
    async with credential(settings) as tokens:
        with pytest.raises(IdentityUnavailable, match=words):
            await tokens.token(SCOPE)


async def test_an_endpoint_that_fails(identity: Identity) -> None:
    await identity.script(IdentityFault(status=400))
    async with credential(IdentitySettings(managed=True)) as tokens:
        with pytest.raises(IdentityUnavailable, match="system-assigned"):
            await tokens.token(SCOPE)
        assert await tokens.token(SCOPE)


async def test_a_developer_by_the_environments_own_identity(identity: Identity) -> None:
    async with credential(IdentitySettings()) as tokens:
        assert application(await tokens.token(SCOPE)) == identity.identities[0].client_id


async def test_nobody_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only this credential, which the environment lacks: none that would look elsewhere.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    async with credential(IdentitySettings()) as tokens:
        with pytest.raises(IdentityUnavailable, match="az login"):
            await tokens.token(SCOPE)
