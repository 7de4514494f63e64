"""The composition root: the only importer of concrete backends. Everything is opened when needed.

Nothing heavy is imported with this module: a cold start pays for what its first request uses, and
`warm` pays for the rest in the background.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.backends import Backends
from shared.errors import (
    ChatError,
    InvalidRequest,
    Misconfigured,
    Unauthenticated,
)
from shared.history.base import HistoryStore
from shared.history.codec import MAX_BODY_BYTES
from shared.history.counters import Counters
from shared.history.rows import Rows
from shared.history.store import Store
from shared.identity import principal
from shared.messages import Caller, ChatRequest
from shared.models.base import ChatModel
from shared.models.fields import prepared
from shared.prompts.actions import Action, Actions, load_actions
from shared.prompts.actions_file import FILE
from shared.prompts.prompt import Prompt, check_locks, make_prompt
from shared.prompts.template import PLAIN
from shared.protocols.encoding import HEARTBEAT_SECONDS
from shared.retrieval.base import Retriever
from shared.settings import Connection, Settings
from shared.shutdown import before_sigterm
from shared.telemetry.facts import NoTelemetry, Telemetry
from shared.telemetry.observed import observed
from shared.telemetry.recorder import Recorder, Sink
from shared.turns.budget import Budget
from shared.turns.turn import Bounds
from shared.turns.turns import TurnLimits, Turns

logger = logging.getLogger(__name__)

RESPOND_WITHIN_SECONDS = 5.0
READINESS_SECONDS = 10.0
RESERVED_BYTES = 10_000
"""Of an answer's row, for the error that may end it."""


class Services:
    """One app's parts, in one process. Properties raise `Misconfigured`."""

    def __init__(self, settings: Settings, root: Path) -> None:
        quiet_sdks()
        self.settings = settings
        self._root = root
        self.backends = Backends(settings)
        self._background: set[asyncio.Task[Any]] = set()
        self._readiness: tuple[float, asyncio.Task[list[dict[str, str]]]] | None = None

    @cached_property
    def actions(self) -> Actions:
        path = self._root / self.settings.actions_file
        try:
            content = path.read_bytes() if path.exists() else None
        except OSError as exc:
            raise Misconfigured(f"{FILE} cannot be read: {exc.strerror}.") from exc
        return load_actions(content, self.settings)

    @cached_property
    def store(self) -> HistoryStore:
        store: HistoryStore = Store(self.rows)
        return observed(store, self.telemetry) if self._recorder else store

    @cached_property
    def rows(self) -> Rows:
        if (sql := self.settings.sql) is not None:
            return self.backends.sql_rows(sql)
        from shared.history.table import TableRows

        storage = self.settings.storage
        credential = self.backends.credential(storage.identity) if storage.endpoint else None
        return TableRows(storage, credential)

    @cached_property
    def budget(self) -> Budget | None:
        """The limits that protect the bill; None: there are none."""
        allowance = self.settings.allowance
        return Counters(self.rows, allowance, _now) if allowance else None

    @cached_property
    def turns(self) -> Turns:
        limits = self.settings.limits
        return Turns(
            lambda: self.store,
            TurnLimits(
                concurrent=limits.concurrent_turns,
                history_messages=limits.history_messages,
                history_tokens=limits.history_tokens,
                respond_within=RESPOND_WITHIN_SECONDS,
                turn=Bounds(
                    max_bytes=MAX_BODY_BYTES - RESERVED_BYTES,
                    model_timeout=limits.model_timeout,
                    grace=limits.disconnect_grace,
                    heartbeat=HEARTBEAT_SECONDS,
                ),
            ),
            _now,
            self.budget,
            self.telemetry,
        )

    @cached_property
    def telemetry(self) -> Telemetry:
        """Who is told of requests and turns; where no destination is set, nobody."""
        return self._recorder or NoTelemetry()

    def caller(self, principals: list[str]) -> Caller:
        """Who calls, by the values of the platform's header. Raises `Unauthenticated`."""
        if len(principals) > 1:
            raise Unauthenticated("x-ms-client-principal came more than once.")
        return principal.caller(self.settings.auth, principals[0] if principals else None)

    def prepare(self, request: ChatRequest) -> tuple[Prompt, ChatModel, Retriever | None]:
        """The request checked against its action, the model it goes to, and what finds documents
        for it."""
        action = self.actions.get(request.action)
        check_locks(action, request)
        names = self.settings.connection_names
        if request.connection is not None and request.connection not in names:
            raise InvalidRequest(
                f"There is no connection of that name. There are: {', '.join(names)}.",
                field="connection",
            )
        connection, model = self._asked(action, request)
        prompt = make_prompt(action, request, model, self.settings.limits)
        prompt = replace(prompt, service=connection.service)
        retrieval = prompt.retrieval
        retriever = self.backends.retriever(retrieval.retriever) if retrieval else None
        return prompt, self.backends.model(connection), retriever

    async def readiness(self) -> list[dict[str, str]]:
        """What does not work, by part; asked at most once in 10 s, whoever asks."""
        now = asyncio.get_running_loop().time()
        if self._readiness is None or now - self._readiness[0] > READINESS_SECONDS:
            self._readiness = now, self.in_background(self._probe())
        return await asyncio.shield(self._readiness[1])

    def in_background[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it apart from any request: held until it is done, and the log says if it failed."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def start(self) -> None:
        """Warm up, and end turns honestly when the instance goes; where a loop runs already."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        before_sigterm(self._end_turns)
        self.in_background(self._warm())

    async def _end_turns(self) -> None:
        """Begin nothing any more; what runs gets its last checkpoint, and ends `incomplete`."""
        if "turns" in self.__dict__:
            await self.turns.aclose()
        if "_recorder" in self.__dict__ and self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)

    async def aclose(self) -> None:
        """Stop all turns and what runs in the background, and close every connection."""
        await self._end_turns()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if "rows" in self.__dict__:
            await self.rows.aclose()
        await self.backends.aclose()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("Work in the background failed", exc_info=error)

    @cached_property
    def _recorder(self) -> Recorder | None:
        """Facts wait in it until `_warm` has imported what sends them."""
        try:
            wanted = self.settings.telemetry
        except Misconfigured as exc:
            logger.warning("There is no telemetry: %s", exc.message)
            return None
        if wanted is None:
            return None
        return Recorder(self._open_sink, content=wanted.content, logs=wanted.logs)

    def _open_sink(self) -> Sink:
        from shared.telemetry.exporters import open_telemetry

        wanted = self.settings.telemetry
        assert wanted is not None, "who records has somewhere to tell it"
        return open_telemetry(wanted, self._store_system, self._running_turns)

    @property
    def _store_system(self) -> str:
        """By OpenTelemetry's name where it has one."""
        if (sql := self.settings.sql) is None:
            return "azure.table_storage"
        return "postgresql" if sql.is_postgresql else "microsoft.sql_server"

    def _running_turns(self) -> int:
        return self.turns.running if "turns" in self.__dict__ else 0

    def _asked(self, action: Action, request: ChatRequest) -> tuple[Connection, str]:
        """Which connection and model a request goes to. Raises `Misconfigured`."""
        if request.connection is None and action.connection not in self.settings.connection_names:
            raise Misconfigured(
                f"{FILE}, {action.name}.connection: CHAT_CONNECTIONS does not name "
                f"{action.connection}; there are: {', '.join(self.settings.connection_names)}."
            )
        connection = self.settings.connection(request.connection or action.connection)
        model = request.model or (None if request.connection else action.model) or connection.model
        if model is None:
            raise Misconfigured(
                f"{connection.setting('model')} is missing: the deployment or model to ask."
            )
        return connection, model

    async def _probe(self) -> list[dict[str, str]]:
        failures: dict[str, dict[str, str]] = {}
        checks = {
            "store": self._check_store,
            "model": self._check_model,
            "retrieval": self._check_retrieval,
            "settings": self._check_settings,
        }
        for part, check in checks.items():
            try:
                await check()
            except ChatError as error:
                failure = {"part": part, "code": error.code, "detail": error.message}
                failures.setdefault(error.message, failure)
        return list(failures.values())

    async def _check_store(self) -> None:
        await self.store.ready()

    async def _check_model(self) -> None:
        connection = self.settings.connection()
        await self.backends.client(connection).warm()
        if connection.signs_in:
            await self.backends.token(connection)

    async def _check_retrieval(self) -> None:
        """Every retriever that an action asks."""
        for name in {action.retrieval.retriever for action in self.actions if action.retrieval}:
            await self.backends.retriever(name).ready()

    async def _check_settings(self) -> None:
        """All that the other checks did not read: a wrong one is told before a caller meets it."""
        settings = self.settings
        _ = settings.auth, settings.limits, settings.allowance, settings.allowed_origins
        _ = settings.retention_days, settings.telemetry
        for name in settings.connection_names:
            settings.chain(settings.connection(name))
        for name in settings.retriever_names:
            settings.retriever(name)
        for action in self.actions:
            self._check_action(action)

    def _check_action(self, action: Action) -> None:
        """Raises `Misconfigured` where nobody could be answered by it."""
        request = ChatRequest(user_prompt="")
        connection, model = self._asked(action, request)
        asked = Prompt(action, request, model, PLAIN).render(())
        try:
            prepared(connection.kind, asked)
        except Misconfigured as exc:
            raise Misconfigured(f"{FILE}, {action.name}: {exc.message}") from exc

    async def _warm(self) -> None:
        await asyncio.to_thread(_import_backends)
        try:
            await self._probe()
        except Exception:
            logger.warning("Warming up failed; the first request will say why.", exc_info=True)
        try:
            if self._recorder is not None:
                await asyncio.to_thread(self._recorder.start)
        except Exception:
            logger.warning("There is no telemetry: it could not be started.", exc_info=True)
        # What is loaded now stays: walking the SDKs' types would stop every stream for a tenth of
        # a second, again and again.
        gc.freeze()


def quiet_sdks() -> None:
    """The SDKs' clients log every request at INFO, headers and all: that is noise, and time."""
    for name in ("azure", "httpx2", "msal"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _import_backends() -> None:
    """In a thread: the SDKs take half a second to import, and the loop has requests to serve."""
    import aiohttp  # noqa: F401
    import azure.core.credentials  # noqa: F401
    import openai
    import openai._base_client  # noqa: F401


def _now() -> int:
    return time.time_ns() // 1_000_000
