"""App Service's managed-identity endpoint, for this machine.

It answers `GET {IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=…` with the header
`X-IDENTITY-HEADER` as App Service and Functions do (learn.microsoft.com, "How to use managed
identities for App Service", REST endpoint reference). Its tokens are unsigned JSON web tokens:
good for Azurite (`--oauth basic`) and for the model simulator, and for nothing else.
"""

from local.identity.client import Identity, running_identity
from local.identity.records import IdentityFault, IdentityRecord
from local.identity.tokens import ManagedIdentity

__all__ = ["Identity", "IdentityFault", "IdentityRecord", "ManagedIdentity", "running_identity"]
