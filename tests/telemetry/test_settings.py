"""Where telemetry goes, and how a wrong destination is told."""

import pytest

from shared.errors import Misconfigured
from shared.settings import IdentitySettings, Settings, TelemetrySettings

INSIGHTS = "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://x/"
OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318/"}


def read(**values: str) -> TelemetrySettings:
    found = Settings(values).telemetry
    assert found is not None
    return found


def test_without_a_destination_there_is_none() -> None:
    assert Settings({}).telemetry is None
    assert Settings({"CHAT_TELEMETRY": "on"}).telemetry is None
    assert Settings({**OTLP, "CHAT_TELEMETRY": "off"}).telemetry is None


def test_an_otlp_endpoint() -> None:
    found = read(**OTLP, OTEL_EXPORTER_OTLP_HEADERS="Api-Key=a%20b, x=1=2,")
    assert found.otlp_endpoint == "http://127.0.0.1:4318/"
    assert found.otlp_headers == (("api-key", "a b"), ("x", "1=2"))
    assert found.app_insights is None
    assert found.logs
    assert (found.content, found.share, found.metric_seconds) == (False, 1.0, 60)
    assert (found.service, found.in_azure, found.instance) == ("streaming-chat", False, None)


def test_application_insights_with_and_without_an_identity() -> None:
    name = "APPLICATIONINSIGHTS_CONNECTION_STRING"
    assert read(**{name: INSIGHTS}).app_insights_identity is None
    for text, wanted in (
        ("Authorization=AAD", IdentitySettings(True)),
        ("Authorization=AAD;ClientId=c", IdentitySettings(True, "c")),
        ("ClientId = c ;authorization=AAD;", IdentitySettings(True, "c")),
    ):
        found = read(**{name: INSIGHTS, "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": text})
        assert found.app_insights_identity == wanted, text


@pytest.mark.parametrize(
    ("more", "logs"),
    [
        ({}, False),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "true"}, True),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "1"}, True),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "false"}, False),
    ],
)
def test_the_log_goes_to_application_insights_once(more: dict[str, str], logs: bool) -> None:
    assert read(APPLICATIONINSIGHTS_CONNECTION_STRING=INSIGHTS, **more).logs is logs


def test_names_of_the_instance_come_from_azure() -> None:
    found = read(**OTLP, WEBSITE_SITE_NAME="app", WEBSITE_INSTANCE_ID="i-1")
    assert (found.service, found.instance, found.in_azure) == ("app", "i-1", True)
    assert read(**OTLP, WEBSITE_SITE_NAME="app", OTEL_SERVICE_NAME="mine").service == "mine"


def test_content_and_share_are_said_on_purpose() -> None:
    found = read(**OTLP, CHAT_TELEMETRY_CONTENT="true", CHAT_TELEMETRY_TRACES_PERCENT="25")
    assert (found.content, found.share) == (True, 0.25)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CHAT_TELEMETRY", "yes"),
        ("CHAT_TELEMETRY_CONTENT", "1"),
        ("CHAT_TELEMETRY_TRACES_PERCENT", "101"),
        ("CHAT_TELEMETRY_METRIC_SECONDS", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "the-secret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=the-secret"),
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", "the-secret"),
        ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "the-secret"),
        ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "Authorization=Key;x=the-secret"),
    ],
)
def test_what_is_wrong_is_told_by_its_name_and_without_a_secret(name: str, text: str) -> None:
    values = OTLP | {"APPLICATIONINSIGHTS_CONNECTION_STRING": INSIGHTS} | {name: text}
    with pytest.raises(Misconfigured) as raised:
        assert Settings(values).telemetry
    assert name in raised.value.message
    assert "the-secret" not in raised.value.message
