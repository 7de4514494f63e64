"""Cold start: what importing a `function_app.py` costs, in a fresh interpreter."""

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
wall, cpu = time.perf_counter(), time.process_time()
import function_app
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Medians, in seconds."""

    wall: float
    cpu: float


def measure_imports(folders: dict[str, Path], runs: int) -> dict[str, ColdStart]:
    """Import each app in turn, `runs` times; the first round fills the file cache."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in folders}
    for number in range(runs + 1):
        for name, folder in folders.items():
            wall, cpu = _import(folder)
            if number:
                taken[name].append((wall, cpu))
    return {
        name: ColdStart(
            statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times)
        )
        for name, times in taken.items()
    }


def _import(folder: Path) -> tuple[float, float]:
    environment = os.environ | {
        "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
        "AZURE_OPENAI_API_KEY": "none",
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
    }
    printed = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder)],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wall, cpu = printed.split()
    return float(wall), float(cpu)
