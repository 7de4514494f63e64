"""The model simulator in a process of its own, so that its CPU is not another's."""

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local.processes import Command, running

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Model:
    """A running simulator."""

    url: str
    pid: int


@asynccontextmanager
async def running_model() -> AsyncIterator[Model]:
    """It answers at once, unless a prompt's directive says otherwise. Raises ChildFailed."""
    command = Command(
        name="simulator",
        argv=(
            sys.executable,
            *("-m", "local.simulator", "--port", "0", "--first-token-ms", "0"),
        ),
        ready=re.compile(r"http://\S+"),
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        folder=ROOT,
    )
    async with running(command) as (child, said):
        yield Model(said[0], child.pid)
