"""Tools of others, each installed in an environment of its own."""

import platform
import subprocess
import sys
from pathlib import Path

from local.setup import environment_python, fingerprint, is_stamped, stamp

ROOT = Path(__file__).parent.parent


def install(name: str, title: str) -> Path:
    """The Python of the environment made from `benchmarks/peers/<name>/requirements.txt`.

    What is missing is installed, which takes a minute. Raises `CalledProcessError`.
    """
    environment = ROOT / ".local" / name
    requirements = ROOT / "benchmarks" / "peers" / name / "requirements.txt"
    python = environment_python(environment)
    wanted = fingerprint([requirements], platform.python_version(), sys.platform)
    if not is_stamped(environment, wanted):
        print(f"Installing {title} …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        stamp(environment, wanted)
    return python
