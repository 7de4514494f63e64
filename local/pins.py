"""`python -m local lock`: every package's exact version and hashes, from what we ask for.

| file | says | made from |
|---|---|---|
| `requirements.in`, `requirements-dev.in`, `*/requirements.txt` | what we ask for | by hand |
| `constraints.txt` | the version of every package, the indirect ones too | all of them |
| `requirements.txt` | what is deployed, with hashes | `requirements.in` |
| `requirements-dev.txt` | what a developer's machine has, with hashes | `requirements-dev.in` |

uv resolves, for every platform at once. Nothing moves that need not, unless `--upgrade` says so.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from local.setup import WANTED_PYTHON

ROOT = Path(__file__).resolve().parent.parent
DEPLOYED, DEVELOPMENT = "requirements.in", "requirements-dev.in"
ASKED = (DEPLOYED, DEVELOPMENT, "console/requirements.txt", "ingestion/requirements.txt")
CONSTRAINTS = "constraints.txt"
LOCKS = {"requirements.txt": DEPLOYED, "requirements-dev.txt": DEVELOPMENT}
HEADER = "# Made by: python -m local lock"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?P<extras>\[[^]]*\])?==(?P<version>[^\s;]+)")


class LockFailed(Exception):
    """There is no set of versions that fits; what uv says of it was printed."""


def versions(text: str) -> dict[str, str]:
    """The pinned versions of a requirements file, by normalised name."""
    found = filter(None, map(_PIN.match, text.splitlines()))
    return {normalised(pin["name"]): pin["version"] for pin in found}


def normalised(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def repinned(text: str, newest: Mapping[str, str]) -> str:
    """A file of what we ask for, with the versions of `newest`; comments and order stay."""

    def pin(line: str) -> str:
        match = _PIN.match(line)
        if match is None:
            return line
        version = newest.get(normalised(match["name"]), match["version"])
        return f"{match['name']}{match['extras'] or ''}=={version}{line[match.end() :]}"

    return "".join(f"{pin(line)}\n" for line in text.splitlines())


def lock(root: Path, *, upgrade: bool) -> None:
    """Write the three files anew; with `upgrade`, to the newest versions. Raises LockFailed."""
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        if upgrade:
            _copy(root, copy, ASKED, pinned=False)
            _compile(copy, DEVELOPMENT, CONSTRAINTS)
            newest = versions((copy / CONSTRAINTS).read_text("utf-8"))
            for name in ASKED:
                file = root / name
                file.write_text(repinned(file.read_text("utf-8"), newest), "utf-8")
        _copy(root, copy, ASKED, pinned=True)
        if not upgrade:
            shutil.copy(root / CONSTRAINTS, copy)  # uv keeps the versions of a file that is there
        _compile(copy, DEVELOPMENT, CONSTRAINTS)
        for made, source in LOCKS.items():
            _compile(copy, source, made, "--generate-hashes", "--constraints", CONSTRAINTS)
        for made in (CONSTRAINTS, *LOCKS):
            (root / made).write_text(
                f"{HEADER}\n{(copy / made).read_text('utf-8')}", "utf-8", newline="\n"
            )


def _copy(root: Path, to: Path, names: Iterable[str], *, pinned: bool) -> None:
    """What we ask for, without the constraints, which are what is looked for."""
    for name in names:
        lines = (root / name).read_text("utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("-c ")]
        if not pinned:
            kept = [re.sub(r"==[^\s;]+", "", line) for line in kept]
        (to / name).parent.mkdir(exist_ok=True)
        (to / name).write_text("\n".join(kept), "utf-8")


def _compile(folder: Path, source: str, made: str, *options: str) -> None:
    # No address of an index: it is the reader's own.
    command = [sys.executable, "-m", "uv", "pip", "compile", source, "--output-file", made]
    command += ["--quiet", "--universal", "--python-version", WANTED_PYTHON]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", *options]
    if subprocess.run(command, cwd=folder).returncode:
        raise LockFailed(f"{source} cannot be locked.")


def main(arguments: list[str]) -> int:
    """Locks; the exit code is 1 where no versions fit."""
    parser = argparse.ArgumentParser(
        prog="python -m local lock", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--upgrade", action="store_true", help="to the newest of everything")
    given = parser.parse_args(arguments)
    try:
        lock(ROOT, upgrade=given.upgrade)
    except LockFailed as error:
        print(error, file=sys.stderr)
        return 1
    print("The next command installs what has changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
