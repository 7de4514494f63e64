"""The local Functions host: Microsoft's runtime in worker processes, behind a front of our own.

The runtime (`azure-functions-runtime`) is what runs a Python function app in Azure. This package
stands in for the .NET host in front of it only: routing, invocation ids, forwarding.

    async with running_host("path/of/the/app", env={"NAME": "value"}) as host:
        host.url, host.workers, host.logs

As a command: `python -m local.host --app . --port 7071`.

For tests of more than one instance, a request with the header `x-local-worker: <index>` goes to
that worker; all others go round. Beside the app's routes, for loopback names only and not for web
pages: `GET /admin/host/status`, `POST /admin/workers/{index}/kill` (pull the plug),
`POST /admin/workers/{index}/terminate` (SIGTERM, then the grace), and
`POST /admin/functions/{name}` (run a timer's function now).
"""

from local.host.environment import SettingsError
from local.host.process import WorkerStartError
from local.host.routes import RouteError
from local.host.running import Host, running_host

__all__ = ["Host", "RouteError", "SettingsError", "WorkerStartError", "running_host"]
