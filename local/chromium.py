"""Chromium for the browser tests: the one that is here, or one that can be installed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local import debian

VARIABLE = "CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
_MAC = ("Google Chrome", "Chromium", "Microsoft Edge")
_WINDOWS = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
_ADVICE = (
    "Install Chromium, Google Chrome or Microsoft Edge, or set CHROMIUM to the path of one "
    "(Debian and Ubuntu: apt-get install chromium)."
)


class NoChromium(Exception):
    """There is no browser, and none can be installed; says what to do."""


def find(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The browser's path: what the variable CHROMIUM names, else the first one found.

    Raises NoChromium where CHROMIUM names something that is not there.
    """
    if named := environ.get(VARIABLE):
        if not (path := Path(named)).is_file():
            raise NoChromium(f"CHROMIUM is {named}, which is no file. {_ADVICE}")
        return path
    for name in _NAMES:
        if found := shutil.which(name, path=environ.get("PATH")):
            return Path(found)
    places = [Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in _MAC]
    for variable in ("ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"):
        if folder := environ.get(variable):
            places += [Path(folder, name) for name in _WINDOWS]
    return next((path for path in places if path.is_file()), None) or _playwrights_own()


def ensure() -> Path:
    """The browser's path; installs one where there is none. Raises NoChromium."""
    if found := find():
        return found
    for install in (_install_debian, _install_playwrights):
        install()
        if found := find():
            return found
    raise NoChromium(f"There is no browser for the browser tests. {_ADVICE}")


def _install_debian() -> None:
    debian.install("chromium")


def _install_playwrights() -> None:
    print("playwright install chromium …", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    subprocess.run(command, stdin=subprocess.DEVNULL)


def _playwrights_own() -> Path | None:
    """The browser that `playwright install chromium` puts into the user's cache."""
    probe = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    path = Path(done.stdout.strip())
    return path if done.returncode == 0 and path.is_file() else None
