"""Each Bicep file: parsed, its names right, its API versions known; and what azd is told."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.infra.bicep import Bicep
from tests.infra.files import INFRA, MODULES, PATHS, ROOT, every_file, file
from tests.infra.references import problems

API_VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.CognitiveServices/accounts": "2024-10-01",
    "Microsoft.CognitiveServices/accounts/deployments": "2024-10-01",
    "Microsoft.DBforPostgreSQL/flexibleServers": "2024-08-01",
    "Microsoft.DBforPostgreSQL/flexibleServers/administrators": "2024-08-01",
    "Microsoft.DBforPostgreSQL/flexibleServers/configurations": "2024-08-01",
    "Microsoft.DBforPostgreSQL/flexibleServers/databases": "2024-08-01",
    "Microsoft.DBforPostgreSQL/flexibleServers/firewallRules": "2024-08-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.Network/privateDnsZones": "2020-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2020-06-01",
    "Microsoft.Network/privateEndpoints": "2024-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2024-05-01",
    "Microsoft.Network/virtualNetworks": "2024-05-01",
    "Microsoft.Network/virtualNetworks/subnets": "2024-05-01",
    "Microsoft.OperationalInsights/workspaces": "2023-09-01",
    "Microsoft.Resources/resourceGroups": "2024-03-01",
    "Microsoft.Storage/storageAccounts": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2023-05-01",
    "Microsoft.Storage/storageAccounts/tableServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/tableServices/tables": "2023-05-01",
    "Microsoft.Web/serverfarms": "2024-04-01",
    "Microsoft.Web/sites": "2024-04-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2024-04-01",
    "Microsoft.Web/sites/config": "2024-04-01",
    "Microsoft.Web/staticSites": "2024-04-01",
    "Microsoft.Web/staticSites/linkedBackends": "2024-04-01",
}
"""Versions that are no previews and have what is used here: a new one is a decision, made here."""

WITHOUT_DEFAULT_IN_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"}
"""What azd itself always knows."""


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_file_is_parsed_and_its_names_are_right(path: Path):
    assert problems(Bicep.read(path)) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_file_says_first_what_it_is(path: Path):
    assert re.fullmatch(r"// [A-Z].*[.:].*", file(path.stem).first_line)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_file_uses_versions_that_are_known_to_be_good(path: Path):
    used = {(each.type, each.api_version) for each in file(path.stem).resources.values()}
    assert used <= set(API_VERSIONS.items())


def test_no_version_is_listed_in_vain():
    used = {resource.type for bicep in every_file() for resource in bicep.resources.values()}
    assert set(API_VERSIONS) == used


def test_every_module_is_used_and_no_other():
    paths = {module.path for module in file("main").modules.values()}
    assert paths == {f"modules/{path.name}" for path in MODULES.glob("*.bicep")}


def test_only_main_is_for_the_subscription():
    scopes = {bicep.path.stem: bicep.scope for bicep in every_file()}
    assert scopes.pop("main") == "subscription"
    assert set(scopes.values()) == {"resourceGroup"}
    modules = file("main").modules.values()
    assert all("scope" in module.properties for module in modules)


def test_azd_gives_every_parameter_and_the_same_defaults():
    main = file("main")
    given = json.loads((INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
    assert list(given) == list(main.parameters)
    for name, parameter in main.parameters.items():
        value = given[name]["value"]
        if parameter.type == "object":
            assert value == parameter.default
            continue
        matched = re.fullmatch(r"\$\{([A-Z_]+)(?:=([^{}]+))?\}", value)
        assert matched, f"{name}: {value}"
        variable, default = matched.groups()
        if parameter.required:
            assert variable in WITHOUT_DEFAULT_IN_AZD
            continue
        written = parameter.default
        expected = str(written).lower() if isinstance(written, bool) else str(written)
        assert (default or "") == expected, name
        assert variable in WITHOUT_DEFAULT_IN_AZD or variable.startswith("INFRA_")


def test_azd_deploys_the_package_as_it_is_and_the_page():
    azure = YAML(typ="safe").load(ROOT / "azure.yaml")
    api, web = azure["services"]["api"], azure["services"]["web"]
    assert azure["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    assert (api["host"], api["language"], api["remoteBuild"]) == ("function", "python", False)
    assert (web["host"], web["dist"]) == ("staticwebapp", ".local/web")
    steps = [step["azd"] for step in azure["workflows"]["up"]["steps"]]
    assert steps == [
        "provision",
        "deploy api --from-package .local/package/app.zip",
        "deploy web",
    ]
    for system in ("posix", "windows"):
        assert "-m local package" in azure["hooks"]["preup"][system]["run"]
        assert "-m local site" in azure["hooks"]["postprovision"][system]["run"]
    tagged = {
        service
        for bicep in every_file()
        for service in re.findall(r"'azd-service-name': '(\w+)'", bicep.text)
    }
    assert tagged == set(azure["services"])
    assert file("main").variables["tags"].value == {"azd-env-name": "environmentName"}
