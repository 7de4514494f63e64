"""Who may use the drawer: it can kill processes, so no other web page may call it.

A page of another origin cannot send the header without being asked first (CORS preflight), and is
never granted it. A name that somebody points at 127.0.0.1 (DNS rebinding) is no loopback name.
"""

from ipaddress import ip_address

from aiohttp import hdrs, web
from yarl import URL

from local.problems import problem

HEADER = "x-local-drawer"
_SAFE = ("GET", "HEAD")


def refusal(request: web.Request) -> web.Response | None:
    """403 for a request that may come from elsewhere; None: it may go on."""
    hosts = [request.headers.get(hdrs.HOST, "")]
    for value in request.headers.getall(hdrs.X_FORWARDED_HOST, ()):
        hosts += value.split(",")
    if not all(_is_loopback(_url(f"http://{host.strip()}")) for host in hosts):
        return problem(403, "The drawer answers at 127.0.0.1 and localhost only.")
    # What the web emulator was asked for, as it tells the API.
    for value in request.headers.getall("x-ms-original-url", ()):
        if not _is_loopback(_url(value)):
            return problem(403, "The drawer answers at 127.0.0.1 and localhost only.")
    for origin in request.headers.getall(hdrs.ORIGIN, ()):
        if not _is_loopback(_url(origin)):
            return problem(403, "The drawer is not for pages of other origins.")
    if request.method not in _SAFE and request.headers.get(HEADER) != "1":
        return problem(403, f"Send the header {HEADER}: 1, which no other page can send.")
    return None


def _url(text: str) -> URL | None:
    try:
        return URL(text)
    except ValueError:
        return None


def _is_loopback(url: URL | None) -> bool:
    host = (url.host if url else None) or ""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
