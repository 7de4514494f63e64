"""docs/deploy.md: it knows every parameter, and says what was not tried."""

import json
import re

import pytest

from tests.infra.bicep import Call, Resource
from tests.infra.files import INFRA, ROOT, at, deployed, file

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
GROUPS = ("INFRA_POSTGRES_", "INFRA_EXISTING_")


def variables() -> list[str]:
    given = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    return [
        found[1]
        for each in given.values()
        if isinstance(each["value"], str) and (found := re.match(r"\$\{(\w+)", each["value"]))
    ]


@pytest.mark.parametrize("variable", variables())
def test_a_parameter_is_explained(variable: str):
    if variable != "AZURE_ENV_NAME":  # that is `azd env new`
        assert f"`{variable}`" in PAGE


def test_no_parameter_is_explained_that_is_not_there():
    explained = set(re.findall(r"\bINFRA_\w+\b", PAGE)) - set(GROUPS)
    assert explained <= set(variables())


def test_every_output_that_the_page_reads_is_there():
    read = set(re.findall(r"azd env get-value (\w+)", PAGE)) - {"AZURE_SUBSCRIPTION_ID"}
    assert read <= set(file("main").outputs)
    assert {"CHAT_API_URL", "CHAT_PAGE_URL", "AZURE_IDENTITY_PRINCIPAL_ID"} <= read


def test_every_variable_that_the_workflows_read_is_set():
    text = "".join(path.read_text("utf-8") for path in (ROOT / ".github").rglob("*.yml"))
    wanted = set(re.findall(r"\bvars\.(\w+)", text))
    assert wanted == set(re.findall(r"gh variable set (\w+)", PAGE))


def test_it_says_what_was_not_tried():
    assert "**It was not deployed from here.**" in PAGE
    for word in ("no Bicep compiler", "tree-sitter", "az bicep build", "azd provision --preview"):
        assert word in PAGE.partition("## What was not tried")[2]


@pytest.mark.parametrize(
    "assignment",
    deployed("Microsoft.Authorization/roleAssignments"),
    ids=lambda each: each.name,
)
def test_its_table_of_roles_is_that_of_the_files(assignment: Resource):
    role = at(assignment, "properties", "roleDefinitionId")
    assert isinstance(role, Call)
    variable = str(role.arguments[1])
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", variable[0].upper() + variable[1:])
    name = words.replace("Open Ai", "OpenAI")
    assert f"| *{name}* |" in PAGE
    assert len(re.findall(r"^\| \*", PAGE, re.MULTILINE)) == len(
        deployed("Microsoft.Authorization/roleAssignments")
    )


def test_its_links_lead_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        if path:
            assert (ROOT / "docs" / path).is_file(), target
        else:
            assert anchor in headings, target
