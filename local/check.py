"""`make check`: known vulnerabilities of what we use, and secrets in what is committed.

Who knows of vulnerabilities is asked over the network. Where nobody is reached, that is said, and
is no failure unless `--strict` says so; the search for secrets needs nobody. What is deployed, or
sent to browsers, may have no known vulnerability; what only developers use is told.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ".secrets.baseline"
"""What looks like a secret and was looked at: keys of emulators and tests, words of documents."""
LOCKS = r"(^|/)(package-lock\.json|requirements[^/]*\.txt|constraints\.txt|\.secrets\.baseline)$"
"""Full of hashes."""
OSV = "https://api.osv.dev/v1/query"
SECONDS = 120.0

type State = Literal["passed", "failed", "told", "not checked"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check. `told`: something that developers should know, and that reaches no user."""

    name: str
    state: State
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((f"{self.name}: {self.state}", *(f"  {line}" for line in self.lines)))


def python_packages(root: Path, osv: str) -> Iterator[Outcome]:
    """The packages of both locks, by OSV's database."""
    deployed = _vulnerable(root, "requirements.txt", osv)
    developers = None if deployed is None else _vulnerable(root, "requirements-dev.txt", osv)
    if deployed is None or developers is None:
        yield Outcome("Python packages", "not checked", ("The database is not reached.",))
        return
    yield Outcome("deployed Python packages", "failed" if deployed else "passed", deployed)
    others = tuple(line for line in developers if line not in deployed)
    yield Outcome("developers' Python packages", "told" if others else "passed", others)


def _vulnerable(root: Path, lock: str, osv: str) -> tuple[str, ...] | None:
    """What is known of a lock's packages; None: nobody was reached."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip"]
    command += ["--no-deps", "--progress-spinner", "off", "--format", "json", "--timeout", "15"]
    command += ["--vulnerability-service", "osv", "--osv-url", osv]
    answer = _json(command, root)
    if not answer or "dependencies" not in answer:
        return None
    return tuple(
        f"{package['name']} {package['version']}: {found['id']}, mended in "
        f"{', '.join(found['fix_versions']) or 'no version yet'}"
        for package in answer["dependencies"]
        for found in package.get("vulns", ())
    )


def node_packages(root: Path, registry: str | None) -> Iterator[Outcome]:
    """The packages that browsers are sent, and those that developers use besides."""
    yield _audited(root, registry, "browsers' node packages", "failed", "--omit=dev")
    yield _audited(root, registry, "developers' node packages", "told")
    yield _audited(root / "tests" / "clients", registry, "tests' node packages", "told")


def _audited(folder: Path, registry: str | None, name: str, bad: State, *options: str) -> Outcome:
    npm = shutil.which("npm")
    command = [npm or "npm", "audit", "--json", "--package-lock-only", *options]
    answer = _json([*command, *(("--registry", registry) if registry else ())], folder)
    if not answer or "vulnerabilities" not in answer:
        return Outcome(name, "not checked", ("The registry tells nothing of them.",))
    found = answer["vulnerabilities"]
    lines = tuple(f"{package}: {one['severity']}" for package, one in found.items())
    return Outcome(name, bad if lines else "passed", lines)


def secrets(root: Path) -> Iterator[Outcome]:
    """What git tracks that looks like a secret and was not looked at."""
    known = json.loads((root / BASELINE).read_text("utf-8"))["results"]
    found = _scan(root)
    if found is None:
        yield Outcome("secrets", "not checked", ("detect-secrets did not run.",))
        return
    seen = {(file, secret["hashed_secret"]) for file in known for secret in known[file]}
    new = tuple(
        f"{file}, line {secret['line_number']}: {secret['type']}. Take it out and make a new one; "
        "where it is none, run: python -m local check --update"
        for file, there in sorted(found.items())
        for secret in there
        if (file, secret["hashed_secret"]) not in seen
    )
    yield Outcome("secrets", "failed" if new else "passed", new)


def update(root: Path) -> None:
    """Take what is found now as looked at."""
    found = _scan(root) or {}
    results = {
        file: [
            {"type": secret["type"], "hashed_secret": secret["hashed_secret"]} for secret in there
        ]
        for file, there in sorted(found.items())
    }
    text = json.dumps({"results": results}, indent=1)
    (root / BASELINE).write_text(f"{text}\n", "utf-8", newline="\n")


def _scan(root: Path) -> dict[str, Any] | None:
    # Never verified: that would send what was found to whoever it belongs to.
    command = [sys.executable, "-m", "detect_secrets", "scan", "--no-verify"]
    answer = _json([*command, "--exclude-files", LOCKS], root)
    return None if answer is None else dict(answer["results"])


def _json(command: list[str], folder: Path) -> Any:
    """What a command prints, whatever its exit code; None: nothing that can be read."""
    environment: Mapping[str, str] = {**os.environ, "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=SECONDS
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def run(root: Path, osv: str, registry: str | None) -> Iterator[Outcome]:
    """All checks, one after the other."""
    yield from secrets(root)
    yield from python_packages(root, osv)
    yield from node_packages(root, registry)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Tells every outcome; the exit code is 1 where one failed (--strict: or was not checked)."""
    parser = argparse.ArgumentParser(
        prog="python -m local check", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--strict", action="store_true", help="what was not checked has failed")
    parser.add_argument("--update", action="store_true", help="what looks like secrets is none")
    parser.add_argument("--osv", default=OSV, help="a database of your own that speaks OSV's API")
    parser.add_argument("--npm-registry", help="a registry of your own")
    given = parser.parse_args(arguments)
    if given.update:
        update(root)
    outcomes = []
    for outcome in run(root, given.osv, given.npm_registry):
        print(outcome, flush=True)
        outcomes.append(outcome.state)
    bad = {"failed", "not checked"} if given.strict else {"failed"}
    return 1 if bad.intersection(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
