"""The lock: what we ask for, what is installed and what is deployed say the same."""

import re
from pathlib import Path

import pytest

from local.pins import ASKED, CONSTRAINTS, LOCKS, LockFailed, lock, normalised, repinned, versions

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", ASKED)
def test_what_we_ask_for_is_pinned_to_what_is_locked(name: str):
    asked, locked = versions(read(name)), versions(read(CONSTRAINTS))
    lines = [line for line in read(name).splitlines() if line and line[0] not in "#-"]
    assert len(asked) == len(lines) > 0
    assert {package: locked.get(package) for package in asked} == asked


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_a_lock_has_hashes_and_the_version_of_the_constraints(name: str):
    text = read(name)
    locked = versions(text)
    assert (
        versions(read(LOCKS[name])).items() <= locked.items() <= versions(read(CONSTRAINTS)).items()
    )
    packages = re.split(r"\n(?=\S)", text.strip())[1:]
    assert len(packages) == len(locked)
    assert all("--hash=sha256:" in package for package in packages)


def test_names_are_compared_as_the_index_does():
    assert normalised("Ruamel_YAML.clib") == "ruamel-yaml-clib"
    assert versions("a_B==1.0 ; os_name == 'nt'\n# c==2\n-r d.txt\n    --hash=sha256:0\n") == {
        "a-b": "1.0"
    }


def test_an_upgrade_changes_versions_and_nothing_else():
    text = "# Why.\n-r other.in\nopenai[aiohttp]==1.0\nPy_TZ==2 ; os_name == 'nt'\nkept==3\n"
    assert repinned(text, {"openai": "1.1", "py-tz": "2.5"}) == (
        "# Why.\n-r other.in\nopenai[aiohttp]==1.1\nPy_TZ==2.5 ; os_name == 'nt'\nkept==3\n"
    )


def test_versions_that_do_not_fit_change_no_file(tmp_path: Path):
    for name in (*ASKED, CONSTRAINTS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# nothing\n", "utf-8")
    (tmp_path / "requirements-dev.in").write_text("msgspec==0.22.0\nmsgspec==0.21.0\n", "utf-8")
    with pytest.raises(LockFailed, match=r"requirements-dev\.in"):
        lock(tmp_path, upgrade=False)
    assert not (tmp_path / "requirements.txt").exists()
    assert (tmp_path / CONSTRAINTS).read_text("utf-8") == "# nothing\n"
