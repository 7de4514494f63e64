"""The console is a caller like any other: it knows nothing of the backend's code."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(str(node.module).partition(".")[0])
    return names


def test_it_imports_nothing_of_the_backend_and_the_local_stack():
    files = list((ROOT / "console").glob("*.py"))
    assert len(files) > 10
    names = set().union(*map(imported, files))
    assert not names & {"shared", "local", "tests", "benchmarks", "function_app"}


def test_what_it_needs_is_pinned_and_in_its_requirements():
    lines = (ROOT / "console" / "requirements.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith(("#", "-"))]
    assert all("==" in line for line in pinned)
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert not set(pinned) - set(constraints)
    development = (ROOT / "requirements-dev.in").read_text("utf-8").splitlines()
    assert "-r console/requirements.txt" in development
