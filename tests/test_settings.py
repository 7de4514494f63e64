"""Every setting: missing, wrong and right, and that a wrong one is named and told what is right."""

from collections.abc import Callable
from functools import partial

import pytest

from shared.errors import Misconfigured
from shared.settings import (
    COGNITIVE_SERVICES_SCOPE,
    LOCKABLE_FIELDS,
    Allowance,
    Auth,
    IdentitySettings,
    Settings,
    Storage,
)

ENDPOINT = {"AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/"}
URI = "https://acc.table.core.windows.net"


def misconfigured(read: Callable[[], object]) -> str:
    with pytest.raises(Misconfigured) as raised:
        read()
    return raised.value.message


def test_the_default_connection() -> None:
    connection = Settings(
        ENDPOINT
        | {
            "AZURE_OPENAI_CHAT_DEPLOYMENT": " chat ",
            "AZURE_OPENAI_API_VERSION": "2024-10-21",
            "AZURE_OPENAI_API_KEY": "k",
        }
    ).connection()
    assert (connection.name, connection.kind) == ("AZURE_OPENAI", "azure_openai")
    assert connection.endpoint == "https://res.openai.azure.com"
    assert (connection.model, connection.api_version, connection.api_key) == (
        "chat",
        "2024-10-21",
        "k",
    )
    assert connection.scope == COGNITIVE_SERVICES_SCOPE
    least = Settings(ENDPOINT).connection()
    assert (least.model, least.api_version, least.api_key) == (None, None, None)
    assert least.identity == IdentitySettings()


def test_the_default_connection_by_its_prefix() -> None:
    prefixed = Settings({"AZURE_OPENAI__endpoint": "https://a", "AZURE_OPENAI__model": "m"})
    assert prefixed.connection().endpoint == "https://a"
    assert prefixed.connection().model == "m"
    both = Settings(ENDPOINT | {"AZURE_OPENAI__endpoint": ENDPOINT["AZURE_OPENAI_ENDPOINT"]})
    assert both.connection().endpoint == "https://res.openai.azure.com"
    differ = Settings(ENDPOINT | {"AZURE_OPENAI__endpoint": "https://b"})
    message = misconfigured(differ.connection)
    assert "AZURE_OPENAI_ENDPOINT" in message
    assert "AZURE_OPENAI__endpoint" in message


def test_a_further_connection() -> None:
    settings = Settings(
        {
            "CHAT_CONNECTIONS": "OTHER, AZURE_OPENAI third_1",
            "OTHER__kind": "openai",
            "OTHER__endpoint": "http://127.0.0.1:8080/v1/",
            "OTHER__apiKey": "k",
            "OTHER__model": "m",
            "OTHER__scope": "https://ai.azure.com/.default",
            "OTHER__credential": "managedidentity",
            "OTHER__clientId": "id",
        }
    )
    assert settings.connection_names == ("AZURE_OPENAI", "OTHER", "third_1")
    other = settings.connection("OTHER")
    assert (other.kind, other.endpoint, other.model) == ("openai", "http://127.0.0.1:8080/v1", "m")
    assert other.scope == "https://ai.azure.com/.default"
    assert other.identity == IdentitySettings(managed=True, client_id="id")
    assert other.setting("endpoint") == "OTHER__endpoint"


CHAIN = {"CHAT_CONNECTIONS": "B C", "AZURE_OPENAI__fallback": "B", "B__fallback": "C"} | {
    f"{name}__{part}": value
    for name in "BC"
    for part, value in (("endpoint", "https://a"), ("model", "m"))
}


def chain(**changes: str) -> list[str]:
    settings = Settings(ENDPOINT | CHAIN | changes)
    return [connection.name for connection in settings.chain(settings.connection())]


def test_fallbacks_make_a_chain() -> None:
    assert chain() == ["AZURE_OPENAI", "B", "C"]
    assert chain(B__fallback="") == ["AZURE_OPENAI", "B"]
    assert chain(AZURE_OPENAI__fallback="") == ["AZURE_OPENAI"]
    turned = {"C__fallback": "AZURE_OPENAI", "B__fallback": "", "AZURE_OPENAI__model": "chat"}
    settings = Settings(ENDPOINT | CHAIN | turned)
    names = [connection.name for connection in settings.chain(settings.connection("C"))]
    assert names == ["C", "AZURE_OPENAI", "B"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"B__fallback": "D"}, "B__fallback must name another connection, one of AZURE_OPENAI, B"),
        ({"C__fallback": "B"}, "C__fallback leads back to B: AZURE_OPENAI to B to C to B"),
        ({"C__fallback": "C"}, "C__fallback leads back to C"),
        ({"AZURE_OPENAI__fallback": "AZURE_OPENAI"}, "AZURE_OPENAI__fallback leads back"),
        ({"C__model": ""}, "C__model is missing"),
        ({"C__endpoint": ""}, "C__endpoint is missing"),
    ],
)
def test_a_chain_that_leads_nowhere(changes: dict[str, str], named: str) -> None:
    assert named in misconfigured(lambda: chain(**changes))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "AZURE_OPENAI_ENDPOINT is missing"),
        ({"AZURE_OPENAI_ENDPOINT": "  "}, "AZURE_OPENAI_ENDPOINT is missing"),
        ({"AZURE_OPENAI_ENDPOINT": "<insert your endpoint>"}, "AZURE_OPENAI_ENDPOINT is missing"),
        ({"AZURE_OPENAI_ENDPOINT": "res.openai.azure.com"}, "AZURE_OPENAI_ENDPOINT must be"),
        ({"AZURE_OPENAI_ENDPOINT": "https://"}, "AZURE_OPENAI_ENDPOINT must be"),
        ({"AZURE_OPENAI_ENDPOINT": "https://a b"}, "AZURE_OPENAI_ENDPOINT must be"),
        ({"AZURE_OPENAI_ENDPOINT": "https://a/b\nc"}, "AZURE_OPENAI_ENDPOINT must be"),
        (ENDPOINT | {"AZURE_OPENAI_API_KEY": "sé"}, "AZURE_OPENAI_API_KEY must be a key"),
        (ENDPOINT | {"AZURE_OPENAI__apiKey": "s\nt"}, "AZURE_OPENAI_API_KEY must be a key"),
        (ENDPOINT | {"AZURE_OPENAI__kind": "azure"}, "AZURE_OPENAI__kind must be one of azure_"),
        (ENDPOINT | {"AZURE_OPENAI__credential": "secret"}, "AZURE_OPENAI__credential must be"),
        (ENDPOINT | {"AZURE_OPENAI__clientId": "x"}, "AZURE_OPENAI__credential=managedidentity"),
        (
            ENDPOINT | {"AZURE_OPENAI__managedIdentityResourceId": "x"},
            "AZURE_OPENAI__credential=managedidentity",
        ),
        (
            ENDPOINT
            | {
                "AZURE_OPENAI__credential": "managedidentity",
                "AZURE_OPENAI__clientId": "x",
                "AZURE_OPENAI__managedIdentityResourceId": "y",
            },
            "keep one",
        ),
    ],
)
def test_a_wrong_connection(values: dict[str, str], named: str) -> None:
    assert named in misconfigured(Settings(values).connection)


def test_a_connection_that_is_not_listed() -> None:
    assert "CHAT_CONNECTIONS" in misconfigured(lambda: Settings(ENDPOINT).connection("OTHER"))
    settings = Settings({"CHAT_CONNECTIONS": "MY-CONNECTION"})
    assert "'MY-CONNECTION'" in misconfigured(lambda: settings.connection_names)
    assert "B__endpoint" in misconfigured(
        lambda: Settings({"CHAT_CONNECTIONS": "B"}).connection("B")
    )


def test_identities() -> None:
    managed = Settings(
        ENDPOINT
        | {
            "AZURE_OPENAI__credential": "managedidentity",
            "AZURE_OPENAI__managedIdentityResourceId": "r",
        }
    )
    assert managed.connection().identity == IdentitySettings(managed=True, resource_id="r")


def test_the_system_prompt() -> None:
    assert Settings({}).system_prompt == "You are a helpful AI assistant."
    assert Settings({"AZURE_OPENAI_SYSTEM_PROMPT": "Be kind."}).system_prompt == "Be kind."


def test_the_fields_of_callers() -> None:
    assert Settings({}).caller_fields == frozenset()
    assert Settings({"CHAT_CALLER_FIELDS": "*"}).caller_fields == frozenset(LOCKABLE_FIELDS)
    some = Settings({"CHAT_CALLER_FIELDS": "model, options"})
    assert some.caller_fields == {"model", "options"}
    for wrong in ("modle", "*,model"):
        settings = Settings({"CHAT_CALLER_FIELDS": wrong})
        message = misconfigured(partial(getattr, settings, "caller_fields"))
        assert "CHAT_CALLER_FIELDS" in message
        assert "systemPrompt" in message


@pytest.mark.parametrize(
    ("values", "storage"),
    [
        (
            {"CHAT_STORAGE": "UseDevelopmentStorage=true"},
            Storage(
                setting="CHAT_STORAGE",
                table="conversations",
                connection_string="UseDevelopmentStorage=true",
            ),
        ),
        (
            {"CHAT_STORAGE__tableServiceUri": f"{URI}/", "CHAT_STORAGE_TABLE": "chats"},
            Storage(setting="CHAT_STORAGE__tableServiceUri", table="chats", endpoint=URI),
        ),
        (
            {
                "CHAT_STORAGE__accountName": "acc",
                "CHAT_STORAGE__credential": "managedidentity",
                "CHAT_STORAGE__clientId": "id",
            },
            Storage(
                setting="CHAT_STORAGE__accountName",
                table="conversations",
                endpoint=URI,
                identity=IdentitySettings(managed=True, client_id="id"),
            ),
        ),
        (
            {"AzureWebJobsStorage": "A=1", "CHAT_STORAGE": "<insert a connection string>"},
            Storage(setting="AzureWebJobsStorage", table="conversations", connection_string="A=1"),
        ),
        (
            {"AzureWebJobsStorage__accountName": "acc"},
            Storage(
                setting="AzureWebJobsStorage__accountName", table="conversations", endpoint=URI
            ),
        ),
        (
            {"CHAT_STORAGE": "A=1", "AzureWebJobsStorage": "B=2"},
            Storage(setting="CHAT_STORAGE", table="conversations", connection_string="A=1"),
        ),
    ],
)
def test_where_the_history_is(values: dict[str, str], storage: Storage) -> None:
    assert Settings(values).storage == storage


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "CHAT_STORAGE is missing"),
        ({"CHAT_STORAGE": "A=1", "CHAT_STORAGE__accountName": "acc"}, "both set: keep one"),
        ({"CHAT_STORAGE": "A=1", "CHAT_STORAGE__tableServiceUri": URI}, "both set: keep one"),
        (
            {"CHAT_STORAGE__tableServiceUri": URI, "CHAT_STORAGE__accountName": "acc"},
            "CHAT_STORAGE__tableServiceUri and CHAT_STORAGE__accountName are both set: keep one",
        ),
        ({"CHAT_STORAGE__tableServiceUri": "acc"}, "CHAT_STORAGE__tableServiceUri must be"),
        ({"CHAT_STORAGE__tableServiceUri": f"{URI} x"}, "CHAT_STORAGE__tableServiceUri must be"),
        ({"CHAT_STORAGE__accountName": "Acc"}, "CHAT_STORAGE__accountName must be"),
        ({"CHAT_STORAGE__accountName": "acc.evil"}, "CHAT_STORAGE__accountName must be"),
        ({"CHAT_STORAGE": "A=1", "CHAT_STORAGE_TABLE": "a-b"}, "CHAT_STORAGE_TABLE must be"),
        ({"CHAT_STORAGE": "A=1", "CHAT_STORAGE_TABLE": "ab"}, "CHAT_STORAGE_TABLE must be"),
        (
            {"CHAT_STORAGE__accountName": "acc", "CHAT_STORAGE__credential": "x"},
            "CHAT_STORAGE__credential must be",
        ),
    ],
)
def test_a_wrong_storage(values: dict[str, str], named: str) -> None:
    assert named in misconfigured(lambda: Settings(values).storage)


@pytest.mark.parametrize(
    ("values", "auth"),
    [
        ({}, Auth("anonymous", False)),
        ({"CHAT_AUTH": "anonymous", "WEBSITE_SITE_NAME": "x"}, Auth("anonymous", False)),
        ({"CHAT_AUTH": "easyauth", "WEBSITE_AUTH_ENABLED": "True"}, Auth("easyauth", True)),
        ({"CHAT_AUTH": "staticwebapps"}, Auth("staticwebapps", False)),
        (
            {"CHAT_AUTH": "staticwebapps", "WEBSITE_AUTH_ENABLED": "False"},
            Auth("staticwebapps", False),
        ),
    ],
)
def test_who_may_call(values: dict[str, str], auth: Auth) -> None:
    assert Settings(values).auth == auth


@pytest.mark.parametrize("values", [{"WEBSITE_SITE_NAME": "x"}, {"CHAT_AUTH": "none"}])
def test_authentication_fails_closed(values: dict[str, str]) -> None:
    message = misconfigured(lambda: Settings(values).auth)
    assert "CHAT_AUTH" in message
    assert "staticwebapps, easyauth or anonymous" in message


def test_origins() -> None:
    assert Settings({}).allowed_origins == frozenset()
    settings = Settings({"CHAT_ALLOWED_ORIGINS": "https://a.example http://127.0.0.1:4280"})
    assert settings.allowed_origins == {"https://a.example", "http://127.0.0.1:4280"}


@pytest.mark.parametrize("wrong", ["*", "a.example", "https://a.example/", "https://*.example"])
def test_wrong_origins(wrong: str) -> None:
    settings = Settings({"CHAT_ALLOWED_ORIGINS": wrong})
    message = misconfigured(lambda: settings.allowed_origins)
    assert "CHAT_ALLOWED_ORIGINS" in message
    assert repr(wrong) in message


NUMBERS = [
    ("CHAT_MAX_BODY_BYTES", "body_bytes", 1 << 20, "1024", "1023"),
    ("CHAT_MAX_PROMPT_CHARS", "prompt_chars", 32_000, "1", "0"),
    ("CHAT_MAX_INPUT_CHARS", "input_chars", 400_000, "1", "0"),
    ("CHAT_MAX_COMPLETION_TOKENS", "completion_tokens", 16_384, "1", "0"),
    ("CHAT_HISTORY_MAX_MESSAGES", "history_messages", 40, "2", "1"),
    ("CHAT_HISTORY_MAX_TOKENS", "history_tokens", 32_000, "1", "0"),
    ("CHAT_MAX_CONCURRENT_TURNS", "concurrent_turns", 500, "1", "0"),
    ("CHAT_MODEL_TIMEOUT_SECONDS", "model_timeout", 180, "1", "0"),
    ("CHAT_DISCONNECT_GRACE_SECONDS", "disconnect_grace", 30, "0", "-1"),
]


@pytest.mark.parametrize(("name", "field", "default", "right", "wrong"), NUMBERS)
def test_numbers(name: str, field: str, default: int, right: str, wrong: str) -> None:
    assert getattr(Settings({}).limits, field) == default
    assert getattr(Settings({name: f" {right} "}).limits, field) == int(right)
    for bad in (wrong, "many", "1.5", "1e3", "9" * 13, "٥"):
        message = misconfigured(partial(getattr, Settings({name: bad}), "limits"))
        assert name in message
        assert repr(bad) in message
        assert f"from {right} to " in message


SIGNED_IN = {"CHAT_AUTH": "easyauth"}
ALLOWANCE = {
    "CHAT_DAILY_TOKENS": "daily_tokens",
    "CHAT_DAILY_TOKENS_PER_OWNER": "daily_tokens_per_owner",
    "CHAT_REQUESTS_PER_MINUTE": "requests_per_minute",
}


def test_nothing_is_limited_unless_a_setting_says_so() -> None:
    assert Settings({}).allowance is None
    assert Settings({"CHAT_DAILY_TOKENS": "<insert a number>"}).allowance is None
    assert Settings({"CHAT_AUTH": "nonsense"}).allowance is None


@pytest.mark.parametrize("name", ALLOWANCE)
def test_each_limit(name: str) -> None:
    fields: dict[str, int | None] = dict.fromkeys(ALLOWANCE.values())
    fields[ALLOWANCE[name]] = 7
    assert Settings(SIGNED_IN | {name: " 7 "}).allowance == Allowance(**fields)
    for bad in ("0", "-1", "many", "1.5", "1e6"):
        message = misconfigured(partial(getattr, Settings(SIGNED_IN | {name: bad}), "allowance"))
        assert message.startswith(f"{name} must be a whole number from 1 to ")


@pytest.mark.parametrize("name", ["CHAT_DAILY_TOKENS_PER_OWNER", "CHAT_REQUESTS_PER_MINUTE"])
def test_a_limit_for_each_owner_where_callers_are_anonymous(name: str) -> None:
    for auth in ({}, {"CHAT_AUTH": "anonymous"}):
        settings = Settings(auth | {name: "5", "CHAT_DAILY_TOKENS": "5"})
        message = misconfigured(partial(getattr, settings, "allowance"))
        assert message.startswith(name)
        assert "CHAT_AUTH=anonymous" in message
        assert "with CHAT_DAILY_TOKENS" in message
    assert Settings({"CHAT_DAILY_TOKENS": "5"}).allowance is not None
    in_azure = Settings({name: "5", "WEBSITE_SITE_NAME": "x"})
    assert "CHAT_AUTH is missing" in misconfigured(lambda: in_azure.allowance)


TIMERS = {"AzureWebJobsStorage__accountName": "acc"}


def test_how_long_conversations_are_kept() -> None:
    assert Settings({}).retention_days is None
    assert Settings({"CHAT_RETENTION_DAYS": "<insert days>"}).retention_days is None
    for days in ("1", "30", "10000"):
        assert Settings(TIMERS | {"CHAT_RETENTION_DAYS": days}).retention_days == int(days)
    for bad in ("0", "-1", "1.5", "30 days", "10001", "٣"):
        settings = Settings(TIMERS | {"CHAT_RETENTION_DAYS": bad})
        message = misconfigured(partial(getattr, settings, "retention_days"))
        assert message.startswith("CHAT_RETENTION_DAYS must be a whole number from 1 to 10000")
    message = misconfigured(lambda: Settings({"CHAT_RETENTION_DAYS": "30"}).retention_days)
    assert "CHAT_RETENTION_DAYS" in message
    assert "AzureWebJobsStorage" in message


@pytest.mark.parametrize(
    ("values", "timers"),
    [
        ({}, False),
        ({"AzureWebJobsStorage": ""}, False),
        ({"AzureWebJobsStorage": "<insert a connection string>"}, False),
        ({"CHAT_STORAGE": "UseDevelopmentStorage=true"}, False),
        ({"AzureWebJobsStorage__credential": "managedidentity"}, False),
        ({"AzureWebJobsStorage__tableServiceUri": URI}, False),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, True),
        ({"AzureWebJobsStorage__accountName": "acc"}, True),
        ({"AzureWebJobsStorage__blobServiceUri": "https://acc.blob.core.windows.net"}, True),
        ({"AzureWebJobsStorage__serviceUri": "https://acc.blob.core.windows.net"}, True),
    ],
)
def test_where_the_host_has_a_storage_for_timers(values: dict[str, str], timers: bool) -> None:
    assert Settings(values).has_timers is timers


def test_a_snapshot_of_the_environment_that_is_read_late() -> None:
    environment = {"CHAT_AUTH": "nonsense", "CHAT_MAX_BODY_BYTES": "x"}
    settings = Settings.from_env(environment)
    environment["AZURE_OPENAI_SYSTEM_PROMPT"] = "changed"
    assert settings.system_prompt == "You are a helpful AI assistant."
