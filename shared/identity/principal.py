"""Who is calling, by the platform's header `x-ms-client-principal`: base64 of a JSON object.

Two services set it, each in its own shape:

- Static Web Apps: `{identityProvider, userId, userDetails, userRoles}`
  (https://learn.microsoft.com/azure/static-web-apps/user-information)
- App Service authentication: `{auth_typ, claims: [{typ, val}], name_typ, role_typ}`
  (https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities)

Nothing here checks a signature, because there is none: the header means something only where the
platform strips what callers send (`Auth.trusted`). Whatever is not exactly as expected is refused.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from shared.errors import Unauthenticated
from shared.messages import Caller
from shared.settings import Auth

MAX_HEADER_CHARS: Final = 64 * 1024
MAX_VALUE_CHARS: Final = 512

_CLAIMS: Final = "http://schemas.microsoft.com/identity/claims"
_OBJECT_ID: Final = frozenset({"oid", f"{_CLAIMS}/objectidentifier"})
_TENANT: Final = frozenset({"tid", f"{_CLAIMS}/tenantid"})
_ISSUER: Final = frozenset({"iss"})
_SUBJECT: Final = frozenset(
    {"sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"}
)


def caller(auth: Auth, header: str | None) -> Caller:
    """The caller that the header names; in the mode `anonymous`, one without an owner.

    `staticwebapps` takes both shapes, as a linked Function App may have further identity providers
    for callers that do not come through the web app; `easyauth` takes App Service's only. The
    owner is one string from which no other user's can be made: each part is percent-encoded, and
    commas stand between them. Raises `Unauthenticated`.
    """
    if auth.mode == "anonymous":
        return Caller()
    if not auth.trusted:
        raise Unauthenticated(
            "Nobody can sign in: WEBSITE_AUTH_ENABLED is not True, so x-ms-client-principal counts "
            "for nothing. Switch on App Service authentication, or link the Static Web App."
        )
    if not header:
        raise Unauthenticated("Sign in first: the request carries no x-ms-client-principal.")
    principal = _decoded(header)
    if "auth_typ" in principal:
        return Caller(_app_service_owner(principal))
    if auth.mode == "staticwebapps" and "identityProvider" in principal:
        return Caller(_static_web_apps_owner(principal))
    raise _bad("it is of another shape")


def _decoded(header: str) -> dict[str, Any]:
    if len(header) > MAX_HEADER_CHARS:
        raise _bad(f"it is longer than {MAX_HEADER_CHARS} characters")
    try:
        raw = base64.b64decode(header + "=" * (-len(header) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _bad("it is not base64") from exc
    try:
        value = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as exc:
        raise _bad("it is not JSON, or names a field twice") from exc
    if not isinstance(value, dict):
        raise _bad("it is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


def _static_web_apps_owner(principal: dict[str, Any]) -> str:
    roles = principal.get("userRoles")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _bad("userRoles is no list of names")
    if not {role.strip().lower() for role in roles} - {"", "anonymous"}:
        raise Unauthenticated("Sign in first: the caller has no role but anonymous.")
    provider = _value(principal.get("identityProvider"), "identityProvider")
    return _owner("swa", provider, _value(principal.get("userId"), "userId"))


def _app_service_owner(principal: dict[str, Any]) -> str:
    provider = _value(principal.get("auth_typ"), "auth_typ")
    claims = principal.get("claims")
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise _bad("claims is no list of objects")
    tenant, object_id = _claim(claims, _TENANT, "tenant"), _claim(claims, _OBJECT_ID, "object id")
    if tenant is not None and object_id is not None:
        return _owner("oid", provider, tenant, object_id)
    issuer, subject = _claim(claims, _ISSUER, "issuer"), _claim(claims, _SUBJECT, "subject")
    if issuer is not None and subject is not None:
        return _owner("sub", provider, issuer, subject)
    raise _bad("it names neither tenant and object id nor issuer and subject")


def _claim(claims: Iterable[dict[str, Any]], types: frozenset[str], name: str) -> str | None:
    """The one value of the claim, whichever of its names it goes by."""
    values = [
        claim.get("val")
        for claim in claims
        if isinstance(typ := claim.get("typ"), str) and typ in types
    ]
    if not values:
        return None
    first = _value(values[0], name)
    if any(value != first for value in values):
        raise _bad(f"it names more than one {name}")
    return first


def _value(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_VALUE_CHARS:
        raise _bad(f"{name} is not a text of 1 to {MAX_VALUE_CHARS} characters")
    return value


def _owner(*parts: str) -> str:
    try:
        return ",".join(quote(part, safe="") for part in parts)
    except UnicodeEncodeError as exc:
        raise _bad("it holds half a character") from exc


def _bad(why: str) -> Unauthenticated:
    return Unauthenticated(f"x-ms-client-principal cannot be used: {why}.")
