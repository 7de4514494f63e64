"""Runs JavaScript in Node.js as a project that has installed the clients of `package.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.web.runtimes import run_node

PROJECT = Path(__file__).parent


async def run_script(module: str, function: str, given: Mapping[str, Any]) -> Any:
    """What a function of `<module>.mjs` gives for `given`, through JSON. Nothing may complain."""
    program = (
        f"import * as module from './{module}.mjs';\n"
        f"const result = await module[{json.dumps(function)}]({json.dumps(given)});\n"
        "process.stdout.write(JSON.stringify(result ?? null));\n"
    )
    return json.loads(await run_program(program))


async def run_program(program: str) -> str:
    """What a module prints; its imports are found as if it were a file of the project."""
    return await run_node("--input-type=module", "-", stdin=program, cwd=PROJECT)
