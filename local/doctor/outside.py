"""A running app as its callers meet it, at an address.

One turn is run, whose conversation is deleted at the end.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from local.doctor.findings import Finding, clock, fault, latency, ok, warning
from local.principal import HEADER, encode

PROMPT = "Count from 1 to 100 in words, with a comma after each."
TURN_SECONDS = 120.0
TIME_OUT = aiohttp.ClientTimeout(total=TURN_SECONDS, sock_connect=10)
REACH_SECONDS, FIRST_SECONDS = 1.0, 5.0
LEAST_EVENTS = 4
"""So many pieces of text make a stream that can be judged."""
BUFFERED = 0.1
"""A stream whose pieces all came within this share of the turn's time was held back."""
QUICK_SECONDS = 2.0
"""But an answer that took no longer may have been made at once."""
FORGED = {
    "identityProvider": "aad",
    "userId": "doctor-who-is-nobody",
    "userDetails": "nobody",
    "userRoles": ["anonymous", "authenticated"],
    "auth_typ": "aad",
    "claims": [
        {"typ": "iss", "val": "https://issuer.invalid"},
        {"typ": "sub", "val": "doctor-who-is-nobody"},
    ],
}
"""Somebody who does not exist, in both forms that the platform has."""
_TRUST = (
    "Anybody can be anybody. Turn App Service authentication on (az webapp auth update "
    "--name APP --resource-group GROUP --enabled true --action Return401), or take access away "
    "from all but the Static Web App by linking it (az staticwebapp backends link). Never set "
    "WEBSITE_AUTH_ENABLED yourself in Azure."
)
_SIGN_IN = (
    "Sign in, and give a token: python -m local doctor --url … --token $(az account "
    "get-access-token --resource api://CLIENT_ID --query accessToken -o tsv). A linked Static Web "
    "App takes browsers only: look at it there."
)


@dataclass(frozen=True, slots=True)
class Heard:
    """A turn as it came: when each piece of text was there, in seconds since it was asked."""

    asked: datetime
    head: float
    pieces: tuple[float, ...]
    ended: float
    events: tuple[dict[str, Any], ...]
    status: int
    problem: Mapping[str, Any]


async def examine(
    url: str, token: str | None, *, quick: float = QUICK_SECONDS
) -> AsyncIterator[Finding]:
    """Look at the app at `url`, the site's own address or the API's.

    Of an answer that took no longer than `quick` nobody can tell whether it was held back.
    """
    api = url.rstrip("/").removesuffix("/api") + "/api"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(timeout=TIME_OUT, headers=headers) as session:
        try:
            async for finding in _examine(session, api, quick):
                yield finding
        except (aiohttp.ClientError, TimeoutError) as error:
            kind = type(error).__name__
            yield fault(
                "app",
                f"{api} does not answer ({kind})",
                f"Look at the address, and at the app's log: curl -i {api}/health",
            )


async def _examine(
    session: aiohttp.ClientSession, api: str, quick: float
) -> AsyncIterator[Finding]:
    began = time.monotonic()
    async with session.get(f"{api}/health") as response:
        status = response.status
    if status != 200:
        yield fault(
            "app",
            f"{api}/health is {status}, not 200",
            "Nothing of this app answers there, or it does not start: look at its log (az webapp "
            "log tail --name APP --resource-group GROUP). /api/health must need no sign-in.",
        )
        return
    near = "A cold start, or a long way: ask again, and look at the region."
    yield latency("app", "an answer", time.monotonic() - began, REACH_SECONDS, near)
    conversation = secrets.token_hex(16)
    heard = await _turn(session, api, conversation)
    async for finding in _readiness(session, api):
        yield finding
    if heard.status == 200:
        for finding in (_end(heard), _stream(heard, quick), _first(heard)):
            yield finding
        if (told := await _clock(session, api, conversation, heard)) is not None:
            yield told
    elif heard.status == 401:
        yield warning("sign-in", "who is not signed in is refused (401)", _SIGN_IN)
    else:
        yield _refused(heard)
    async for finding in _trust(session, api, conversation if heard.status == 200 else None):
        yield finding
    await _delete(session, api, conversation)


async def _readiness(session: aiohttp.ClientSession, api: str) -> AsyncIterator[Finding]:
    async with session.get(f"{api}/health", params={"probe": "ready"}) as response:
        body = await _json(response)
        if response.status == 503:
            for failure in body.get("failures", ()):
                yield fault(
                    str(failure.get("part")),
                    str(failure.get("detail")),
                    "The settings, roles and commands: python -m local doctor, with the same "
                    "settings, names them; docs/operate.md lists them.",
                )
        elif response.status == 200:
            yield ok("parts", "settings, store and model are ready")


async def _turn(session: aiohttp.ClientSession, api: str, conversation: str) -> Heard:
    asked, began = datetime.now(UTC), time.monotonic()
    pieces: list[float] = []
    events: list[dict[str, Any]] = []
    body = {"userPrompt": PROMPT, "conversationId": conversation}
    headers = {"accept": "text/event-stream"}
    async with session.post(f"{api}/chat", json=body, headers=headers) as response:
        if response.status != 200 or response.content_type != "text/event-stream":
            problem = await _json(response)
            return Heard(asked, 0.0, (), time.monotonic() - began, (), response.status, problem)
        head = time.monotonic() - began
        # A connection that is cut here is a finding of its own: there is no end then.
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async for line in response.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    events.append(event)
                    if event["type"] in ("delta", "reasoning"):
                        pieces.append(time.monotonic() - began)
    ended = time.monotonic() - began
    return Heard(asked, head, tuple(pieces), ended, tuple(events), 200, {})


def _end(heard: Heard) -> Finding:
    end = heard.events[-1] if heard.events else {}
    if end.get("type") != "end":
        return fault(
            "turn",
            "the stream broke off before its end",
            "Something between here and the app ends requests: a Static Web App after 45 s, a "
            "gateway after its time-out. The page attaches again by itself.",
        )
    errors = [event for event in heard.events if event["type"] == "error"]
    if errors:
        return fault("turn", f"{errors[0]['code']}: {errors[0]['message']}", "docs/operate.md")
    return ok("turn", f"a turn ended in {end['finishReason']} after {heard.ended:.1f} s")


def _stream(heard: Heard, quick: float) -> Finding:
    spread = heard.pieces[-1] - heard.pieces[0] if heard.pieces else 0.0
    at_once = spread < BUFFERED * heard.ended
    if len(heard.pieces) < LEAST_EVENTS or (at_once and heard.ended <= quick):
        return warning(
            "stream",
            f"the answer came too quickly to tell: {len(heard.pieces)} pieces in "
            f"{spread * 1000:.0f} ms",
            "Ask again, or with a slower model.",
        )
    gaps = sorted(b - a for a, b in zip(heard.pieces, heard.pieces[1:], strict=False))
    if at_once:
        return fault(
            "stream",
            f"all of it came within {spread * 1000:.0f} ms, after {heard.pieces[0]:.1f} s",
            "Something between here and the app holds streams back: turn response buffering and "
            "compression off there (nginx: proxy_buffering off; Azure API Management: "
            'buffer-response="false" on forward-request; Front Door: no compression of '
            "text/event-stream).",
        )
    return ok(
        "stream",
        f"it came in {len(heard.pieces)} pieces, {gaps[len(gaps) // 2] * 1000:.0f} ms apart, "
        f"{gaps[-1] * 1000:.0f} ms at most",
    )


def _first(heard: Heard) -> Finding:
    near = "The model is slow or far: look at the trace of this turn (docs/telemetry.md)."
    first = heard.pieces[0] if heard.pieces else heard.ended
    return latency("turn", "the first word", first, FIRST_SECONDS, near)


def _refused(heard: Heard) -> Finding:
    code = heard.problem.get("code", f"status {heard.status}")
    detail = heard.problem.get("detail", "no answer of this app")
    return fault(
        "turn",
        f"{code}: {detail}",
        "docs/operate.md says what each code wants. Locally, python -m local doctor with the same "
        "settings names the role and the command.",
    )


async def _clock(
    session: aiohttp.ClientSession, api: str, conversation: str, heard: Heard
) -> Finding | None:
    """By when the app says that the turn began, which was while its response was waited for."""
    async with session.get(f"{api}/conversations/{conversation}") as response:
        body = await _json(response)
    if "updatedAt" not in body:
        return None
    told = datetime.fromisoformat(str(body["updatedAt"]))
    earliest, latest = heard.asked, heard.asked + timedelta(seconds=heard.head)
    ahead = max(earliest - told, min(timedelta(), latest - told))
    return clock("clock", "the app", ahead.total_seconds())


async def _trust(
    session: aiohttp.ClientSession, api: str, conversation: str | None
) -> AsyncIterator[Finding]:
    """Whether a header that a caller made up changes who they are."""
    forged = {HEADER: encode(FORGED)}
    plain = aiohttp.ClientSession(timeout=TIME_OUT)
    async with plain:
        bare = await _status(plain, f"{api}/conversations", {})
        as_nobody = await _status(plain, f"{api}/conversations", forged)
    if bare == 401 and as_nobody == 200:
        yield fault("trust", "a made-up x-ms-client-principal is believed", _TRUST)
        return
    if conversation is not None:
        seen = await _status(session, f"{api}/conversations/{conversation}", forged)
        if seen == 404:
            yield fault("trust", "a made-up x-ms-client-principal changes who a caller is", _TRUST)
            return
    yield ok("trust", "a made-up principal is not believed")
    async with aiohttp.ClientSession(timeout=TIME_OUT) as nobody:
        open_to_all = await _status(nobody, f"{api}/actions", {})
    if open_to_all == 200:
        yield warning(
            "sign-in",
            "nobody needs to sign in",
            "Everybody who reaches the address can spend your tokens. Set CHAT_AUTH to easyauth or "
            "staticwebapps, or at least CHAT_DAILY_TOKENS: docs/limits.md.",
        )


async def _status(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> int:
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        return response.status


async def _delete(session: aiohttp.ClientSession, api: str, conversation: str) -> None:
    async with asyncio.timeout(10), session.delete(f"{api}/conversations/{conversation}"):
        pass


async def _json(response: aiohttp.ClientResponse) -> Any:
    try:
        body = json.loads(await response.read())
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
