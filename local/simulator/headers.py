"""The headers that the service adds to its responses."""

import uuid

from local.simulator.records import Style


def response_headers(style: Style, region: str, deployment: str | None = None) -> dict[str, str]:
    """Make the headers of a response in a URL style; the deployment where one answers."""
    common = {
        "x-request-id": str(uuid.uuid4()),
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-limit-tokens": "1000000",
        "x-ratelimit-remaining-tokens": "999000",
        "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
        "x-content-type-options": "nosniff",
    }
    if style == "mistral":
        return {"mistral-correlation-id": str(uuid.uuid4()), "x-kong-upstream-latency": "12"}
    if style == "openai":
        return common | {"openai-version": "2020-10-01", "openai-processing-ms": "12"}
    azure = {
        "apim-request-id": str(uuid.uuid4()),
        "x-ms-region": region,
        "x-ms-rai-invoked": "true",
    }
    if deployment:
        azure["x-ms-deployment-name"] = deployment
    return common | azure
