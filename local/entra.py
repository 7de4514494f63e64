"""What stands in for Entra and for App Service authentication, where callers sign in themselves.

`running_entra` signs everybody in as one person: authorization code with PKCE, as the page's
library asks for it (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
`running_easyauth` stands before a host as the platform does: it takes away what callers send as
`x-ms-client-principal`, and sets it for who brings a token
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities).
Tokens are not signed: who trusts them is this file alone.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import ClientSession, ClientTimeout, web

from local.certificates import Certificate
from local.hop_by_hop import end_to_end
from local.loopback import server_tls, serving
from local.principal import HEADER, encode

TENANT = "11111111-1111-1111-1111-111111111111"
PERSON = "22222222-2222-2222-2222-222222222222"


@dataclass
class Entra:
    """The tenant's address, and what was asked of it."""

    user: str
    authority: str = ""
    asked: list[str] = field(default_factory=list)
    """The scopes of each sign-in."""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    async def configuration(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": f"{self.authority}/v2.0",
                "authorization_endpoint": f"{self.authority}/oauth2/v2.0/authorize",
                "token_endpoint": f"{self.authority}/oauth2/v2.0/token",
                "end_session_endpoint": f"{self.authority}/oauth2/v2.0/logout",
                "jwks_uri": f"{self.authority}/discovery/v2.0/keys",
            },
            headers={"access-control-allow-origin": "*"},
        )

    async def authorize(self, request: web.Request) -> web.Response:
        """Signs in without asking, and leads back with a code."""
        query = dict(request.query)
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            raise web.HTTPBadRequest(text="Ask for a code, with PKCE.")
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        self.asked.append(query["scope"])
        answer = urlencode({"code": code, "state": query["state"], "client_info": _client_info()})
        between = "#" if query.get("response_mode") == "fragment" else "?"
        raise web.HTTPFound(f"{query['redirect_uri']}{between}{answer}")

    async def token(self, request: web.Request) -> web.Response:
        """Tokens for a code, once, for whoever knows the verifier."""
        cors = {"access-control-allow-origin": request.headers.get("origin", "*")}
        if request.method == "OPTIONS":
            allowed = request.headers.get("access-control-request-headers", "")
            return web.Response(headers=cors | {"access-control-allow-headers": allowed})
        form = {name: str(value) for name, value in (await request.post()).items()}
        asked = self._codes.pop(form.get("code", ""), None)
        verified = _digest(form.get("code_verifier", ""))
        if asked is None or asked["code_challenge"] != verified:
            return web.json_response({"error": "invalid_grant"}, status=400, headers=cors)
        now = int(time.time())
        claims = {
            "iss": f"{self.authority}/v2.0",
            "sub": "pairwise",
            "oid": PERSON,
            "tid": TENANT,
            "preferred_username": self.user,
            "name": self.user,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "ver": "2.0",
        }
        identity = claims | {"aud": asked["client_id"], "nonce": asked.get("nonce", "")}
        return web.json_response(
            {
                "token_type": "Bearer",
                "scope": asked["scope"],
                "expires_in": 3600,
                "access_token": _jwt(claims | {"aud": f"api://{asked['client_id']}"}),
                "id_token": _jwt(identity),
                "refresh_token": secrets.token_urlsafe(16),
                "client_info": _client_info(),
            },
            headers=cors,
        )

    async def logout(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query["post_logout_redirect_uri"])


@asynccontextmanager
async def running_entra(
    certificate: Certificate, *, user: str = "alice@example.com"
) -> AsyncIterator[Entra]:
    """A tenant that signs `user` in. Over TLS: the library takes nothing else."""
    entra = Entra(user)
    app = web.Application()
    base = f"/{TENANT}"
    for path in ("/v2.0/.well-known/openid-configuration", "/.well-known/openid-configuration"):
        app.router.add_get(base + path, entra.configuration)
    app.router.add_get(f"{base}/oauth2/v2.0/authorize", entra.authorize)
    app.router.add_route("*", f"{base}/oauth2/v2.0/token", entra.token)
    app.router.add_get(f"{base}/oauth2/v2.0/logout", entra.logout)
    async with serving(app, tls=server_tls(certificate)) as url:
        entra.authority = f"{url}{base}"
        yield entra


@asynccontextmanager
async def running_easyauth(host: str, audience: str) -> AsyncIterator[str]:
    """App Service authentication before `host`, that lets callers without a token through.

    A token for another audience, or whose time is over, is 401.
    """
    session = ClientSession(timeout=ClientTimeout(total=None), auto_decompress=False)

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = end_to_end(request.headers)
        headers.popall(HEADER, None)
        bearer = request.headers.get("authorization", "")
        if bearer:
            claims = _claims(bearer.removeprefix("Bearer "))
            ends = claims.get("exp")
            if claims.get("aud") != audience or not isinstance(ends, int) or ends < time.time():
                return web.Response(status=401)
            headers[HEADER] = encode(_principal(claims))
        async with session.request(
            request.method,
            host + request.path_qs,
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
        ) as received:
            response = web.StreamResponse(
                status=received.status, headers=end_to_end(received.headers)
            )
            await response.prepare(request)
            async for chunk in received.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=16 * 2**20)
    app.router.add_route("*", "/{path:.*}", forward)
    async with session, serving(app) as url:
        yield url


def _principal(claims: dict[str, object]) -> dict[str, object]:
    kinds = {
        "oid": "http://schemas.microsoft.com/identity/claims/objectidentifier",
        "tid": "http://schemas.microsoft.com/identity/claims/tenantid",
    }
    told = [{"typ": kinds.get(name, name), "val": str(value)} for name, value in claims.items()]
    return {"auth_typ": "aad", "claims": told, "name_typ": "name", "role_typ": "roles"}


def _digest(verifier: str) -> str:
    return _encoded(hashlib.sha256(verifier.encode()).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _jwt(claims: dict[str, object]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(_encoded(json.dumps(part).encode()) for part in parts), ""])


def _claims(token: str) -> dict[str, object]:
    try:
        payload = token.split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (IndexError, ValueError):
        return {}


def _client_info() -> str:
    return _encoded(json.dumps({"uid": PERSON, "utid": TENANT}).encode())
