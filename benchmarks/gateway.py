"""LiteLLM's proxy, a well-known gateway: installed apart, and run with one worker."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks import apart
from benchmarks.load import Target
from local.ports import HOST, running_on_port
from local.processes import Command

KEY = "sk-key-of-the-benchmark-alone"
READY_SECONDS = 120.0

_CONFIG = """\
model_list:
  - model_name: chat
    litellm_params:
      model: openai/chat
      api_base: {model}/v1
      api_key: benchmark
general_settings:
  master_key: {key}
"""


def install() -> Path:
    """Its command; what is missing is installed. Raises `CalledProcessError`."""
    python = apart.install("litellm", "LiteLLM's proxy")
    return python.with_name("litellm.exe" if os.name == "nt" else "litellm")


@asynccontextmanager
async def gateway(model: str) -> AsyncIterator[Target]:
    """The proxy in front of the simulator at `model`."""
    program = install()
    with TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(_CONFIG.format(model=model, key=KEY), encoding="utf-8")
        env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

        def command(port: int) -> Command:
            return Command(
                name="litellm",
                argv=(
                    str(program),
                    *("--config", str(config), "--host", HOST, "--port", str(port)),
                    *("--num_workers", "1", "--telemetry", "False"),
                ),
                ready=re.compile("Proxy initialized"),
                env=os.environ | env,
                folder=Path(folder),
            )

        async with running_on_port(command, 0) as (child, port):
            url = f"http://{HOST}:{port}"
            await _until_it_serves(f"{url}/health/liveliness")
            yield Target(url, child.pid, "/v1/chat/completions", {"authorization": f"Bearer {KEY}"})


async def _until_it_serves(url: str) -> None:
    """It says that it is ready some time before it listens."""
    async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession(trust_env=False) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
