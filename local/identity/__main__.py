"""`python -m local.identity`: serves until it is interrupted."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence

from local.identity.service import IdentityService
from local.identity.tokens import ManagedIdentity
from local.loopback import serving


async def _serve(port: int, header: str, client_ids: Sequence[str]) -> None:
    service = IdentityService(header, [ManagedIdentity(client_id) for client_id in client_ids])
    async with serving(service.application(), port=port) as url:
        print(f"identity endpoint ready at {url}/msi/token", flush=True)
        await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local.identity",
        description="App Service's managed-identity endpoint on 127.0.0.1, with unsigned tokens.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--header", required=True, help="the value of IDENTITY_HEADER")
    parser.add_argument("--client-id", action="append", help="a user-assigned identity")
    given = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_serve(given.port, given.header, given.client_id or ()))
        except OSError as exc:
            print(f"identity endpoint: {exc}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
