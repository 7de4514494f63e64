"""The credential that the Table service is entered with, where the settings give no key."""

import asyncio
from typing import Any, Protocol

from shared.errors import ChatError
from shared.history.account import Account
from shared.history.failures import TimeLimits, no_token


class AccessToken(Protocol):
    """A bearer token, as `azure.core.credentials` has it; `expires_on` in seconds since 1970."""

    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class Credential(Protocol):
    """What `azure.core.credentials_async.AsyncTokenCredential` asks of a credential.

    It caches its tokens: every request asks for one.
    """

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken: ...


class GuardedCredential:
    """A credential whose errors are this app's, and whose time is bounded, whoever asks it."""

    def __init__(self, credential: Credential, account: Account, limits: TimeLimits) -> None:
        self._credential = credential
        self._account = account
        self._limits = limits

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Raises `StoreUnavailable`, or what `ChatError` the credential raises itself."""
        try:
            async with asyncio.timeout(self._limits.total):
                return await self._credential.get_token(*scopes, **options)
        except ChatError:
            raise
        except Exception as exc:
            raise no_token(self._account) from exc

    async def token(self, scope: str) -> str:
        """The token alone."""
        return (await self.get_token(scope)).token
