"""`make test` itself: its options, how it counts, and the browser that it looks for."""

import os
import shutil
from pathlib import Path

import pytest

from local import chromium
from local.test import ROOT, STEPS, Count, _junit, check_scripts, parse


def test_options():
    assert parse([]).only == frozenset()
    options = parse(["--only", "lint,unit", "--", "-k", "window", "-x"])
    assert options.only == {"lint", "unit"}
    assert options.pytest == ("-k", "window", "-x")


def test_a_step_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["--only", "lint,magic"])
    told = capsys.readouterr().err
    assert "no such step: magic" in told
    assert all(step.name in told for step in STEPS)


def test_counts_add_up():
    assert Count(2, 1) + Count(3, 4) == Count(5, 5)


def test_a_report_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    report = tmp_path / "junit.xml"
    report.write_text(
        "<testsuites><testsuite>"
        "<testcase name='a'/><testcase name='b'><system-out>x</system-out></testcase>"
        "<testcase name='c'><failure>x</failure></testcase>"
        "<testcase name='d'><error>x</error></testcase>"
        "<testcase name='e'><failure>x</failure><error>x</error></testcase>"
        "<testcase classname='m' name='f'><skipped message='no browser'>x</skipped></testcase>"
        "</testsuite></testsuites>"
    )
    assert _junit(report) == Count(passed=2, failed=4)
    assert "m.f: no browser" in capsys.readouterr().out


def test_a_suite_that_is_skipped_has_failed(tmp_path: Path):
    report = tmp_path / "junit.xml"
    report.write_text("<testsuites><testcase name='a'><skipped/></testcase></testsuites>")
    assert _junit(report) == Count(passed=0, failed=1)


def test_the_web_is_checked_between_types_and_layers():
    names = [step.name for step in STEPS]
    at = names.index("web")
    assert names[at - 1 : at + 2] == ["types", "web", "layers"]
    assert STEPS[at].headline == "Web: tsc over the page and the client"


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("/** @param {string} text */ export const f = (text) => text.trim();", Count(passed=1)),
        ("/** @param {string} text */ export const f = (text) => text.trip();", Count(failed=1)),
        ("export const f = (text) => text;", Count(failed=1)),
        ("/** @type {string[]} */ const a = []; a[0].trim();", Count(failed=1)),
    ],
)
def test_scripts_are_checked_strictly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str, count: Count
):
    (tmp_path / "client").mkdir()
    shutil.copy(ROOT / "web" / "jsconfig.json", tmp_path)
    for name in ("page.js", "client/client.js"):
        (tmp_path / name).write_text(script)
    # With its declarations beside it, as the client has them.
    (tmp_path / "client" / "client.d.ts").write_text("export {};")
    assert check_scripts(tmp_path / "jsconfig.json") == count
    told = capfd.readouterr().out
    for name in ("page.js", "client/client.js"):
        assert (name in told) == bool(count.failed)


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o755)
    return path


def test_the_named_browser_wins(tmp_path: Path):
    mine = program(tmp_path / "mine")
    assert chromium.find({"CHROMIUM": str(mine), "PATH": os.environ["PATH"]}) == mine


def test_a_named_browser_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(chromium.NoChromium, match=r"CHROMIUM is .*nothing, which is no file"):
        chromium.find({"CHROMIUM": str(tmp_path / "nothing")})


def test_a_browser_on_the_path_is_found(tmp_path: Path):
    suffix = ".exe" if os.name == "nt" else ""
    found = program(tmp_path / f"chromium{suffix}")
    assert chromium.find({"PATH": str(tmp_path), "PATHEXT": ".EXE"}) == found


def test_a_browser_in_windows_folders_is_found(tmp_path: Path):
    edge = program(tmp_path / "Microsoft" / "Edge" / "Application" / "msedge.exe")
    found = chromium.find({"PATH": "", "ProgramFiles(x86)": str(tmp_path)})
    mac = Path("/Applications/Google Chrome.app").exists()
    assert found == edge or mac
