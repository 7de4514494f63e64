"""Set-up: what is missing is said, what is there is kept, what was interrupted heals."""

import ast
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from local.__main__ import candidates, is_wanted
from local.lock import lock, try_lock
from local.setup import (
    STAMP,
    SetupFailed,
    environment_python,
    find_node,
    fingerprint,
    is_stamped,
    set_up,
)

ROOT = Path(__file__).resolve().parents[2]


def fake(folder: Path, name: str, says: str) -> Path:
    """A program that prints one line."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        program = folder / f"{name}.cmd"
        program.write_text(f"@echo {says}\n")
    else:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
    return program


def test_any_python_from_3_8_on_can_read_the_bootstrap():
    for name in ("__init__.py", "__main__.py"):
        ast.parse((ROOT / "local" / name).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_python_is_looked_for_on_the_path_first_then_where_pyenv_keeps_them(tmp_path: Path):
    found = {"python3.13": "/path/python3.13", "python": "/path/python"}
    versions = tmp_path / "pyenv" / "versions"
    for version in ("3.12.1", "3.13.0", "3.13.2"):
        fake(versions / version / "bin", "python", "")
    environ = {"PYENV_ROOT": str(tmp_path / "pyenv")}
    listed = [c.replace(os.sep, "/") for c in candidates(tmp_path, environ, found.get)]
    assert listed[:2] == ["/path/python3.13", "/path/python"]
    ours = [c for c in listed if "versions" in c and "pyenv" in c]
    assert [re.search(r"3\.\d+\.\d+", c)[0] for c in ours] == ["3.13.2", "3.13.0"]  # type: ignore[index]


def test_only_a_python_that_starts_and_is_the_right_one_counts(tmp_path: Path):
    assert is_wanted(sys.executable)
    assert not is_wanted(str(fake(tmp_path, "old", "3 12")))
    assert not is_wanted(str(tmp_path / "none"))


def test_node_that_is_missing_or_old_or_without_npm_is_said(tmp_path: Path):
    with pytest.raises(SetupFailed, match=r"Node\.js is missing.*https://nodejs\.org"):
        find_node(str(tmp_path / "empty"))
    fake(tmp_path / "old", "node", "v18.20.1")
    with pytest.raises(SetupFailed, match=r"Node\.js v18\.20\.1 .* too old.*20 or newer"):
        find_node(str(tmp_path / "old"))
    fake(tmp_path / "odd", "node", "hello")
    with pytest.raises(SetupFailed, match="does not work"):
        find_node(str(tmp_path / "odd"))
    fake(tmp_path / "new", "node", "v24.0.0")
    with pytest.raises(SetupFailed, match="npm is missing"):
        find_node(str(tmp_path / "new"))
    fake(tmp_path / "new", "npm", "11.0.0")
    node, npm = find_node(str(tmp_path / "new"))
    assert Path(node).stem == "node"
    assert Path(npm).stem == "npm"


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["nonsense"], 2), (["--help"], 0), (["-h"], 0)]
)
def test_the_usage_is_shown(arguments: list[str], code: int):
    command = [sys.executable, "-m", "local", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code
    assert "python -m local <command>" in (done.stderr if code else done.stdout)


def test_a_fingerprint_knows_contents_and_not_line_ends(tmp_path: Path):
    file = tmp_path / "requirements.txt"
    file.write_bytes(b"a==1\nb==2\n")
    before = fingerprint([file], "3.13.0")
    file.write_bytes(b"a==1\r\nb==2\r\n")
    assert fingerprint([file], "3.13.0") == before
    assert fingerprint([file], "3.13.1") != before
    file.write_bytes(b"a==1\nb==3\n")
    assert fingerprint([file], "3.13.0") != before


def test_who_has_a_lock_is_alone(tmp_path: Path):
    path = tmp_path / "folder" / "lock"
    with try_lock(path) as first, try_lock(path) as second:
        assert (first, second) == (True, False)
    with try_lock(path) as again:
        assert again


def test_who_waits_for_a_lock_says_so_and_gets_it(tmp_path: Path):
    path = tmp_path / "lock"
    waits, has = threading.Event(), threading.Event()

    def second() -> None:
        with lock(path, waits.set):
            has.set()

    with try_lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(60)
        assert not has.is_set()
    assert has.wait(60)
    thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the same form that needs no package from anywhere."""
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\n")
    package = {"name": "project", "version": "1.0.0", "private": True}
    (tmp_path / "package.json").write_text(json.dumps(package))
    lock_file = {**package, "lockfileVersion": 3, "requires": True, "packages": {"": package}}
    (tmp_path / "package-lock.json").write_text(json.dumps(lock_file))
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "vendor.mjs").write_text(
        "import { mkdirSync, writeFileSync } from 'node:fs';\n"
        "mkdirSync('web/vendor', { recursive: true }); writeFileSync('web/vendor/x.js', '1');\n"
    )
    return tmp_path


def test_set_up_makes_everything_once_and_mends_what_was_broken(
    project: Path, capfd: pytest.CaptureFixture[str]
):
    def told(change: Callable[[], object] = lambda: None) -> list[str]:
        change()
        capfd.readouterr()
        assert set_up(project) == python
        assert subprocess.run([python, "-c", "import pip"]).returncode == 0
        assert (project / "node_modules" / STAMP).exists()
        said = capfd.readouterr()
        assert said.out == "", "standard output is the command's own"
        return [line for line in said.err.splitlines() if line.endswith("…")]

    python = environment_python(project / ".venv")
    stamps = [project / ".venv" / STAMP, project / "node_modules" / STAMP]
    installs = ["Installing Python packages …", "Installing node modules …"]
    assert told() == ["Making .venv …", *installs]
    assert (project / "web" / "vendor" / "x.js").read_text() == "1"
    # Nothing has changed: nothing is done, but for the copies that somebody took away.
    assert told((project / "web" / "vendor" / "x.js").unlink) == []
    assert (project / "web" / "vendor" / "x.js").exists()

    # Interrupted before the stamps.
    def unstamp() -> None:
        for stamp in stamps:
            stamp.unlink()

    assert told(unstamp) == installs
    # Interrupted while the environment was made, or its Python has gone.
    assert told(python.unlink)[0] == "Making .venv …"
    # A requirement, a package.
    requirements = project / "requirements.txt"
    assert told(lambda: requirements.write_text("# changed\n")) == installs[:1]
    console = project / "console"
    console.mkdir()
    assert told(lambda: (console / "requirements.txt").write_text("")) == installs[:1]
    assert told() == []


def test_a_set_up_that_fails_says_what_failed_and_is_not_taken_for_done(project: Path):
    (project / "package-lock.json").write_text("{")
    with pytest.raises(SetupFailed, match=r"Installing node modules failed: `.*npm.* ci"):
        set_up(project)
    assert not is_stamped(project / "node_modules", "anything")
    assert not (project / "node_modules" / STAMP).exists()


def test_the_lock_file_names_nobodys_registry():
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    assert len(packages) > 100
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all("integrity" in package for name, package in packages.items() if name)


def test_the_page_has_its_libraries():
    modules, vendor = ROOT / "node_modules", ROOT / "web" / "vendor"
    marked = modules / "marked" / "lib" / "marked.esm.js"
    dompurify = modules / "dompurify" / "dist" / "purify.es.mjs"
    subprocess.run(["npm", "run", "build"], cwd=ROOT, check=True, shell=os.name == "nt")
    assert (vendor / "marked.js").read_bytes() == marked.read_bytes()
    assert (vendor / "dompurify.js").read_bytes() == dompurify.read_bytes()
    assert not list(vendor.glob("*.partial"))
