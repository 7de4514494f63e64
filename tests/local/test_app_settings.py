"""The app's settings on this machine: whose model, whose store, and the sample."""

import json
import re
from pathlib import Path

import pytest

from local.host.environment import SettingsError
from local.settings import FILE, SIMULATOR_DEPLOYMENT, SIMULATOR_KEY, AppSettings
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "local.settings.sample.json"
SIMULATOR = "http://127.0.0.1:4290"
STORAGE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://t/a;"


def completed(values: dict[str, str]) -> dict[str, str]:
    """What the app sees in the end: its own settings under what the stack adds."""
    settings = AppSettings(values)
    added = settings.completed(
        simulator=None if settings.model else SIMULATOR,
        storage=None if settings.store else STORAGE,
    )
    return {**values, **added}


def test_without_any_settings_everything_is_local():
    app = Settings(completed({}))
    assert app.connection().endpoint == SIMULATOR
    assert app.connection().model == SIMULATOR_DEPLOYMENT
    assert app.connection().api_key == SIMULATOR_KEY
    assert app.storage.connection_string == STORAGE
    assert (app.auth.mode, app.auth.trusted) == ("staticwebapps", True)


@pytest.mark.parametrize("name", ["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI__endpoint"])
def test_a_real_model_is_two_settings(name: str):
    values = {name: "https://r.openai.azure.com", "AZURE_OPENAI_CHAT_DEPLOYMENT": "mine"}
    assert AppSettings(values).model == name
    connection = Settings(completed(values)).connection()
    assert (connection.endpoint, connection.model) == ("https://r.openai.azure.com", "mine")
    assert connection.api_key is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHAT_STORAGE", "DefaultEndpointsProtocol=https;AccountName=b;AccountKey=a2V5;"),
        ("CHAT_STORAGE__tableServiceUri", "https://b.table.core.windows.net"),
        ("CHAT_STORAGE__accountName", "backup"),
        ("AzureWebJobsStorage", "DefaultEndpointsProtocol=https;AccountName=b;AccountKey=a2V5;"),
        ("AzureWebJobsStorage__accountName", "backup"),
    ],
)
def test_a_real_store_is_used(name: str, value: str):
    assert AppSettings({name: value}).store == name
    assert "CHAT_STORAGE" not in AppSettings({name: value}).completed(simulator=None, storage=None)


@pytest.mark.parametrize("name", ["CHAT_STORAGE", "AzureWebJobsStorage"])
def test_the_emulators_short_form_means_our_emulator(name: str):
    values = {name: "UseDevelopmentStorage=true"}
    assert AppSettings(values).store is None
    assert Settings(completed(values)).storage.connection_string == STORAGE


def test_half_a_connection_does_not_spoil_the_simulators():
    values = {
        "AZURE_OPENAI__model": "mine",
        "AZURE_OPENAI__apiKey": "secret",
        "AZURE_OPENAI__kind": "openai",
        "AZURE_OPENAI_API_VERSION": "2024-10-21",
        "AZURE_OPENAI_SYSTEM_PROMPT": "Be brief.",
    }
    app = Settings(completed(values))
    connection = app.connection()
    assert (connection.kind, connection.model) == ("azure_openai", SIMULATOR_DEPLOYMENT)
    assert (connection.api_key, connection.api_version) == (SIMULATOR_KEY, None)
    assert app.system_prompt == "Be brief."


def test_what_the_user_says_of_callers_stays():
    values = {"CHAT_AUTH": "easyauth", "WEBSITE_AUTH_ENABLED": "False"}
    app = Settings(completed(values))
    assert (app.auth.mode, app.auth.trusted) == ("easyauth", False)


def test_the_environment_wins_over_the_file(tmp_path: Path):
    file = {"Values": {"AZURE_OPENAI_ENDPOINT": "https://file", "CHAT_AUTH": "anonymous"}}
    (tmp_path / FILE).write_text(json.dumps(file))
    settings = AppSettings.read(tmp_path, {"AZURE_OPENAI_ENDPOINT": "https://environment"})
    assert settings.values["AZURE_OPENAI_ENDPOINT"] == "https://environment"
    assert settings.values["CHAT_AUTH"] == "anonymous"
    assert AppSettings.read(tmp_path / "nowhere", {}).values == {}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(SettingsError, match=re.escape(FILE)):
        AppSettings.read(tmp_path, {})


def sample() -> dict[str, str]:
    content = json.loads(SAMPLE.read_text(encoding="utf-8"))
    values: dict[str, str] = content["Values"]
    return values


def test_the_sample_as_it_is_means_the_local_stack():
    settings = AppSettings(sample())
    assert (settings.model, settings.store) == (None, None)
    app = Settings(completed(sample()))
    assert app.connection().endpoint == SIMULATOR
    assert app.storage.connection_string == STORAGE
    assert app.auth.trusted


def test_the_samples_figures_are_the_defaults():
    without, given = Settings({}), Settings(sample())
    assert given.limits == without.limits
    assert given.retention_days == without.retention_days
    assert given.system_prompt == without.system_prompt
    assert given.connection_names == without.connection_names
    assert given.caller_fields == without.caller_fields
    assert given.allowed_origins == without.allowed_origins


def test_the_sample_has_every_setting_that_the_app_reads():
    files = (ROOT / "shared" / "settings").glob("*.py")
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    read = set(re.findall(r'"((?:CHAT|AZURE_OPENAI)_[A-Z_]+)"', source))
    assert len(read) > 15
    assert read - sample().keys() == set()


@pytest.mark.parametrize("name", ["AZURE_OPENAI", "CHAT_STORAGE"])
def test_the_sample_says_how_an_identity_is_chosen(name: str):
    parts = ("credential", "clientId", "managedIdentityResourceId")
    assert {f"{name}__{part}" for part in parts} <= sample().keys()
