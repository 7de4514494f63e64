"""Who may call: both shapes of the principal, everything else refused."""

import base64
import json

import aiohttp
import pytest

from local.principal import encode
from local.simulator import Simulator
from tests.e2e.client import Api, user
from tests.e2e.conftest import StartApi

SAY = "[simulate: say text=x]"
TENANT = "http://schemas.microsoft.com/identity/claims/tenantid"
OBJECT = "http://schemas.microsoft.com/identity/claims/objectidentifier"


def app_service(*claims: tuple[str, str], auth_typ: str = "aad") -> dict[str, object]:
    """A principal as App Service authentication makes it."""
    return {
        "auth_typ": auth_typ,
        "claims": [{"typ": typ, "val": val} for typ, val in claims],
        "name_typ": "name",
        "role_typ": "roles",
    }


GOOD = {
    "static web apps": user("carol"),
    "a role of its own": user("dave", "reader"),
    "object id": app_service((TENANT, "t"), (OBJECT, "o")),
    "short claims": app_service(("tid", "t2"), ("oid", "o2"), ("name", "N")),
    "issuer and subject": app_service(("iss", "https://i"), ("sub", "s"), auth_typ="google"),
}
BAD = {
    "only anonymous": encode(user("x", "anonymous")),
    "no roles": encode(user("x") | {"userRoles": []}),
    "roles of another shape": encode(user("x") | {"userRoles": "authenticated"}),
    "no user": encode({**user("x"), "userId": ""}),
    "user is null": encode({**user("x"), "userId": None}),
    "no provider": encode({n: v for n, v in user("x").items() if n != "identityProvider"}),
    "no claims": encode(app_service()),
    "tenant only": encode(app_service((TENANT, "t"))),
    "two objects": encode(app_service((TENANT, "t"), (OBJECT, "a"), ("oid", "b"))),
    "claims of another shape": encode({**app_service(), "claims": ["oid"]}),
    "not base64": "!!! not base64 !!!",
    "not json": base64.b64encode(b"{").decode(),
    "not utf-8": base64.b64encode(b'{"a":"\xff"}').decode(),
    "an array": base64.b64encode(b"[]").decode(),
    "null": base64.b64encode(b"null").decode(),
    "deeply nested": base64.b64encode(b"[" * 8000).decode(),
    "json itself": json.dumps(user("x")),
    "empty": "",
}


@pytest.mark.parametrize("name", GOOD)
async def test_good_principals(stranger: Api, name: str) -> None:
    caller = stranger.with_headers(x_ms_client_principal=encode(GOOD[name]))
    conversation = name.replace(" ", "-")
    assert (await caller.chat(SAY, conversationId=conversation)).status == 200
    listed = (await caller.call("GET", "/conversations")).json()["items"]
    assert [item["id"] for item in listed] == [conversation]


@pytest.mark.parametrize("name", BAD)
async def test_bad_principals(stranger: Api, model: Simulator, name: str) -> None:
    caller = stranger.with_headers(x_ms_client_principal=BAD[name])
    (await caller.chat(SAY)).problem(401, "unauthenticated")
    (await caller.call("GET", "/conversations")).problem(401, "unauthenticated")
    assert await model.requests() == []


ROUTES = [
    ("POST", "/chat"),
    ("GET", "/actions"),
    ("GET", "/conversations"),
    ("GET", "/conversations/c"),
    ("PATCH", "/conversations/c"),
    ("DELETE", "/conversations/c"),
    ("GET", "/conversations/c/messages"),
    ("GET", "/conversations/c/export"),
    ("GET", "/conversations/c/turns/t"),
    ("GET", "/conversations/c/turns/t/stream"),
    ("POST", "/conversations/c/turns/t/stop"),
    ("GET", "/health?probe=ready"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_a_caller(stranger: Api, method: str, path: str) -> None:
    body = {"title": "x"} if method == "PATCH" else None
    (await stranger.call(method, path, body)).problem(401, "unauthenticated")


async def test_what_needs_no_caller(stranger: Api) -> None:
    for path in ("/health", "/openapi.json"):
        assert (await stranger.call("GET", path)).status == 200


async def test_two_principals_are_none(
    signed_host: object, stranger: Api, session: aiohttp.ClientSession
) -> None:
    url = f"{stranger._url}/conversations"
    name = "x-ms-client-principal"
    headers = [(name, encode(user("a"))), (name, encode(user("b")))]
    async with session.get(url, headers=headers) as response:
        assert response.status == 401


async def test_other_headers_say_nothing_about_the_caller(stranger: Api) -> None:
    forged = stranger.with_headers(
        x_ms_client_principal_id="alice",
        x_ms_client_principal_name="alice@example.com",
        authorization="Bearer x",
    )
    (await forged.chat(SAY)).problem(401, "unauthenticated")


async def test_owners_of_two_shapes_never_meet(stranger: Api) -> None:
    for principal in (user("o"), app_service(("tid", "t"), ("oid", "o"))):
        caller = stranger.with_headers(x_ms_client_principal=encode(principal))
        reply = await caller.chat(SAY, conversationId="shared-name")
        assert reply.events[0]["new"] is True


async def test_a_header_that_anybody_could_send_counts_for_nothing(
    start_api: StartApi,
) -> None:
    async with start_api(CHAT_AUTH="staticwebapps", WEBSITE_AUTH_ENABLED="1") as api:
        reply = await api.as_user("mallory").chat(SAY)
        detail = reply.problem(401, "unauthenticated")["detail"]
        assert "WEBSITE_AUTH_ENABLED" in detail
        assert (await api.call("GET", "/health")).status == 200


async def test_easyauth_takes_one_shape_only(start_api: StartApi) -> None:
    async with start_api(CHAT_AUTH="easyauth", WEBSITE_AUTH_ENABLED="true") as api:
        (await api.as_user("eve").chat(SAY)).problem(401, "unauthenticated")
        principal = encode(app_service(("tid", "t"), ("oid", "o")))
        caller = api.with_headers(x_ms_client_principal=principal)
        assert (await caller.chat(SAY)).status == 200


async def test_in_azure_there_is_no_default(start_api: StartApi, model: Simulator) -> None:
    async with start_api(CHAT_AUTH=None, WEBSITE_SITE_NAME="site") as api:
        reply = await api.as_user("x").chat(SAY)
        assert "CHAT_AUTH" in reply.problem(500, "misconfigured")["detail"]
        assert await model.requests() == []


async def test_locally_the_default_is_anonymous(start_api: StartApi) -> None:
    async with start_api(CHAT_AUTH=None) as api:
        assert (await api.chat(SAY)).answer == "x"


async def test_an_anonymous_app_ignores_principals(api: Api, conversation: str) -> None:
    await api.as_user("alice").chat(SAY, conversationId=conversation)
    assert len(await api.messages(conversation)) == 2
    (await api.as_user("alice").call("GET", "/conversations")).problem(401, "unauthenticated")
