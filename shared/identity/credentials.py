"""The app's own identity, by the naming of Functions' identity-based connections."""

from typing import TYPE_CHECKING

from shared.identity.tokens import SharedTokens
from shared.settings import IdentitySettings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


def credential(identity: IdentitySettings) -> SharedTokens:
    """The tokens of a managed identity, or of the developer who is signed in.

    Azure's SDK is imported when the first token is wanted. One object serves everything that has
    these settings.
    """
    if not identity.managed:
        return SharedTokens(
            _developer,
            "No developer's sign-in gave a token: sign in with `az login`, or, in Azure, set the "
            "connection's __credential to managedidentity.",
        )

    def managed() -> "AsyncTokenCredential":
        from azure.identity.aio import ManagedIdentityCredential

        if identity.resource_id is not None:
            # The SDK hands these on as they are, and its own `resource_id` is a name that App
            # Service does not know: it would give the system-assigned identity's token.
            return ManagedIdentityCredential(identity_config={"mi_res_id": identity.resource_id})
        return ManagedIdentityCredential(client_id=identity.client_id)

    which = (
        "with the connection's __clientId"
        if identity.client_id
        else "with the connection's __managedIdentityResourceId"
        if identity.resource_id
        else "that is system-assigned"
    )
    return SharedTokens(
        managed, f"The managed identity gave no token: does the Function App have one {which}?"
    )


def _developer() -> "AsyncTokenCredential":
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()
