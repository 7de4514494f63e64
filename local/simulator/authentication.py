"""Checks keys and tokens as the service does, as far as that goes without signatures."""

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from local.simulator.errors import ServiceError, keys_disabled, no_credential, openai_error
from local.simulator.errors import wrong_key as wrong_azure_key
from local.simulator.mistral_requests import unauthorized
from local.simulator.options import Options
from local.simulator.records import Authentication


def identify(headers: Mapping[str, str]) -> tuple[Authentication, str]:
    """Say how a request is authenticated, and give the key or token itself."""
    key = headers.get("api-key")
    if key:
        return Authentication("key"), key
    scheme, _, secret = headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        return Authentication("none"), ""
    claims = read_claims(secret)
    if claims is None:
        return Authentication("key"), secret
    audience, client_id = claims.get("aud"), claims.get("appid")
    return (
        Authentication(
            "token",
            audience if isinstance(audience, str) else None,
            client_id if isinstance(client_id, str) else None,
        ),
        secret,
    )


def check_azure(
    authentication: Authentication, secret: str, options: Options, *, dated: bool, by_header: bool
) -> None:
    """Raise the service's `ServiceError` unless this opens an Azure resource.

    The v1 URLs also take a key as a bearer token; the dated ones only in `api-key`
    (`by_header`).
    """
    if authentication.kind == "token":
        if not _token_opens(secret, options.audiences):
            raise no_credential()
    elif authentication.kind == "none" or (dated and not by_header):
        raise no_credential()
    elif options.require_token:
        raise keys_disabled()
    elif options.api_key not in (None, secret):
        raise wrong_azure_key()


def check_openai(authentication: Authentication, secret: str, options: Options) -> None:
    """Raise OpenAI's own `ServiceError` 401 unless this is a key that opens."""
    if authentication.kind == "none":
        raise _unauthenticated(
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    if options.api_key not in (None, secret):
        raise _unauthenticated(
            "Incorrect API key provided. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )


def check_mistral(authentication: Authentication, secret: str, options: Options) -> None:
    """Raise Mistral's own `ServiceError` 401 unless this is a key that opens."""
    if authentication.kind == "none" or options.api_key not in (None, secret):
        raise unauthorized()


def read_claims(token: str) -> dict[str, Any] | None:
    """Read the claims of a JSON web token (RFC 7519), or None where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        raw = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (binascii.Error, msgspec.DecodeError, RecursionError, ValueError):
        return None


def _token_opens(token: str, audiences: tuple[str, ...]) -> bool:
    claims = read_claims(token) or {}
    audience, expires = claims.get("aud"), claims.get("exp")
    return (
        isinstance(audience, str)
        and audience.rstrip("/") in audiences
        and isinstance(expires, int | float)
        and expires > time.time()
    )


def _unauthenticated(message: str, code: str | None = None) -> ServiceError:
    return openai_error(message, code=code, status=401)
