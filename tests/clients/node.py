"""Runs the scripts beside it, each of which drives one client from npm."""

import json
from pathlib import Path
from typing import Any

from tests.web.runtimes import call, find_node

FOLDER = Path(__file__).parent


async def play(script: str, scenario: str, url: str, **given: Any) -> Any:
    """What a scenario of the script gives. Fails where it fails; warnings are the packages' own."""
    node, _ = find_node()
    code, out, complaint = await call(
        *(node, "--unhandled-rejections=strict", script),
        stdin=json.dumps({"scenario": scenario, "url": url, **given}),
        cwd=FOLDER,
    )
    assert code == 0, f"{out}\n{complaint}"
    return json.loads(out)
