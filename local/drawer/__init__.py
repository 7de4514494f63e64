"""The page's local drawer: pulls plugs, and shows what the last turn cost and sent.

It is there only under `make run`: the proxy between web emulator and host serves it, below
`/api/local/`, and nothing of it is deployed.
"""

from local.drawer.drawer import LocalParts, proxy_with_drawer, running_drawer

__all__ = ["LocalParts", "proxy_with_drawer", "running_drawer"]
