"""Exactly the roles that are needed, on the smallest scope, each with its reason."""

import re

import pytest

from tests.infra.bicep import Call, Expression, Resource
from tests.infra.files import at, deployed, every_file, file

ROLES = {
    "hostBlobs": ("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "account", "storage-access"),
    "historyRows": ("0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "history", "storage-access"),
    "user": ("5e0bd9bd-7b93-4f28-af87-19fc36ad61bd", "account", "openai-access"),
    "publisher": ("3913510d-42f4-4e42-8a64-420c390055eb", "component", "monitoring-access"),
}
"""Storage Blob Data Owner, Storage Table Data Contributor, Cognitive Services OpenAI User,
Monitoring Metrics Publisher: by their ids, with the resource that each is for, and the file.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

SCOPES = {
    ("storage-access", "account"): "Microsoft.Storage/storageAccounts",
    ("storage-access", "history"): "Microsoft.Storage/storageAccounts/tableServices/tables",
    ("openai-access", "account"): "Microsoft.CognitiveServices/accounts",
    ("monitoring-access", "component"): "Microsoft.Insights/components",
}


def assignments() -> list[Resource]:
    return deployed("Microsoft.Authorization/roleAssignments")


def test_there_are_exactly_these_roles_each_on_its_own_resource():
    found = {}
    for bicep in every_file():
        for name, resource in bicep.resources.items():
            if resource.type != "Microsoft.Authorization/roleAssignments":
                continue
            role = at(resource, "properties", "roleDefinitionId")
            assert isinstance(role, Call)
            assert role.function == "subscriptionResourceId"
            kind, variable = role.arguments
            assert kind == "Microsoft.Authorization/roleDefinitions"
            guid = bicep.variables[str(variable)].value
            scope = str(at(resource, "scope"))
            found[name] = (guid, scope, bicep.path.stem)
            assert bicep.resources[scope].type == SCOPES[bicep.path.stem, scope]
    assert found == ROLES


@pytest.mark.parametrize("assignment", assignments(), ids=lambda each: each.name)
def test_the_line_above_says_what_a_role_is_for(assignment: Resource):
    assert re.match(r"For the (app|Functions host)\b.{20,}", assignment.comment)


@pytest.mark.parametrize("assignment", assignments(), ids=lambda each: each.name)
def test_a_role_is_the_apps_identitys_and_assigned_once(assignment: Resource):
    assert at(assignment, "properties", "principalId") == Expression("principalId")
    assert at(assignment, "properties", "principalType") == "ServicePrincipal"
    name = at(assignment, "name")
    assert isinstance(name, Call)
    # The same name for the same three, so that a second deployment makes no second assignment.
    assert name.function == "guid"
    assert name.arguments[:2] == (
        Expression(f"{at(assignment, 'scope')}.id"),
        Expression("principalId"),
    )
    role = at(assignment, "properties", "roleDefinitionId")
    assert isinstance(role, Call)
    assert name.arguments[2] == role.arguments[1]


def test_every_role_goes_to_the_one_identity():
    for module in file("main").modules.values():
        if "principalId" in module.params:
            assert module.params["principalId"] == Expression("identity.outputs.principalId")


def test_the_history_is_one_table_that_the_app_is_told_of():
    table = file("storage-access").resources["history"]
    assert at(table, "name") == Expression("historyTable")
    main = file("main")
    assert main.modules["storageAccess"].params["historyTable"] == Expression("historyTable")
    settings = main.modules["functionApp"].params["settings"]
    assert isinstance(settings, Call)
    assert "CHAT_STORAGE_TABLE: historyTable" in settings.text
