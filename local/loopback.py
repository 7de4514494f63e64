"""Serves an aiohttp application on the loopback interface for as long as a block runs."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from local.certificates import Certificate

HOST = "127.0.0.1"


@asynccontextmanager
async def serving(
    app: web.Application, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Yield the address, such as `http://127.0.0.1:50123`, without a trailing slash.

    Port 0 takes a free one. A handler is cancelled when its caller leaves, and when the block
    ends. Raises `OSError` when the port is taken.
    """
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05, handle_signals=False
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, ssl_context=tls)
        await site.start()
        yield f"{'https' if tls else 'http'}://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def server_tls(certificate: Certificate) -> ssl.SSLContext:
    """Make the server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context
