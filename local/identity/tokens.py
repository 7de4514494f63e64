"""The identities that an app can have, and their tokens."""

import base64
import time
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

_TENANT = "3f1c6a52-5e0b-4c0e-9a53-0d1a5c6c7b11"

# What tokens can be asked for here; with or without a slash at the end.
RESOURCES = (
    "https://ai.azure.com",
    "https://cognitiveservices.azure.com",
    "https://database.windows.net",
    "https://management.azure.com",
    "https://monitor.azure.com",
    "https://ossrdbms-aad.database.windows.net",
    "https://search.azure.com",
    "https://storage.azure.com",
    "https://vault.azure.net",
)


@dataclass(frozen=True)
class ManagedIdentity:
    """An identity that the app has; its ids are derived from the client id."""

    client_id: str

    @property
    def principal_id(self) -> str:
        """The object id, which role assignments name."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"principal:{self.client_id}"))

    @property
    def resource_id(self) -> str:
        """The Azure resource id of a user-assigned identity."""
        return (
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/local/providers/"
            f"Microsoft.ManagedIdentity/userAssignedIdentities/{self.client_id}"
        )


SYSTEM_ASSIGNED = ManagedIdentity("0c7a1d8e-6f5e-4d39-8f0e-2b7a4f3c9d10")


def make_token(resource: str, identity: ManagedIdentity, expires: int) -> str:
    """Make an unsigned token (RFC 7519, 6.1) with the claims of Microsoft Entra's version 1.0."""
    issued = int(time.time()) - 300
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{_TENANT}/",
        "iat": min(issued, expires),
        "nbf": min(issued, expires),
        "exp": expires,
        "appid": identity.client_id,
        "appidacr": "2",
        "idp": f"https://sts.windows.net/{_TENANT}/",
        "idtyp": "app",
        "oid": identity.principal_id,
        "sub": identity.principal_id,
        "tid": _TENANT,
        "ver": "1.0",
        "xms_mirid": identity.resource_id,
    }
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()
