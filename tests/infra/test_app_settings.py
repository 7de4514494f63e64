"""The app settings: each is read by app or platform, and the app is content with them."""

from collections.abc import Iterator, Mapping

import pytest

from shared.errors import Misconfigured
from shared.settings import PostgresSettings, Settings
from tests.infra.bicep import Call, Choice, Expression, Value
from tests.infra.files import INFRA, file

PLATFORM = {
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
}
"""What the Functions host and App Service authentication read, and not the app."""

EVERYWHERE = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_OPENAI_CHAT_DEPLOYMENT",
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI__clientId",
    "AZURE_OPENAI__credential",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "CHAT_AUTH",
    "PYTHON_ENABLE_OPENTELEMETRY",
}

SAMPLES = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD;ClientId=sample",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0;IngestionEndpoint=https://i/",
    "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
    "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": "embeddings",
    "AZURE_OPENAI_ENDPOINT": "https://oai-sample.openai.azure.com/",
    "AzureWebJobsStorage__accountName": "stsample",
    "CHAT_ALLOWED_ORIGINS": "https://page.example https://other.example",
    "CHAT_DAILY_TOKENS": "2000000",
    "CHAT_DAILY_TOKENS_PER_OWNER": "100000",
    "CHAT_MAX_CONCURRENT_TURNS": "500",
    "CHAT_REQUESTS_PER_MINUTE": "20",
    "CHAT_RETENTION_DAYS": "90",
    "CHAT_STORAGE_TABLE": "conversations",
    "DOCUMENTS__database": "documents",
    "DOCUMENTS__host": "psql-sample.postgres.database.azure.com",
    "DOCUMENTS__user": "id-sample",
}
"""What a deployment would put in the place of an expression; of any other: `sample`."""

LEAST = {
    "dailyTokens == 0": True,
    "dailyTokensPerOwner == 0": True,
    "requestsPerMinute == 0": True,
    "retentionDays == 0": True,
    "empty(systemPrompt)": True,
    "usesPostgres": False,
    "shape == 'linked'": True,
}
MOST = {condition: not holds for condition, holds in LEAST.items()}
DEPLOYMENTS = {
    "linked": LEAST,
    "direct": LEAST | {"shape == 'linked'": False},
    "linked with all": MOST | {"shape == 'linked'": True},
    "direct with all": MOST,
}


class Recorder(Mapping[str, str]):
    """An environment that notes which names are asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def settings_of(value: Value, holds: Mapping[str, bool]) -> dict[str, str]:
    """The settings of one deployment; `holds` says which of the conditions do."""
    match value:
        case Call("union", parts):
            found: dict[str, str] = {}
            for part in parts:
                found |= settings_of(part, holds)
            return found
        case Choice(condition, yes, no):
            return settings_of(yes if holds[condition] else no, holds)
        case dict():
            return {name: _sample(name, given) for name, given in value.items()}
        case "moreSettings":
            return {}
    raise AssertionError(f"settings in a form that this test does not know: {value!r}")


def _sample(name: str, value: Value) -> str:
    if isinstance(value, str) and not isinstance(value, Expression):
        return value
    return SAMPLES.get(name, "sample")


def deployed(holds: Mapping[str, bool]) -> dict[str, str]:
    return settings_of(file("main").modules["functionApp"].params["settings"], holds)


def read_all(values: Mapping[str, str]) -> set[str]:
    """Asks the app's settings for everything that they have; the names that they looked for."""
    recorder = Recorder(values)
    settings = Settings(recorder)
    for name in dir(Settings):
        if not name.startswith("_") and not callable(getattr(Settings, name)):
            getattr(settings, name)
    for name in settings.connection_names:
        settings.chain(settings.connection(name))
    for name in settings.retriever_names:
        settings.retriever(name)
    return recorder.asked


@pytest.mark.parametrize("holds", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_every_setting_is_one_that_somebody_reads(holds: Mapping[str, bool]):
    values = deployed(holds)
    assert set(values) - read_all(values) - PLATFORM == set()


@pytest.mark.parametrize("holds", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_no_setting_that_must_be_there_is_missing(holds: Mapping[str, bool]):
    assert set(deployed(holds)) >= EVERYWHERE


@pytest.mark.parametrize("holds", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_the_app_is_content_and_signs_in_as_the_identity_everywhere(holds: Mapping[str, bool]):
    values = deployed(holds)
    settings = Settings(values | {"WEBSITE_SITE_NAME": "func", "WEBSITE_AUTH_ENABLED": "True"})
    assert settings.auth.trusted
    assert settings.has_timers
    assert settings.sql is None
    assert settings.storage.endpoint == "https://stsample.table.core.windows.net"
    assert settings.storage.table == "conversations"
    connection = settings.connection()
    assert connection.endpoint == "https://oai-sample.openai.azure.com"
    assert (connection.model, connection.signs_in) == ("chat", True)
    telemetry = settings.telemetry
    assert telemetry is not None
    assert telemetry.app_insights_identity is not None
    assert (telemetry.logs, telemetry.content) == (True, False)
    identities = (settings.storage.identity, connection.identity, telemetry.app_insights_identity)
    for identity in identities:
        assert (identity.managed, identity.client_id) == (True, "sample")


def test_linked_takes_the_principal_of_the_static_web_app_and_no_origin():
    settings = Settings(deployed(DEPLOYMENTS["linked"]))
    assert settings.auth.mode == "staticwebapps"
    assert settings.allowed_origins == frozenset()


def test_direct_takes_the_principal_of_app_service_and_named_origins():
    values = deployed(DEPLOYMENTS["direct"])
    settings = Settings(values)
    assert settings.auth.mode == "easyauth"
    assert settings.allowed_origins == {"https://page.example", "https://other.example"}
    assert values["OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"] == "sample"
    assert "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID" not in deployed(DEPLOYMENTS["linked"])


def test_documents_are_found_in_postgresql_by_the_identity():
    settings = Settings(deployed(DEPLOYMENTS["direct with all"]))
    assert settings.retriever_names == ("DOCUMENTS",)
    retriever = settings.retriever("DOCUMENTS")
    assert isinstance(retriever, PostgresSettings)
    assert retriever.host == "psql-sample.postgres.database.azure.com"
    assert (retriever.user, retriever.password) == ("id-sample", None)
    assert (retriever.identity.managed, retriever.identity.client_id) == (True, "sample")
    assert settings.connection().embeddings_model == "embeddings"
    assert Settings(deployed(DEPLOYMENTS["direct"])).retriever_names == ()


def test_limits_are_set_where_a_parameter_says_so_and_only_there():
    allowance = Settings(deployed(DEPLOYMENTS["linked with all"])).allowance
    assert allowance is not None
    assert (allowance.daily_tokens, allowance.daily_tokens_per_owner) == (2_000_000, 100_000)
    assert allowance.requests_per_minute == 20
    assert Settings(deployed(DEPLOYMENTS["linked"])).allowance is None


def test_further_settings_never_win():
    settings = file("main").modules["functionApp"].params["settings"]
    assert isinstance(settings, Call)
    assert settings.arguments[0] == Expression("moreSettings")
    assert file("main").parameters["moreSettings"].default == {}


def test_what_only_the_platform_may_set_is_not_set():
    for holds in DEPLOYMENTS.values():
        forbidden = ("WEBSITE_", "FUNCTIONS_", "SCM_", "ENABLE_ORYX")
        assert not [name for name in deployed(holds) if name.startswith(forbidden)]


def test_telemetry_never_has_content():
    for path in INFRA.rglob("*"):
        if path.is_file():
            assert "CHAT_TELEMETRY_CONTENT" not in path.read_text(encoding="utf-8"), path


def test_telemetry_is_signed_by_the_identity():
    settings = file("main").modules["functionApp"].params["settings"]
    assert isinstance(settings, Call)
    (base,) = (part for part in settings.arguments[1:] if isinstance(part, dict))
    assert (
        base["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
        == "'Authorization=AAD;ClientId=${identity.outputs.clientId}'"
    )
    assert (
        base["APPLICATIONINSIGHTS_CONNECTION_STRING"] == "monitoringAccess.outputs.connectionString"
    )


def test_the_recorder_notes_what_a_wrong_name_would_miss():
    values = deployed(DEPLOYMENTS["linked"]) | {"CHAT_DAILY_TOKEN": "1"}
    assert set(values) - read_all(values) - PLATFORM == {"CHAT_DAILY_TOKEN"}


def test_a_setting_that_is_wrong_is_found():
    values = deployed(DEPLOYMENTS["linked"]) | {"AZURE_OPENAI__credential": "secret"}
    with pytest.raises(Misconfigured, match="AZURE_OPENAI__credential"):
        read_all(values)
