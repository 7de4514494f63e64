"""What the infrastructure promises, resource by resource."""

from tests.infra.bicep import Call, Choice, Expression
from tests.infra.files import ROOT, at, deployed, every_file, file, the

SITE = "Microsoft.Web/sites"
STORAGE = "Microsoft.Storage/storageAccounts"
OPENAI = "Microsoft.CognitiveServices/accounts"
POSTGRES = "Microsoft.DBforPostgreSQL/flexibleServers"
SHAPES = ("linked", "direct")


def test_there_is_a_function_app_on_flex_consumption_with_python_313():
    plan, app = the("Microsoft.Web/serverfarms"), the(SITE)
    assert at(plan, "sku") == {"name": "FC1", "tier": "FlexConsumption"}
    assert at(plan, "properties", "reserved") is True
    assert at(app, "kind") == "functionapp,linux"
    assert at(app, "properties", "serverFarmId") == Expression("plan.id")
    assert at(app, "properties", "functionAppConfig", "runtime") == {
        "name": "python",
        "version": "3.13",
    }
    assert at(app, "properties", "httpsOnly") is True


def test_its_concurrency_is_one_bounded_parameter_from_main_to_the_trigger():
    scale = ("properties", "functionAppConfig", "scaleAndConcurrency")
    concurrency = at(the(SITE), *scale, "triggers", "http")
    assert concurrency == {"perInstanceConcurrency": Expression("perInstanceConcurrency")}
    passed = file("main").modules["functionApp"].params["perInstanceConcurrency"]
    assert passed == Expression("perInstanceConcurrency")
    parameter = file("main").parameters["perInstanceConcurrency"]
    assert parameter.type == "int"
    assert parameter.decorators["minValue"] == (1,)
    assert parameter.decorators["maxValue"] == (1000,)
    assert isinstance(parameter.default, int)
    assert 1 < parameter.default <= 1000
    # Turns go on after their requests, so there is room for more of them than for requests.
    turns = file("main").parameters["maxConcurrentTurns"].default
    assert isinstance(turns, int)
    assert turns >= parameter.default
    page = (ROOT / "docs" / "capacity.md").read_text("utf-8")
    assert f"`perInstanceConcurrency` is {parameter.default}." in page


def test_it_runs_as_a_user_assigned_identity_and_has_no_other():
    (identity,) = deployed("Microsoft.ManagedIdentity/userAssignedIdentities")
    assert identity.name == "identity"
    app = the(SITE)
    assert at(app, "identity") == {
        "type": "UserAssigned",
        "userAssignedIdentities": {"'${identityId}'": {}},
    }
    assert file("main").modules["functionApp"].params["identityId"] == "identity.outputs.id"


def test_its_package_is_read_by_that_identity():
    storage = at(the(SITE), "properties", "functionAppConfig", "deployment", "storage")
    assert storage == {
        "type": "blobContainer",
        "value": Expression("packageContainerUrl"),
        "authentication": {
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": Expression("identityId"),
        },
    }
    assert (
        file("main").modules["functionApp"].params["packageContainerUrl"]
        == "'${storageAccess.outputs.blobEndpoint}${packageContainer}'"
    )
    container = the("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert at(container, "name") == Expression("packageContainer")
    assert at(container, "properties", "publicAccess") == "None"


def test_nobody_publishes_with_a_password():
    policies = deployed("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {at(each, "name") for each in policies} == {"scm", "ftp"}
    assert all(at(each, "properties") == {"allow": False} for each in policies)
    assert at(the(SITE), "properties", "siteConfig", "ftpsState") == "Disabled"


def test_the_storage_account_has_shared_keys_off():
    account = the(STORAGE)
    assert at(account, "properties", "allowSharedKeyAccess") is False
    assert at(account, "properties", "allowBlobPublicAccess") is False
    assert at(account, "properties", "supportsHttpsTrafficOnly") is True
    assert at(account, "properties", "minimumTlsVersion") == "TLS1_2"


def test_azure_openai_has_local_authentication_off_and_a_chat_deployment():
    account = the(OPENAI)
    assert at(account, "kind") == "OpenAI"
    assert at(account, "properties", "disableLocalAuth") is True
    assert at(account, "properties", "customSubDomainName") == at(account, "name")
    models = the("Microsoft.CognitiveServices/accounts/deployments")
    assert models.loop == "deployments"
    assert models.decorators["batchSize"] == (1,)
    passed = file("main").modules["openAi"].params["deployments"]
    assert passed == Choice(
        "usesPostgres",
        [Expression("chatDeployment"), Expression("embeddingsDeployment")],
        [Expression("chatDeployment")],
    )
    chat = file("main").variables["chatDeployment"].value
    assert isinstance(chat, dict)
    assert set(chat) == {"name", "model", "version", "sku", "capacity"}
    assert chat["name"] == Expression("chatDeploymentName")
    body = at(models, "properties", "model")
    assert body == {
        "format": "OpenAI",
        "name": Expression("each.model"),
        "version": Expression("each.version"),
    }


def test_there_are_log_analytics_and_application_insights_without_local_authentication():
    workspace, component = (
        the("Microsoft.OperationalInsights/workspaces"),
        the("Microsoft.Insights/components"),
    )
    assert workspace.condition == "empty(existingWorkspaceId)"
    assert at(component, "properties", "DisableLocalAuth") is True
    assert at(component, "properties", "WorkspaceResourceId") == Choice(
        "empty(existingWorkspaceId)",
        Expression("workspace.id"),
        Expression("existingWorkspaceId"),
    )


def test_app_service_authentication_lets_nobody_in_whom_it_does_not_know():
    settings = the("Microsoft.Web/sites/config")
    assert at(settings, "name") == "authsettingsV2"
    assert at(settings, "properties", "platform", "enabled") is True
    assert at(settings, "properties", "globalValidation") == {
        # direct: preflights carry no token; the app refuses everything else without one itself.
        "requireAuthentication": Expression("shape == 'linked'"),
        "unauthenticatedClientAction": Choice("shape == 'linked'", "Return401", "AllowAnonymous"),
        "excludedPaths": ["/api/health"],
    }
    assert at(settings, "properties", "httpSettings", "requireHttps") is True
    assert at(settings, "properties", "identityProviders") == Expression("providers")
    module = file("main").modules["authentication"]
    assert module.condition is None
    # The link turns authentication on in its own way, so what is said here comes after it.
    assert module.properties["dependsOn"] == [Expression("linkedBackend")]


def test_linked_knows_the_static_web_app_alone():
    providers = file("authentication").variables["providers"].value
    assert isinstance(providers, Choice)
    assert providers.condition == "shape == 'linked'"
    assert providers.yes == {
        "azureStaticWebApps": {
            "enabled": True,
            "registration": {"clientId": Expression("siteHostname")},
        },
        "azureActiveDirectory": {"enabled": False},
    }


def test_direct_knows_tokens_for_the_registration_without_its_secret():
    providers = file("authentication").variables["providers"].value
    assert isinstance(providers, Choice)
    assert isinstance(providers.no, dict)
    assert providers.no["azureStaticWebApps"] == {"enabled": False}
    assert providers.no["azureActiveDirectory"] == {
        "enabled": True,
        "registration": {
            "clientId": Expression("entraClientId"),
            "clientSecretSettingName": "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
            "openIdIssuer": Expression(
                "'${environment().authentication.loginEndpoint}${entraTenantId}/v2.0'"
            ),
        },
        "validation": {
            "allowedAudiences": [
                Expression("entraClientId"),
                Expression("'api://${entraClientId}'"),
            ],
            "defaultAuthorizationPolicy": {
                "allowedApplications": Expression("entraAllowedClientIds")
            },
        },
    }
    allowed = file("main").variables["allowedClientIds"].value
    assert isinstance(allowed, Choice)
    # Nobody named: not everybody, but the registration itself.
    assert (allowed.condition, allowed.yes) == (
        "empty(entraAllowedClientIds)",
        [Expression("entraClientId")],
    )


def test_the_shape_is_a_parameter():
    shape = file("main").parameters["shape"]
    assert shape.decorators["allowed"] == (list(SHAPES),)
    assert shape.default == "linked"
    assert file("authentication").parameters["shape"].decorators["allowed"] == (list(SHAPES),)


def test_linked_is_a_standard_static_web_app_with_the_function_app_behind_it():
    page, linked = file("main").modules["page"], file("main").modules["linkedBackend"]
    assert page.condition is None
    assert page.params["sku"] == Choice("shape == 'linked'", "Standard", "Free")
    assert at(the("Microsoft.Web/staticSites"), "sku") == {
        "name": Expression("sku"),
        "tier": Expression("sku"),
    }
    assert linked.condition == "shape == 'linked'"
    assert linked.params["backendId"] == Expression("functionApp.outputs.id")
    backend = the("Microsoft.Web/staticSites/linkedBackends")
    assert at(backend, "properties", "backendResourceId") == Expression("backendId")
    assert at(backend, "parent") == Expression("site")


def test_direct_lets_the_page_and_named_origins_call_by_the_apps_own_cors():
    settings = file("main").modules["functionApp"].params["settings"]
    assert isinstance(settings, Call)
    origins = "concat(['https://${page.outputs.hostname}'], extraOrigins)"
    assert f"CHAT_ALLOWED_ORIGINS: join({origins}, ' ')" in settings.text
    # The platform's CORS cannot expose headers, and what it says would stand for the app's.
    config = at(the(SITE), "properties", "siteConfig")
    assert isinstance(config, dict)
    assert "cors" not in config
    assert not any("'*'" in bicep.text for bicep in every_file())


def test_private_networking_is_one_parameter_and_off_unless_wanted():
    main = file("main")
    assert main.parameters["privateNetworking"].default is False
    assert main.modules["network"].condition == "privateNetworking"
    assert main.variables["publicNetworkAccess"].value == Choice(
        "privateNetworking", "Disabled", "Enabled"
    )
    for name in ("storage", "openAi", "postgres"):
        assert main.modules[name].params["publicNetworkAccess"] == "publicNetworkAccess"
    assert main.modules["functionApp"].params["subnetId"] == Choice(
        "privateNetworking", Expression("network!.outputs.appSubnetId"), ""
    )
    for kind in (STORAGE, OPENAI):
        assert at(the(kind), "properties", "publicNetworkAccess") == "publicNetworkAccess"
        assert at(the(kind), "properties", "networkAcls", "defaultAction") == Choice(
            "publicNetworkAccess == 'Enabled'", "Allow", "Deny"
        )
    assert at(the(POSTGRES), "properties", "network") == {
        "publicNetworkAccess": Expression("publicNetworkAccess")
    }
    rule = the("Microsoft.DBforPostgreSQL/flexibleServers/firewallRules")
    assert rule.condition == "publicNetworkAccess == 'Enabled'"


def test_each_private_service_has_an_endpoint_and_its_zone():
    modules = file("main").modules.values()
    endpoints = {
        module.params["groupId"]: module
        for module in modules
        if module.path == "modules/private-endpoint.bicep"
    }
    zones = {group: str(module.params["zoneName"]) for group, module in endpoints.items()}
    assert zones == {
        "blob": "'privatelink.blob.${environment().suffixes.storage}'",
        "table": "'privatelink.table.${environment().suffixes.storage}'",
        "account": "privatelink.openai.azure.com",
        "postgresqlServer": "privatelink.postgres.database.azure.com",
    }
    services = {group: str(module.params["serviceId"]) for group, module in endpoints.items()}
    assert services == {
        "blob": "storageAccountId",
        "table": "storageAccountId",
        "account": "openAiId",
        "postgresqlServer": "postgresId",
    }
    conditions = {module.condition for module in endpoints.values()}
    assert conditions == {"privateNetworking", "privateNetworking && usesPostgres"}


def test_the_app_calls_out_of_a_subnet_that_is_delegated_to_it():
    subnets = at(the("Microsoft.Network/virtualNetworks"), "properties", "subnets")
    assert isinstance(subnets, list)
    app, endpoints = subnets
    assert "Microsoft.App/environments" in str(app)
    assert "delegations" not in str(endpoints)


def test_postgresql_is_optional_with_pgvector_and_entra_only():
    main = file("main")
    assert main.parameters["deployPostgres"].default is False
    assert main.modules["postgres"].condition == "deployPostgres && empty(existingPostgresId)"
    server = the(POSTGRES)
    authentication = at(server, "properties", "authConfig")
    assert isinstance(authentication, dict)
    assert authentication["activeDirectoryAuth"] == "Enabled"
    assert authentication["passwordAuth"] == "Disabled"
    assert "administratorLogin" not in str(server.properties)
    extensions = the("Microsoft.DBforPostgreSQL/flexibleServers/configurations")
    assert at(extensions, "name") == "azure.extensions"
    assert at(extensions, "properties", "value") == "VECTOR"


def test_the_app_does_not_administer_its_database():
    administrator = the("Microsoft.DBforPostgreSQL/flexibleServers/administrators")
    assert at(administrator, "name") == Expression("administratorId")
    params = file("main").modules["postgres"].params
    assert params["administratorId"] == Expression("postgresAdministratorId")
    assert not any("identity.outputs" in str(value) for value in params.values())


def test_what_is_there_already_is_named_by_a_parameter_and_not_made():
    main = file("main")
    new = {
        "existingStorageAccountId": "storage",
        "existingOpenAiId": "openAi",
        "existingApplicationInsightsId": "monitoring",
        "existingPostgresId": "postgres",
    }
    for parameter, module in new.items():
        assert main.parameters[parameter].default == ""
        condition = main.modules[module].condition
        assert condition is not None
        assert f"empty({parameter})" in condition
    assert main.parameters["existingWorkspaceId"].default == ""
    assert main.parameters["resourceGroupName"].default == ""


def test_what_is_there_already_may_be_in_another_resource_group():
    main = file("main")
    for name, path in (
        ("storageAccess", "storagePath"),
        ("openAiAccess", "openAiPath"),
        ("monitoringAccess", "applicationInsightsPath"),
    ):
        scope = main.modules[name].properties["scope"]
        assert isinstance(scope, Call)
        assert scope.text == f"resourceGroup({path}[2], {path}[4])"
        assert main.modules[name].condition is None
    # A resource id in parts: the name is the ninth, and the places of the other two fit as well.
    sample = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/N"
    parts = sample.split("/")
    assert (parts[2], parts[4], parts[8]) == ("S", "G", "N")
