"""The library libltdl, which SQL Server's driver loads on Linux; elsewhere it brings its own."""

import os
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

from local import debian

PACKAGE = "libltdl7"
VARIABLE = "LD_LIBRARY_PATH"
_ADVICE = (
    f"SQL Server's driver needs the library libltdl: Debian and Ubuntu: apt-get install {PACKAGE}; "
    "Fedora: dnf install libtool-ltdl."
)


class NoLibrary(Exception):
    """It is not there, and cannot be installed; says what to do."""


def ensure(folder: Path) -> str:
    """What was found. Where it is missing it is installed, or, by whom may not, put into `folder`,
    where programs started from here on find it. Raises NoLibrary."""
    if not sys.platform.startswith("linux"):
        return "not needed here"
    if find_library("ltdl") is None:
        debian.install(PACKAGE)
    if found := find_library("ltdl"):
        return found
    if (library := _in(folder) or unpacked(folder)) is None:
        raise NoLibrary(_ADVICE)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = os.pathsep.join(filter(None, (str(library.parent), before)))
    return str(library)


def unpacked(folder: Path) -> Path | None:
    """Debian's package, downloaded and unpacked without being installed, which needs no rights."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "-qq", "download", PACKAGE], cwd=folder)
    for package in folder.glob(f"{PACKAGE}_*.deb"):
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=folder)
    return _in(folder)


def _in(folder: Path) -> Path | None:
    return next(folder.glob("usr/lib/**/libltdl.so.7"), None)
