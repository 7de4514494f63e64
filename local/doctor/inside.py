"""The app's parts by its settings: what the app itself would meet, and how long it takes.

The model is asked for one short answer, and one row is written to the history and taken away.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from local.doctor import advice
from local.doctor.findings import Finding, clock, fault, latency, ok
from shared.errors import ChatError, Misconfigured, ModelRefused
from shared.events import Delta, Finish, Reasoning
from shared.history.account import SCOPE, read_account
from shared.history.rows import Delete, Insert
from shared.messages import ModelRequest
from shared.services import Services
from shared.settings import Connection, Settings

ANSWER_SECONDS = 30.0
TOKEN_SECONDS, FIRST_SECONDS, STORE_SECONDS = 2.0, 4.0, 0.2
PROBE = "doctor"
_SETTINGS = (
    "The README lists every setting; local.settings.sample.json has an example of each. To look at "
    "what make run started: python -m local doctor --url http://127.0.0.1:4280"
)


async def examine(
    settings: Settings, root: Path, *, patience: float = ANSWER_SECONDS
) -> AsyncIterator[Finding]:
    """Look at everything, part by part; a model is waited for `patience` seconds."""
    services = Services(settings, root)
    try:
        async for finding in _settings(services):
            yield finding
        async for finding in _model(services, patience):
            yield finding
        async for finding in _store(services):
            yield finding
    finally:
        await services.aclose()


async def _settings(services: Services) -> AsyncIterator[Finding]:
    wrong = [f for f in await services.readiness() if f["code"] == Misconfigured.code]
    for failure in wrong:
        yield fault("settings", failure["detail"], _SETTINGS)
    for failure in await services.readiness():
        if failure["part"] == "retrieval" and failure not in wrong:
            yield fault("retrieval", failure["detail"], "docs/retrieval.md has roles and set-up.")
    if not wrong:
        yield ok("settings", "every setting can be used")


async def _model(services: Services, patience: float) -> AsyncIterator[Finding]:
    try:
        connection = services.settings.connection()
        model = connection.model
    except Misconfigured:
        return  # it was told with the settings
    if connection.signs_in:
        began = time.monotonic()
        try:
            await services.backends.token(connection)
        except ChatError as error:
            setting = connection.setting("credential")
            yield fault("identity", error.message, advice.sign_in(connection.identity, setting))
            return
        yield latency(
            "identity",
            "a token for the model",
            time.monotonic() - began,
            TOKEN_SECONDS,
            "Only the first turn of an instance waits for it.",
        )
    if model is None:
        yield fault("model", f"{connection.setting('model')} is missing.", _SETTINGS)
        return
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            await _first_word(services, connection, model)
    except TimeoutError:
        yield fault(
            "model",
            f"{model} said nothing for {patience:g} s",
            "A thinking model may take longer: look at its deployment's metrics.",
        )
    except ModelRefused as error:
        yield fault("model", error.message, advice.model_refused(connection))
    except ChatError as error:
        yield fault("model", error.message, _reach(connection, error))
    else:
        yield latency(
            "model",
            f"the first word of {model}",
            time.monotonic() - began,
            FIRST_SECONDS,
            "Callers see heartbeats until then. A deployment in the app's region is nearer.",
        )


def _reach(connection: Connection, error: ChatError) -> str:
    if error.status == 429:
        return (
            "The deployment's quota is used up: raise it, or set a fallback: docs/connections.md."
        )
    return (
        f"Look at {connection.setting('endpoint')}, and whether this machine's network reaches it: "
        f"curl -i {connection.endpoint}"
    )


async def _first_word(services: Services, connection: Connection, model: str) -> None:
    request = ModelRequest(
        model=model,
        messages=({"role": "user", "content": "Say: yes"},),
        parameters={"max_completion_tokens": 16},
        chosen=frozenset(),
    )
    async with services.backends.client(connection).ask(request) as stream:
        async for events in stream:
            if any(isinstance(event, Delta | Reasoning | Finish) for event in events):
                return


async def _store(services: Services) -> AsyncIterator[Finding]:
    settings = services.settings
    try:
        if settings.sql is not None:
            account = identity = None
        else:
            storage = settings.storage
            account = read_account(storage)
            identity = storage.identity if storage.endpoint else None
    except Misconfigured:
        return  # it was told with the settings
    key = f"{PROBE},{secrets.token_hex(8)}"
    try:
        if account is not None and identity is not None:
            await services.backends.credential(identity).token(SCOPE)
        await services.rows.ready()
        began = time.monotonic()
        await services.rows.get(PROBE, key)
        read = time.monotonic() - began
        began = time.monotonic()
        await services.rows.write(PROBE, [Insert(key, {"probe": True})])
        written = time.monotonic() - began
        await services.rows.write(PROBE, [Delete(key)])
    except ChatError as error:
        yield fault(
            "store",
            error.message,
            advice.store_refused(identity, account.name)
            if account is not None
            else "docs/history.md has what the database wants, and the statements that give it.",
        )
        return
    nearer = "Put the app and its store in one region: each turn waits for two of these."
    yield latency("store", "a read", read, STORE_SECONDS, nearer)
    yield latency("store", "a write", written, STORE_SECONDS, nearer)
    if account is not None:
        yield await _clock(account.url)


async def _clock(url: str) -> Finding:
    """By the `Date` of the service, whose clock is right."""
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            told = parsedate_to_datetime(response.headers["date"])
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return ok("clock", "the store tells no time")
    return clock("clock", "the store", (datetime.now(UTC) - told).total_seconds())
