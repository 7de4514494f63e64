"""Where traces, metrics and logs go; nowhere, unless a destination is named.

The names are those of OpenTelemetry and of Functions:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
https://learn.microsoft.com/azure/azure-functions/functions-app-settings.
"""

import re
from urllib.parse import unquote

from msgspec import Struct

from shared.errors import Misconfigured
from shared.settings.values import ADDRESS, IdentitySettings, Values

APP_INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
APP_INSIGHTS_IDENTITY = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SERVICE = "streaming-chat"


class TelemetrySettings(Struct, frozen=True, kw_only=True):
    """One destination, or both."""

    otlp_endpoint: str | None
    otlp_headers: tuple[tuple[str, str], ...]
    app_insights: str | None
    """Its connection string: an address and a name. Where it wants identities they open nothing."""
    app_insights_identity: IdentitySettings | None
    content: bool
    """Whether messages are told."""
    logs: bool
    """Whether the app sends its log itself; else the host does."""
    share: float
    """Of all turns, how many are traced: 0 to 1. Metrics count all of them."""
    metric_seconds: int
    service: str
    instance: str | None
    in_azure: bool


def read_telemetry(values: Values) -> TelemetrySettings | None:
    """None: there is no destination, or `CHAT_TELEMETRY` is `off`. Raises `Misconfigured`."""
    wanted = values.choice("CHAT_TELEMETRY", ("on", "off"), "on") == "on"
    content = values.choice("CHAT_TELEMETRY_CONTENT", ("true", "false"), "false") == "true"
    otlp, app_insights = values.text(OTLP), values.text(APP_INSIGHTS)
    if not wanted or not (otlp or app_insights):
        return None
    if otlp is not None and not ADDRESS.fullmatch(otlp):
        raise Misconfigured(
            f"{OTLP} must be an address, such as http://127.0.0.1:4318, not {otlp!r}."
        )
    protocol = values.text("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if otlp is not None and protocol != "http/protobuf":
        raise Misconfigured(
            f"OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, or absent, not {protocol!r}: a "
            "collector takes that on port 4318."
        )
    if app_insights is not None and "InstrumentationKey=" not in app_insights:
        raise Misconfigured(
            f"{APP_INSIGHTS} must be a connection string, InstrumentationKey=… and "
            "IngestionEndpoint=…, as the resource's overview shows it."
        )
    percent = values.integer("CHAT_TELEMETRY_TRACES_PERCENT", 100, 0, 100)
    host_sends = app_insights is not None and (
        (values.text("PYTHON_ENABLE_OPENTELEMETRY") or "").lower() not in ("1", "true")
    )
    return TelemetrySettings(
        otlp_endpoint=otlp,
        otlp_headers=_headers(values),
        app_insights=app_insights,
        app_insights_identity=_identity(values),
        content=content,
        logs=not host_sends,
        share=percent / 100,
        metric_seconds=values.integer("CHAT_TELEMETRY_METRIC_SECONDS", 60, 1, 3600),
        service=values.text("OTEL_SERVICE_NAME") or values.text("WEBSITE_SITE_NAME") or _SERVICE,
        instance=values.text("WEBSITE_INSTANCE_ID"),
        in_azure=values.text("WEBSITE_SITE_NAME") is not None,
    )


def _headers(values: Values) -> tuple[tuple[str, str], ...]:
    """`name=value` pairs, parted by commas, percent-encoded as W3C Baggage is."""
    name = "OTEL_EXPORTER_OTLP_HEADERS"
    pairs = []
    for pair in (values.text(name) or "").split(","):
        if not pair.strip():
            continue
        header, found, value = pair.partition("=")
        # The value may be a key: no error shows it.
        if not found or not re.fullmatch(r"[A-Za-z0-9_.-]+", header.strip()):
            raise Misconfigured(f"{name} must be name=value pairs with commas between.")
        pairs.append((header.strip().lower(), unquote(value.strip())))
    return tuple(pairs)


def _identity(values: Values) -> IdentitySettings | None:
    """`Authorization=AAD;ClientId=…`, as the host reads it. None: no identity is asked for."""
    text = values.text(APP_INSIGHTS_IDENTITY)
    if text is None:
        return None
    parts = dict(part.strip().partition("=")[::2] for part in text.split(";") if part.strip())
    named = {name.strip().lower(): value.strip() for name, value in parts.items()}
    if named.get("authorization") != "AAD":
        raise Misconfigured(
            f"{APP_INSIGHTS_IDENTITY} must be Authorization=AAD, with ;ClientId=… for a "
            "user-assigned identity."
        )
    return IdentitySettings(True, named.get("clientid"), None)
