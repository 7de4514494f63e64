"""Connections opened: settings and a credential in, a model that can be asked out."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from shared.errors import ChatError, Misconfigured, ModelRefused
from shared.models.completions import RETRY_SECONDS, ChatCompletions
from shared.models.embeddings import EmbeddingsModel
from shared.settings import Connection, Kind

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

type TokenSource = Callable[[], Awaitable[str]]
"""Gives a bearer token, fresh for at least the next minute; is called for every attempt."""

CONNECT_SECONDS: Final = 5.0
KEEP_ALIVE_SECONDS: Final = 180.0
"""Below the 4 minutes after which Azure's load balancers forget an idle connection."""
MAX_CONNECTIONS: Final = 100_000
"""No limit of its own: the number of concurrent turns is limited elsewhere."""

_V1_VERSIONS: Final = frozenset({None, "v1", "latest", "preview"})
_MODELS_VERSION: Final = "2024-05-01-preview"
"""Azure's `/models` has no version without a date; this is the one that it is documented with."""
_ADDRESS: Final = "be the address of the service, such as https://RESOURCE.openai.azure.com"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def open_model(
    connection: Connection,
    token: TokenSource | None = None,
    *,
    retry_seconds: float = RETRY_SECONDS,
) -> ChatCompletions:
    """The model service of a connection. Imports the SDK; nothing is sent yet.

    `token` serves a connection without a key. Raises `Misconfigured`.
    """
    client = _open_client(connection, token)
    return ChatCompletions(client, connection, retry_seconds=retry_seconds)


def open_embeddings(
    connection: Connection,
    token: TokenSource | None = None,
    dimensions: int | None = None,
    *,
    retry_seconds: float = RETRY_SECONDS,
) -> EmbeddingsModel:
    """The same connection's embeddings model. Raises `Misconfigured`."""
    client = _open_client(connection, token)
    return EmbeddingsModel(client, connection, dimensions, retry_seconds=retry_seconds)


def _open_client(connection: Connection, token: TokenSource | None) -> "AsyncOpenAI":
    """Azure's v1 endpoint and dated API versions:
    https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle.
    """
    import httpx2

    endpoint = connection.endpoint.rstrip("/")
    try:
        address = httpx2.URL(endpoint)
        host = address.host.strip("[]")
    except httpx2.InvalidURL as exc:
        raise _bad_endpoint(connection, _ADDRESS) from exc
    if not host or address.scheme not in ("http", "https"):
        raise _bad_endpoint(connection, _ADDRESS)
    if address.query or address.fragment:
        raise _bad_endpoint(connection, "be the address of the service alone, without a query")
    if connection.api_key is None and token is not None:
        if address.scheme != "https" and host not in _LOOPBACK:
            raise _bad_endpoint(
                connection, "begin with https://: an identity's token is not sent unencrypted"
            )
        token = _guarded(connection, token)
    client = _CLIENTS[connection.kind](connection, endpoint, token)
    # The SDK would take these from its own environment variables.
    client.organization = client.project = None
    return client


def _azure_openai(
    connection: Connection, endpoint: str, token: TokenSource | None
) -> "AsyncOpenAI":
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    _check_credential(connection, token)
    base = re.sub(r"/openai(/v1)?$", "", endpoint) + "/openai"
    version = connection.api_version
    if version in _V1_VERSIONS:
        return AsyncOpenAI(
            base_url=f"{base}/v1/",
            api_key=connection.api_key or token,
            # Keys go by this header in all of Azure AI; not every gateway takes them as bearers.
            default_headers=_HEADERS
            | ({"api-key": connection.api_key} if connection.api_key else {}),
            default_query={"api-version": version} if version else None,
            http_client=_http_client(),
            max_retries=0,
        )
    return AsyncAzureOpenAI(
        base_url=base,
        api_version=version,
        api_key=connection.api_key,
        azure_ad_token_provider=None if connection.api_key else token,
        default_headers=_HEADERS,
        http_client=_http_client(),
        max_retries=0,
    )


def _openai(connection: Connection, endpoint: str, token: TokenSource | None) -> "AsyncOpenAI":
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        base_url=endpoint,
        # Services that want no key ignore it; the SDK insists on one.
        api_key=connection.api_key or token or "none",
        default_headers=_HEADERS,
        http_client=_http_client(),
        max_retries=0,
    )


def _mistral(connection: Connection, endpoint: str, token: TokenSource | None) -> "AsyncOpenAI":
    from openai import AsyncOpenAI

    _check_credential(connection, token)
    base, version = mistral_address(endpoint, connection.api_version)
    headers = dict(_HEADERS)
    if version not in _V1_VERSIONS:
        # It refuses what only some models know, such as `safe_prompt`, unless it is told to ask.
        headers["extra-parameters"] = "pass-through"
    if connection.api_key and (version or _on_azure(base)):
        headers["api-key"] = connection.api_key  # As above.
    return AsyncOpenAI(
        base_url=base,
        api_key=connection.api_key or token,
        default_headers=headers,
        default_query={"api-version": version} if version else None,
        http_client=_http_client(),
        max_retries=0,
    )


def mistral_address(endpoint: str, version: str | None) -> tuple[str, str | None]:
    """Base URL and API version of Mistral's own service, or of one of its models on Azure.

    Azure has them under `/openai/v1`, and in dated versions under `/models`:
    https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/endpoints. The address
    alone will do, and so will the whole one that its pages show.
    """
    import httpx2

    base = endpoint.removesuffix("/chat/completions")
    path = httpx2.URL(base).path.rstrip("/")
    if not path:
        return base + (
            "/models" if version else "/openai/v1" if _on_azure(base) else "/v1"
        ), version
    if path.endswith("/models"):
        return base, version or _MODELS_VERSION
    return base, version


def _on_azure(base: str) -> bool:
    import httpx2

    return httpx2.URL(base).host.endswith(".azure.com")


_CLIENTS: Final[dict[Kind, Callable[[Connection, str, TokenSource | None], "AsyncOpenAI"]]] = {
    "azure_openai": _azure_openai,
    "openai": _openai,
    "mistral": _mistral,
}

_HEADERS: Final = {"Accept-Encoding": "identity"}
"""The stream is read as it comes, so it must not come compressed."""


def _http_client() -> "httpx2.AsyncClient":
    import httpx2
    from openai import DefaultAioHttpClient

    return DefaultAioHttpClient(
        # No read time-out: it would re-arm a timer for every chunk. Silence is watched elsewhere.
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEP_ALIVE_SECONDS),
        # A redirect would carry the key to another host.
        follow_redirects=False,
    )


def _check_credential(connection: Connection, token: TokenSource | None) -> None:
    if connection.api_key is None and token is None:
        raise Misconfigured(
            f"{connection.setting('apiKey')} is missing: set it, or give the app an identity with "
            f"{connection.setting('credential')}."
        )


def _bad_endpoint(connection: Connection, must: str) -> Misconfigured:
    return Misconfigured(f"{connection.setting('endpoint')} must {must}.")


def _guarded(connection: Connection, token: TokenSource) -> TokenSource:
    async def guarded() -> str:
        try:
            value = await token()
        except ChatError:
            raise
        except Exception as exc:
            raise _no_token(connection) from exc
        if not value:
            raise _no_token(connection)
        return value

    return guarded


def _no_token(connection: Connection) -> ModelRefused:
    return ModelRefused(
        "The app's identity got no token for the model: look at "
        f"{connection.setting('credential')}, and whether the app has that identity."
    )
