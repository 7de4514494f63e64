"""The folder `web/`: all its JavaScript is checked, and what is not the page's is not served."""

import json
from pathlib import Path

import pytest

from tests.web.conftest import ROOT
from tests.web.runtimes import find_node, run_program
from tests.web.tsc import TSC

WEB = ROOT / "web"
PAGE = {".js", ".css", ".html", ".svg", ".png", ".ico", ".woff2", ".webmanifest"}
TYPES = ".d.ts"


@pytest.fixture
async def checked() -> set[Path]:
    """What `make test` has the compiler look at."""
    node, _ = find_node()
    listed = await run_program(node, str(TSC), "-p", str(WEB / "jsconfig.json"), "--listFilesOnly")
    return set(map(Path, listed.splitlines()))


def test_every_script_is_checked(checked: set[Path]) -> None:
    checked = {path.resolve() for path in checked}
    scripts = {path.resolve() for path in WEB.rglob("*.js")}
    unchecked = {path for path in scripts - checked if path.parent.name != "vendor"}
    assert unchecked == set()
    # The libraries are not ours to check: each has its declarations beside it.
    for library in (WEB / "vendor").glob("*.js"):
        assert library.with_suffix(TYPES).exists()
        assert library.resolve() not in checked


def test_what_is_not_the_pages_is_not_served() -> None:
    config = WEB / "staticwebapp.config.json"  # which the platform never serves
    routes = json.loads(config.read_text("utf-8"))["routes"]
    closed = {route["route"] for route in routes if route.get("statusCode") == 404}
    for path in WEB.rglob("*"):
        served = path.suffix in PAGE or path.name.endswith(TYPES)
        if path.is_file() and not served and path != config:
            assert f"/{path.relative_to(WEB).as_posix()}" in closed
