"""The whole app, and two functions beside it that only measuring wants. Never deployed."""

import asyncio
import gc
import importlib.util
import sys
import threading
from pathlib import Path

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(1, str(ROOT))

_spec = importlib.util.spec_from_file_location("chat_app", ROOT / "function_app.py")
assert _spec is not None
assert _spec.loader is not None
chat_app = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chat_app)

app: func.FunctionApp = chat_app.app


@app.route(route="nothing", methods=["GET"])
async def nothing(req: Request) -> Response:
    """What the runtime itself costs."""
    return Response(status_code=204)


@app.route(route="inside", methods=["GET"])
async def inside(req: Request) -> Response:
    """What lives in this process; `?collect=1`: after the garbage collector has been through."""
    if req.query_params.get("collect"):
        gc.collect()
    # Nobody else tells: the registry has no public view, and it must not get one for this.
    turns = chat_app.services.turns
    return JSONResponse(
        {
            "running": len(turns._running),
            "idle": turns._running.idle,
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "blocks": sys.getallocatedblocks(),
        }
    )
