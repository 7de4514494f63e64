"""schemathesis, unmodified, over the app's own description: no finding is left.

Its settings, which make every check of its, are in schemathesis.toml; openapi_hooks.py says what is
no finding, and why.
"""

import asyncio
import json
import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from local.host import Host
from local.principal import encode
from tests.clients.openapi_hooks import SEEN
from tests.e2e.client import user
from tests.e2e.conftest import StartHost

FOLDER = Path(__file__).parent
COMMAND = str(Path(sys.executable).with_name("schemathesis"))
GUARD_SECONDS = 240.0
PHASES = {"examples", "coverage", "fuzzing", "stateful"}
BY_FIELD = {"coverage"}
"""Thousands of requests that try field by field: once is enough, for who may set them."""
NOT_FOR_ANONYMOUS = {"GET /conversations"}


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "anonymous"])
async def test_the_description_is_true(
    start_host: StartHost, tmp_path: Path, signed_in: bool
) -> None:
    phases = PHASES if signed_in else PHASES - BY_FIELD
    async with _host(start_host, signed_in) as host:
        who = ("--header", f"x-ms-client-principal: {encode(user('alice'))}") if signed_in else ()
        code, out, complaint = await _run(
            *(COMMAND, "--config-file", "schemathesis.toml", "--no-color"),
            *("run", f"{host.url}/api/openapi.json", *who),
            *("--phases", ",".join(phases)),
            *("--report", "json", "--report-json-path", str(tmp_path / "report.json")),
            seen=tmp_path / "seen.json",
        )
    assert code == 0, f"{out}\n{complaint}"
    report = json.loads((tmp_path / "report.json").read_text())
    ran = {name for name, phase in report["phases"].items() if phase["status"] == "success"}
    assert ran == phases
    assert report["operations"]["tested"] == report["operations"]["total"] > 0
    assert report["test_cases"]["generated"] > (2000 if signed_in else 400)
    # No operation was only ever refused.
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert len(seen) == report["operations"]["total"]
    refused = {name for name, statuses in seen.items() if not any(s < 300 for s in statuses)}
    assert refused == (set() if signed_in else NOT_FOR_ANONYMOUS)


def _host(start_host: StartHost, signed_in: bool) -> AbstractAsyncContextManager[Host]:
    """Signed-in callers may set everything, anonymous ones nothing."""
    if not signed_in:
        return start_host()
    return start_host(
        CHAT_AUTH="staticwebapps", WEBSITE_AUTH_ENABLED="True", CHAT_CALLER_FIELDS="*"
    )


async def _run(*command: str, seen: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error. Killed rather than waited for without end."""
    pipe = asyncio.subprocess.PIPE
    # Not measured: what it runs of ours is in the host.
    env = {name: os.environ[name] for name in os.environ if not name.startswith("COVERAGE_")}
    env |= {"PYTHONPATH": str(FOLDER), SEEN: str(seen)}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=pipe, stderr=pipe, cwd=FOLDER, env=env
    )
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), complaint.decode()
