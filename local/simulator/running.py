"""Runs a simulator in this process, for as long as a block runs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from local.certificates import Certificate
from local.loopback import server_tls, serving
from local.simulator.client import Simulator
from local.simulator.control import add_routes
from local.simulator.documents import Library
from local.simulator.models import KINDS, Model
from local.simulator.options import AUDIENCES, REPOSITORY, Options
from local.simulator.server import Service


@asynccontextmanager
async def running_simulator(
    *,
    token_ms: float = 0,
    first_token_ms: float = 0,
    deployments: Mapping[str, Model | str] | None = None,
    api_key: str | None = None,
    require_token: bool = False,
    audiences: tuple[str, ...] = AUDIENCES,
    documents: Path = REPOSITORY,
    certificate: Certificate | None = None,
) -> AsyncIterator[Simulator]:
    """Start a simulator on the running loop and yield its client; as fast as it can by default.

    A deployment's value is a model, or the name of a kind. Raises `KeyError` for an unknown kind.
    """
    named = deployments or {}
    options = Options(
        deployments={n: KINDS[m] if isinstance(m, str) else m for n, m in named.items()},
        token_ms=token_ms,
        first_token_ms=first_token_ms,
        api_key=api_key,
        require_token=require_token,
        audiences=audiences,
        documents=documents,
    )
    async with serving_simulator(options, certificate=certificate) as url:
        trusted = certificate.certificate if certificate else None
        async with Simulator(url, certificate=trusted) as simulator:
            yield simulator


@asynccontextmanager
async def serving_simulator(
    options: Options, *, port: int = 0, certificate: Certificate | None = None
) -> AsyncIterator[str]:
    """Serve a simulator and yield its address; raises `OSError` when the port is taken."""
    library = await asyncio.to_thread(Library.load, options.documents)
    service = Service(options, library)
    app = service.application()
    add_routes(app, service)
    tls = server_tls(certificate) if certificate else None
    async with serving(app, port=port, tls=tls) as url:
        yield url
