"""Bootstrap: finds Python 3.13 and Node.js, sets everything up, hands over to the command.

Any Python from 3.8 on can run this file, and it needs nothing but the standard library, so that
`python -m local run` is all that a fresh machine has to know.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
WANTED = (3, 13)
# What each command runs in the project's own environment.
MODULES = {
    "run": "local.run",
    "test": "local.test",
    "console": "console",
    "bench": "benchmarks",
    "chaos": "chaos",
    "ingest": "ingestion",
    "retrieval": "benchmarks.retrieval",
    "lock": "local.pins",
    "package": "local.package",
    "site": "local.site",
    "check": "local.check",
    "licences": "local.licences",
    "doctor": "local.doctor",
    "streams": "benchmarks.streams",
    "soak": "benchmarks.soak",
    "capacity": "benchmarks.capacity",
}
USAGE = """\
usage: python -m local <command> [options]

  run      set up, start the whole local stack, print one address   (--help: its options)
  test     set up, run every check and test                         (--help: its options)
  console  set up, chat in the terminal with a running backend      (--help: its options)
  bench    set up, run the benchmarks
  check    set up, look for known vulnerabilities and for secrets    (--help: its options)
  chaos    set up, run turns under faults, judge each of them      (--help: its options)
  ingest   set up, fill a retriever's table from files              (--help: its options)
  retrieval set up, measure how well documents are found
  doctor   set up, find out what is wrong with an app and its settings (--help)
  package  set up, build what is deployed, with all that it needs   (--help: its options)
  site     set up, write the page as it is deployed                 (--help: its options)
  lock     set up, pin every package anew, with hashes             (--help: its options)
  licences set up, list the licences of what is deployed
  streams  set up, hold 500 streams on one worker                   (--help: its options)
  soak     set up, run 50,000 turns on one worker: is it flat?      (--help: its options)
  capacity set up, from callers to instances, storage and money     (--help: its options)
  setup    set up only
"""
NO_PYTHON = """\
Python 3.13 is missing: this is Python {version}, and no other was found.
Get it from https://www.python.org/downloads/ (Windows: winget install Python.Python.3.13,
macOS: brew install python@3.13, pyenv: pyenv install 3.13), then run this command again."""


def is_wanted(python: str) -> bool:
    """Whether `python` starts and is the wanted version; a pyenv shim may exist and refuse."""
    probe = "import sys; print(sys.version_info[0], sys.version_info[1])"
    try:
        done = subprocess.run([python, "-c", probe], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.split() == [b"%d" % part for part in WANTED]


def candidates(
    home: Path, environ: Mapping[str, str], which: Callable[[str], str | None]
) -> Iterator[str]:
    """Paths where Python 3.13 may be, most wanted first: PATH, `py`, pyenv, usual folders."""
    for name in ("python3.13", "python3", "python"):
        path = which(name)
        if path:
            yield path
    launcher = which("py")
    if launcher:
        probe = [launcher, "-3.13", "-c", "import sys; print(sys.executable)"]
        done = subprocess.run(probe, capture_output=True, timeout=30)
        if done.returncode == 0:
            yield done.stdout.decode().strip()
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    folders = [
        (pyenv / "versions", "3.13*/bin/python"),
        (home / ".pyenv" / "pyenv-win" / "versions", "3.13*/python.exe"),
        (home / ".local" / "share" / "uv" / "python", "cpython-3.13*/bin/python3.13"),
        (home / "AppData" / "Local" / "Programs" / "Python", "Python313/python.exe"),
        (Path("/opt/homebrew/bin"), "python3.13"),
        (Path("/usr/local/bin"), "python3.13"),
        (Path("/Library/Frameworks/Python.framework/Versions"), "3.13/bin/python3.13"),
    ]
    for folder, pattern in folders:
        for found in sorted(folder.glob(pattern), reverse=True):
            yield str(found)


def find_python() -> str | None:
    """The path of a Python 3.13, or None."""
    for path in candidates(Path.home(), os.environ, shutil.which):
        if is_wanted(path):
            return path
    return None


def hand_over(argv: list[str]) -> NoReturn:
    """Becomes `argv`; where a process cannot be replaced (Windows), exits as it does."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execv(argv[0], argv)  # noqa: S606 (no shell is wanted)
    process = subprocess.Popen(argv)
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            continue  # Ctrl-C reaches the child as well, which ends in its own time.


def main(arguments: list[str]) -> None:
    """Runs the command that `arguments` name."""
    if not arguments or arguments[0] not in (*MODULES, "setup"):
        wanted_help = arguments[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if wanted_help else sys.stderr)
        sys.exit(0 if wanted_help else 2)
    os.chdir(ROOT)
    if sys.version_info[:2] != WANTED:
        other = find_python()
        if other is None:
            sys.exit(NO_PYTHON.format(version=sys.version.split()[0]))
        hand_over([other, "-m", "local", *arguments])

    from local.setup import SetupFailed, set_up

    try:
        python = set_up(ROOT)
    except SetupFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the next start goes on from here.")
    command, rest = arguments[0], arguments[1:]
    if command != "setup":
        hand_over([str(python), "-m", MODULES[command], *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
