"""host.json, settings files, and what a worker finds in its environment."""

import json
from pathlib import Path

import pytest

from local.host.environment import SettingsError, route_prefix, settings_file, worker_environment


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "prefix"),
    [
        ({}, "api"),
        ({"extensions": {"http": {}}}, "api"),
        ({"extensions": {"http": {"routePrefix": ""}}}, ""),
        ({"extensions": {"http": {"routePrefix": "v2/x"}}}, "v2/x"),
    ],
)
def test_route_prefix(tmp_path: Path, content: object, prefix: str) -> None:
    write(tmp_path / "host.json", content)
    assert route_prefix(tmp_path) == prefix


def test_route_prefix_without_host_json(tmp_path: Path) -> None:
    assert route_prefix(tmp_path) == "api"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "host.json: not valid JSON"),
        ("[]", "must be a JSON object"),
        ({"extensions": 1}, "the value above 'http' must be an object"),
        ({"extensions": {"http": {"routePrefix": 1}}}, "routePrefix must be a string"),
    ],
)
def test_bad_host_json(tmp_path: Path, content: object, message: str) -> None:
    write(tmp_path / "host.json", content)
    with pytest.raises(SettingsError, match=message):
        route_prefix(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"Values": []}, '"Values" must be an object'),
        ({"Values": {"LIMIT": 3}}, 'the setting "LIMIT" must be a string'),
        ({"IsEncrypted": True, "Values": {}}, "encrypted settings cannot be read"),
    ],
)
def test_bad_settings_file(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings_file(write(tmp_path / "s.json", content))


def test_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        settings_file(tmp_path / "s.json")


def test_precedence(tmp_path: Path) -> None:
    write(tmp_path / "local.settings.json", {"Values": {"A": "file", "B": "file", "C": "file"}})
    own = {"B": "own", "C": "own", "WEBSITE_SITE_NAME": "here", "PATH": "p"}
    environment = worker_environment(tmp_path, own, {"C": "explicit"})
    assert (environment["A"], environment["B"], environment["C"]) == ("file", "own", "explicit")
    assert "WEBSITE_SITE_NAME" not in environment
    assert environment["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert environment["AzureWebJobsScriptRoot"] == str(tmp_path)
    assert environment["AZURE_FUNCTIONS_ENVIRONMENT"] == "Development"


def test_clean_environment(tmp_path: Path) -> None:
    write(tmp_path / "local.settings.json", {"Values": {"A": "file"}})
    own = {"B": "own", "PATH": "p", "SystemRoot": "s", "COVERAGE_PROCESS_START": "c"}
    environment = worker_environment(
        tmp_path, own, {"WEBSITE_SITE_NAME": "as in Azure"}, inherit=False
    )
    assert not {"A", "B"} & environment.keys()
    assert {"PATH", "SystemRoot", "COVERAGE_PROCESS_START"} <= environment.keys()
    assert environment["WEBSITE_SITE_NAME"] == "as in Azure"
