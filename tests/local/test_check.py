"""Known vulnerabilities and secrets: found, told, and said where nobody could be asked."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local.check import BASELINE, Outcome, main, node_packages, python_packages, secrets, update
from local.loopback import serving

LOCKED = "msgspec==0.22.0 \\\n    --hash=sha256:00\n"
NOBODY = "http://127.0.0.1:9"
# Made up; in two parts, so that it is none here.
PLANTED = "AKIA" + "IOSFODNN7EXAMPLQ"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of its own, which git tracks."""
    files = {
        "requirements.txt": LOCKED,
        "requirements-dev.txt": f"{LOCKED}ruff==0.1.0 \\\n    --hash=sha256:00\n",
        "package.json": json.dumps(
            {
                "name": "x",
                "version": "1.0.0",
                "dependencies": {"sent": "1.0.0"},
                "devDependencies": {"used": "1.0.0"},
            }
        ),
        "package-lock.json": json.dumps(LOCK),
        "app.py": "print('nothing')\n",
        BASELINE: '{"results": {}}',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "tests" / "clients").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "tests" / "clients" / name).write_text(files[name])
    track(tmp_path)
    return tmp_path


def package(name: str, dev: bool) -> dict[str, Any]:
    place = f"https://registry.example.com/{name}/-/{name}-1.0.0.tgz"
    return {"version": "1.0.0", "resolved": place, "integrity": "sha512-x", "dev": dev}


LOCK = {
    "name": "x",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "packages": {
        "": {
            "name": "x",
            "version": "1.0.0",
            "dependencies": {"sent": "1.0.0"},
            "devDependencies": {"used": "1.0.0"},
        },
        "node_modules/sent": package("sent", False),
        "node_modules/used": package("used", True),
    },
}


def track(folder: Path) -> None:
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


class Knows:
    """OSV and a registry that know of vulnerabilities in the packages that are named."""

    def __init__(self, *bad: str) -> None:
        self.bad = bad

    async def osv(self, request: web.Request) -> web.Response:
        name = (await request.json())["package"]["name"]
        return web.json_response({"vulns": [vulnerability(name)] if name in self.bad else []})

    async def advisories(self, request: web.Request) -> web.Response:
        return web.json_response({name: [ADVISORY] for name in self.bad})


def vulnerability(name: str) -> dict[str, Any]:
    """As OSV tells it."""
    events = [{"introduced": "0"}, {"fixed": "9.9"}]
    return {
        "id": "PYSEC-2026-1",
        "summary": "Something",
        "published": "2026-01-01T00:00:00Z",
        "affected": [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
    }


ADVISORY = {
    "id": 1,
    "url": "https://example.com/1",
    "title": "Something",
    "severity": "high",
    "vulnerable_versions": "<2.0.0",
    "cwe": [],
    "cvss": {"score": 9, "vectorString": None},
}


@pytest.fixture
async def knows() -> AsyncIterator[Knows]:
    knowing = Knows()
    app = web.Application()
    app.router.add_post("/v1/query", knowing.osv)
    app.router.add_post("/-/npm/v1/security/advisories/bulk", knowing.advisories)
    async with serving(app) as url:
        knowing.url = url  # type: ignore[attr-defined]
        yield knowing


async def outcomes(root: Path, knows: Knows, *bad: str) -> dict[str, Outcome]:
    knows.bad = bad
    url = knows.url  # type: ignore[attr-defined]

    def ask() -> list[Outcome]:
        return [*python_packages(root, f"{url}/v1/query"), *node_packages(root, url)]

    return {outcome.name: outcome for outcome in await asyncio.to_thread(ask)}


async def test_what_is_deployed_or_sent_may_have_none(root: Path, knows: Knows) -> None:
    found = await outcomes(root, knows, "msgspec", "sent")
    deployed = found["deployed Python packages"]
    assert (deployed.state, deployed.lines) == (
        "failed",
        ("msgspec 0.22.0: PYSEC-2026-1, mended in 9.9",),
    )
    sent = found["browsers' node packages"]
    assert (sent.state, sent.lines) == ("failed", ("sent: high",))
    assert found["developers' Python packages"].state == "passed"


async def test_what_developers_use_is_told(root: Path, knows: Knows) -> None:
    found = await outcomes(root, knows, "ruff", "used")
    assert found["deployed Python packages"].state == "passed"
    assert found["browsers' node packages"].state == "passed"
    for name, line in (
        ("developers' Python packages", "ruff 0.1.0: PYSEC-2026-1, mended in 9.9"),
        ("developers' node packages", "used: high"),
        ("tests' node packages", "used: high"),
    ):
        assert (found[name].state, found[name].lines) == ("told", (line,))


async def test_nothing_is_known(root: Path, knows: Knows) -> None:
    found = await outcomes(root, knows)
    assert {outcome.state for outcome in found.values()} == {"passed"}
    assert len(found) == 5


def test_where_nobody_is_reached_that_is_said_and_fails_only_if_strict(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = ["--osv", f"{NOBODY}/v1/query", "--npm-registry", NOBODY]
    assert main(nobody, root) == 0
    said = capsys.readouterr().out
    assert "Python packages: not checked" in said
    assert "browsers' node packages: not checked" in said
    assert "secrets: passed" in said
    assert main([*nobody, "--strict"], root) == 1


def test_a_planted_secret_is_found_and_the_command_fails(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "app.py").write_text(f"print('nothing')\nkey = '{PLANTED}'\n")
    track(root)
    (outcome,) = secrets(root)
    assert outcome.state == "failed"
    assert outcome.lines[0].startswith("app.py, line 2: AWS Access Key. Take it out")
    assert PLANTED not in str(outcome)
    assert main(["--osv", f"{NOBODY}/v1/query", "--npm-registry", NOBODY], root) == 1
    assert "secrets: failed" in capsys.readouterr().out


def test_what_was_looked_at_is_no_longer_told_and_another_one_is(root: Path) -> None:
    (root / "app.py").write_text(f"key = '{PLANTED}'\n")
    track(root)
    update(root)
    assert PLANTED not in (root / BASELINE).read_text()
    assert [outcome.state for outcome in secrets(root)] == ["passed"]
    (root / "app.py").write_text(f"\n\nkey = '{PLANTED}'\n")
    assert [outcome.state for outcome in secrets(root)] == ["passed"]  # only lines moved
    (root / "app.py").write_text(f"key = '{PLANTED[:-1]}P'\n")
    assert [outcome.state for outcome in secrets(root)] == ["failed"]
