"""The library libltdl, which SQL Server's driver loads on Linux; elsewhere it brings its own."""

import sys
from ctypes.util import find_library

from local import debian

_ADVICE = (
    "SQL Server's driver needs the library libltdl: Debian and Ubuntu: apt-get install libltdl7; "
    "Fedora: dnf install libtool-ltdl."
)


class NoLibrary(Exception):
    """It is not there, and cannot be installed; says what to do."""


def ensure() -> str:
    """What was found; installs it where it is missing. Raises NoLibrary."""
    if not sys.platform.startswith("linux"):
        return "not needed here"
    if find_library("ltdl") is None:
        debian.install("libltdl7")
    found = find_library("ltdl")
    if found is None:
        raise NoLibrary(_ADVICE)
    return found
