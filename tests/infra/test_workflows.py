"""The workflows: valid, judged by zizmor, with the least permissions and without a secret."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.infra.files import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
IGNORED = {("deploy.yml", "self-repository")}
"""Rules of zizmor that a line sets aside; the line itself says why."""

PERMISSIONS = {
    "test": {"test": {"contents": "read"}},
    "deploy": {
        "test": {"contents": "read"},
        "package": {"contents": "read"},
        "api": {"id-token": "write"},
        "web": {"contents": "read", "id-token": "write"},
    },
    "update": {
        "lock": {"contents": "read"},
        "propose": {"contents": "write", "pull-requests": "write"},
    },
}


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(GITHUB / "workflows" / f"{name}.yml")
    return loaded


def steps(name: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow(name)["jobs"][job]["steps"]
    return found


def commands(name: str, job: str) -> str:
    return "\n".join(step.get("run", "") for step in steps(name, job))


def check_schema(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    command = shutil.which("zizmor", path=str(Path(sys.executable).parent))
    assert command, "zizmor is missing: it is in requirements-dev.txt"
    argv = [command, "--offline", "--no-progress", "--pedantic", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_valid(path: Path):
    done = check_schema("vendor.github-workflows", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dependabots_file_is_valid_and_names_actions_and_npm():
    done = check_schema("vendor.dependabot", GITHUB / "dependabot.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    updates = YAML(typ="safe").load(GITHUB / "dependabot.yml")["updates"]
    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "npm"}


def test_zizmor_finds_nothing():
    done = zizmor(GITHUB)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_tools_would_find_something(tmp_path: Path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    path = folder / "bad.yml"
    text = (
        "name: bad\non: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    path.write_text(text, encoding="utf-8")
    found = zizmor(path)
    assert found.returncode > 0
    assert "template-injection" in found.stdout
    path.write_text(text.replace("runs-on", "runs_on"), encoding="utf-8")
    assert check_schema("vendor.github-workflows", path).returncode > 0


def test_what_zizmor_is_told_to_ignore_is_known_and_has_a_reason():
    ignored = set()
    for path in WORKFLOWS:
        for rules, reason in re.findall(
            r"# zizmor: ignore\[([\w,-]+)\](.*)", path.read_text("utf-8")
        ):
            assert len(reason.split()) > 3
            ignored |= {(path.name, rule) for rule in rules.split(",")}
    assert ignored == IGNORED


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_pinned_by_its_commit_with_its_version_beside(path: Path):
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_one_version_of_each_action():
    used = {
        use
        for path in WORKFLOWS
        for use in re.findall(r"uses: (\w\S+@\S+)", path.read_text("utf-8"))
    }
    assert len(used) == len({use.partition("@")[0] for use in used})


@pytest.mark.parametrize("name", PERMISSIONS)
def test_jobs_may_do_what_they_must_and_no_more(name: str):
    loaded = workflow(name)
    assert loaded["permissions"] == {}
    jobs = {job: body.get("permissions") for job, body in loaded["jobs"].items()}
    assert jobs == PERMISSIONS[name]


def test_every_workflow_is_judged_here():
    assert {path.stem for path in WORKFLOWS} == set(PERMISSIONS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_there_is_no_secret_but_githubs_own_token(path: Path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bsecrets[.\[]", text)
    assert ("github.token" in text) == (path.stem == "update")
    for body in workflow(path.stem)["jobs"].values():
        assert "secrets" not in body  # none is passed on
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_test_runs_make_test_on_python_313_and_node_20():
    found = steps("test", "test")
    given = {
        step["uses"].partition("@")[0]: step.get("with", {}) for step in found if "uses" in step
    }
    assert given["actions/setup-python"]["python-version"] == "3.13"
    assert given["actions/setup-node"]["node-version"] == "20"
    assert commands("test", "test").strip() == "make test"
    assert {"pull_request", "push", "workflow_call"} <= set(workflow("test")["on"])


@pytest.mark.parametrize("job", ["api", "web"])
def test_deploy_signs_in_by_oidc_with_variables(job: str):
    (login,) = (
        step for step in steps("deploy", job) if step.get("uses", "").startswith("azure/login@")
    )
    assert login["with"] == {
        "client-id": "${{ vars.AZURE_CLIENT_ID }}",
        "tenant-id": "${{ vars.AZURE_TENANT_ID }}",
        "subscription-id": "${{ vars.AZURE_SUBSCRIPTION_ID }}",
    }
    assert workflow("deploy")["jobs"][job]["environment"] == "production"


def test_deploy_sends_the_tested_package_and_azure_builds_nothing():
    jobs = workflow("deploy")["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert jobs["api"]["needs"] == ["test", "package"]
    assert "python -m local package" in commands("deploy", "package")
    (upload,) = (s for s in steps("deploy", "package") if "upload-artifact" in s.get("uses", ""))
    assert upload["with"]["path"] == ".local/package/app.zip"
    # Else the folder, whose name begins with a dot, would be left out.
    assert upload["with"]["include-hidden-files"] is True
    sent = commands("deploy", "api")
    assert "az functionapp deployment source config-zip" in sent
    assert "--src app.zip --build-remote false" in sent
    # What may sign in has no code of the project beside it.
    assert not [s for s in steps("deploy", "api") if "checkout" in s.get("uses", "")]


def test_deploy_publishes_the_page_where_it_is_linked_by_a_token_that_nobody_keeps():
    publish = steps("deploy", "web")[-1]["run"]
    fetched, masked, exported, used = (
        publish.index(part)
        for part in (
            "SWA_CLI_DEPLOYMENT_TOKEN=$(az staticwebapp secrets list",
            'echo "::add-mask::$SWA_CLI_DEPLOYMENT_TOKEN"',
            "export SWA_CLI_DEPLOYMENT_TOKEN",
            "npx --no-install swa deploy .local/web --env production",
        )
    )
    assert fetched < masked < exported < used
    for kept in ("GITHUB_OUTPUT", "GITHUB_ENV", "--deployment-token", "--print-token"):
        assert kept not in publish


def test_deploy_does_nothing_where_nothing_is_set_up():
    jobs = workflow("deploy")["jobs"]
    for job in ("test", "package"):
        assert jobs[job]["if"] == "vars.AZURE_FUNCTION_APP_NAME != ''"


def test_update_locks_and_tests_where_it_may_not_write():
    update = workflow("update")
    (schedule,) = update["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
    run = commands("update", "lock")
    assert run.index("python -m local lock --upgrade && python -m local licences") < run.index(
        "make test"
    )


def test_update_proposes_where_it_runs_nothing_of_the_packages():
    propose = workflow("update")["jobs"]["propose"]
    assert propose["needs"] == "lock"
    assert propose["if"] == "needs.lock.outputs.changed == 'true'"
    run = commands("update", "propose")
    assert "gh pr create" in run
    words = set(re.findall(r"^\s*(\w+)", run, re.MULTILINE))
    assert words <= {"git", "gh", "if", "fi"}
