"""`python -m local package`: what is deployed, with all that it needs, as one file.

The package holds the app's files that `.funcignore` lets through, and the packages of
`requirements.txt` below `.python_packages`, where Azure's worker looks for them: nothing is built
or downloaded in Azure. Everything is compiled, and the bytecode's validity does not hang on times,
which a deployment changes: a cold start compiles nothing. The same commit makes the same bytes.

https://learn.microsoft.com/azure/azure-functions/functions-deployment-technologies
"""

import argparse
import compileall
import py_compile
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from local.setup import WANTED_PYTHON

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / ".local" / "package"
SITE_PACKAGES = Path(".python_packages") / "lib" / "site-packages"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
"""What Azure Functions runs on: 64-bit Linux."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SEEN = frozenset({".git", ".local", ".venv", "node_modules", "__pycache__"})


class PackageFailed(Exception):
    """It cannot be built; says why."""


def app_files(root: Path) -> list[Path]:
    """The files that `.funcignore` lets through, relative to `root`, in order."""
    lines = (root / ".funcignore").read_text("utf-8").splitlines()
    ignored = GitIgnoreSpec.from_lines(lines)
    found = (path.relative_to(root) for path in _walk(root))
    return sorted(path for path in found if not ignored.match_file(path.as_posix()))


def build(root: Path, made: Path, *, here: bool = False) -> Path:
    """Build it in the folder `made`; gives the file. Raises PackageFailed.

    `here`: with packages for this machine, to run it here, not in Azure.
    """
    app = made / "app"
    shutil.rmtree(made, ignore_errors=True)
    for file in app_files(root):
        (app / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, app / file)
    _install(app / "requirements.txt", app / SITE_PACKAGES, here=here)
    _compile(app)
    return _pack(app, made / "app.zip")


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name not in _SEEN:
                yield from _walk(path)
        else:
            yield path


def _install(requirements: Path, target: Path, *, here: bool) -> None:
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-compile"]
    command += ["--target", str(target), "--requirement", str(requirements)]
    if not here:
        command += ["--implementation", "cp", "--python-version", WANTED_PYTHON]
        for platform in PLATFORMS:
            command += ["--platform", platform]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise PackageFailed("pip could not install what is deployed.")
    # Commands are for people, and name this machine's Python.
    shutil.rmtree(target / "bin", ignore_errors=True)


def _compile(app: Path) -> None:
    done = compileall.compile_dir(
        app,
        quiet=1,
        # Tracebacks name the file in the package.
        stripdir=str(app),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=0,
    )
    if not done:
        raise PackageFailed("Not everything compiles; the lines above say what does not.")


def _pack(app: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in app.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(app).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return file


def main(arguments: list[str]) -> int:
    """Builds it and says where it is; the exit code is 1 where it cannot be built."""
    parser = argparse.ArgumentParser(
        prog="python -m local package", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--here", action="store_true", help="for this machine, not for Azure")
    given = parser.parse_args(arguments)
    try:
        file = build(ROOT, MADE, here=given.here)
    except PackageFailed as error:
        print(error, file=sys.stderr)
        return 1
    size = file.stat().st_size / 2**20
    print(f"{file.relative_to(ROOT).as_posix()}: {size:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
