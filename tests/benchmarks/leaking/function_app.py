"""The app with a fault on purpose: of each turn a task stays, and some memory."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import azurefunctions.extensions.http.fastapi  # noqa: F401 - the runtime looks for it here

INSIDE = Path(__file__).resolve().parents[3] / "benchmarks" / "peers" / "inside" / "function_app.py"
KEPT_BYTES = 50_000

_spec = importlib.util.spec_from_file_location("inside_app", INSIDE)
assert _spec is not None
assert _spec.loader is not None
inside = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(inside)

app = inside.app
turns = inside.chat_app.services.turns
sound = turns.start
kept: list[tuple[bytes, "asyncio.Task[Any]"]] = []


async def leaking(*asked: Any) -> Any:
    kept.append((b"x" * KEPT_BYTES, asyncio.create_task(asyncio.Event().wait())))
    return await sound(*asked)


turns.start = leaking
