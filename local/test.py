"""`make test`: every check and test, one after the other; goes on after one that fails."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from local import check, chromium, libltdl
from local.setup import SetupFailed, find_node, set_up_clients, set_up_minilm

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".local" / "test"
COVERED_PERCENT = 95
SIDE_BY_SIDE = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile")
"""All tests run in several processes: they wait more than they compute. The tests of one file stay
together, with the servers that they started."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: the steps to run, and arguments for pytest."""

    only: frozenset[str]
    pytest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many tests, or checks, passed and failed."""

    passed: int = 0
    failed: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name for `--only`, its headline, and what it does."""

    name: str
    headline: str
    act: Callable[[Options], Count]


def parse(arguments: list[str]) -> Options:
    """Reads the command line; exits with its help or with what is wrong."""
    names = [step.name for step in STEPS]
    parser = argparse.ArgumentParser(
        prog="python -m local test",
        description="Run every check and test.",
        epilog="What follows -- goes to pytest: python -m local test --only unit -- -k window",
    )
    parser.add_argument(
        "--only", metavar="STEP,…", help=f"only these steps, of: {', '.join(names)}"
    )
    parser.add_argument("pytest", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    only = frozenset(given.only.split(",") if given.only else ())
    if unknown := only.difference(names):
        parser.error(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return Options(only, tuple(given.pytest))


def main(options: Options) -> int:
    """Runs the steps; the exit code is 1 if anything failed."""
    os.chdir(ROOT)
    RESULTS.mkdir(parents=True, exist_ok=True)
    total = Count()
    failed: list[str] = []
    for step in STEPS:
        if options.only and step.name not in options.only:
            continue
        print(f"\n== {step.headline}", flush=True)
        begun = time.monotonic()
        count = step.act(options)
        if count.failed:
            failed.append(step.name)
        result = "FAILED" if count.failed else "ok"
        print(f"== {step.name}: {result}, {time.monotonic() - begun:.1f} s", flush=True)
        total += count
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    print(f"\n{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


def _browser(options: Options) -> Count:
    try:
        path = chromium.ensure()
    except chromium.NoChromium as error:
        print(error)
        return Count(failed=1)
    print(path)
    # The tests, and who else looks for one, find this one.
    os.environ[chromium.VARIABLE] = str(path)
    return Count(passed=1)


def _driver(options: Options) -> Count:
    try:
        print(libltdl.ensure(ROOT / ".local" / "libltdl"))
    except libltdl.NoLibrary as error:
        print(error)
        return Count(failed=1)
    return Count(passed=1)


def _clients(options: Options) -> Count:
    try:
        set_up_clients(ROOT)
        set_up_minilm(ROOT)
    except SetupFailed as error:
        print(error)
        return Count(failed=1)
    return Count(passed=1)


def _lint(options: Options) -> Count:
    return _check("ruff", "check") + _check("ruff", "format", "--check")


def _types(options: Options) -> Count:
    return _check("mypy")


def _web(options: Options) -> Count:
    projects = (ROOT / "web", ROOT / "local" / "drawer")
    return sum((check_scripts(project / "jsconfig.json") for project in projects), Count())


def check_scripts(project: Path) -> Count:
    """Types of all the JavaScript that a `jsconfig.json` names, by their JSDoc."""
    node, _ = find_node()
    tsc = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
    return _counted(subprocess.run([node, str(tsc), "--project", str(project)]).returncode)


def _secrets(options: Options) -> Count:
    (outcome,) = check.secrets(ROOT)
    print(outcome)
    return _counted(outcome.state != "passed")


def _layers(options: Options) -> Count:
    # The tool has no module to run, only this function behind its command.
    code = "from importlinter.cli import lint_imports_command as main; main()"
    return _counted(_run("-c", code, env={"PYTHONPATH": str(ROOT)}))


def _tests(options: Options) -> Count:
    """pytest under coverage, worker processes included (`patch` in pyproject.toml)."""
    for old in RESULTS.iterdir():
        old.unlink()
    report = RESULTS / "junit.xml"
    measured = ("-m", "coverage", "run", f"--data-file={RESULTS / 'coverage'}", "-m", "pytest")
    code = _run(*measured, f"--junitxml={report}", *(options.pytest or SIDE_BY_SIDE))
    count = _junit(report) if report.exists() else Count()
    # A run that breaks off, or finds no test, has failed even where no test has.
    return count + Count(failed=1) if code and not count.failed else count


def _coverage(options: Options) -> Count:
    data = f"--data-file={RESULTS / 'coverage'}"
    if _run("-m", "coverage", "combine", "--quiet", data):
        return Count(failed=1)
    return _check("coverage", "report", data, f"--fail-under={COVERED_PERCENT}")


STEPS = (
    Step("browser", "Browser", _browser),
    Step("driver", "The library of SQL Server's driver", _driver),
    Step("clients", "Clients that others wrote, and a real embeddings model", _clients),
    Step("lint", "Lint: ruff check, ruff format", _lint),
    Step("types", "Types: mypy, strict", _types),
    Step("web", "Web: tsc over the page and the client", _web),
    Step("layers", "Layers: import-linter", _layers),
    Step("secrets", "Secrets: detect-secrets over what git tracks", _secrets),
    Step("unit", "Tests: unit, contract, end to end, browser", _tests),
    Step("coverage", f"Branch coverage of shared/: at least {COVERED_PERCENT} %", _coverage),
)


def _check(*module: str) -> Count:
    return _counted(_run("-m", *module))


def _counted(code: int) -> Count:
    return Count(failed=1) if code else Count(passed=1)


def _run(*arguments: str, env: Mapping[str, str] | None = None) -> int:
    return subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **(env or {})}
    ).returncode


def _junit(report: Path) -> Count:
    """Counts a report of pytest's, each test once. One that was skipped has shown nothing: failed.

    pytest reports an expected failure as skipped, too.
    """
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))  # noqa: S314 (our own file)
    failed = 0
    for case in cases:
        if any(case.find(tag) is not None for tag in ("failure", "error")):
            failed += 1
        elif (skipped := case.find("skipped")) is not None:
            failed += 1
            name = f"{case.get('classname')}.{case.get('name')}"
            print(f"Skipped, which counts as failed: {name}: {skipped.get('message')}")
    return Count(passed=len(cases) - failed, failed=failed)


if __name__ == "__main__":
    sys.exit(main(parse(sys.argv[1:])))
