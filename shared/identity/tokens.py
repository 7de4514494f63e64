"""Tokens of one identity, shared: one request for all who wait, renewed before it is needed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo
    from azure.core.credentials_async import AsyncTokenCredential

RENEW_SECONDS: Final = 300.0
"""How long before its end a token is renewed, while callers go on with the old one."""
RETRY_SECONDS: Final = 30.0
"""How long after a renewal, or one that failed, the next is tried."""
LEAST_SECONDS: Final = 60.0
"""What a token must still be good for to be given out."""
MAX_SCOPES: Final = 16
_CLOSED: Final = "The identity is closed: the app is shutting down."


class IdentityUnavailable(Exception):
    """The identity gave no token; `message` says what to look at, and is safe to show."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SharedTokens:
    """An identity's tokens for the whole process; also an `AsyncTokenCredential` of Azure's SDKs.

    However many callers want a token of one scope, one request is under way for it. A caller that
    is cancelled leaves the request running for the others; its failure reaches all who wait, and
    the next caller asks anew. Belongs to one event loop.
    """

    def __init__(
        self,
        open_credential: "Callable[[], AsyncTokenCredential]",
        advice: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`open_credential` is called once, when a token is first wanted; `advice` says in a
        sentence what to look at where there is none. `clock` gives seconds since the epoch."""
        self._open_credential = open_credential
        self._advice = advice
        self._clock = clock
        self._credential: AsyncTokenCredential | None = None
        self._scopes: dict[tuple[str, ...], _Scope] = {}
        self._closed = False

    async def token(self, scope: str) -> str:
        """A bearer token, good for a minute at least. Raises `IdentityUnavailable`."""
        return (await self.get_token(scope)).token

    async def get_token(self, *scopes: str, **_options: Any) -> "AccessToken":
        """The same, as Azure's SDKs ask for it. Claims challenges and tenants are not served."""
        scope = self._scopes.get(scopes)
        if scope is None:
            if len(self._scopes) >= MAX_SCOPES:
                self._scopes.pop(next(iter(self._scopes)))
            scope = self._scopes[scopes] = _Scope()
        now = self._clock()
        token = scope.token
        if token is not None and token.expires_on - now >= LEAST_SECONDS:
            if now >= scope.renew_at:
                scope.renew_at = now + RETRY_SECONDS
                self._request(scope, scopes)
            return token
        return await asyncio.shield(self._request(scope, scopes))

    async def get_token_info(self, *scopes: str, options: object = None) -> "AccessTokenInfo":
        """The same, in the form that newer SDKs prefer."""
        from azure.core.credentials import AccessTokenInfo

        token = await self.get_token(*scopes)
        return AccessTokenInfo(token.token, token.expires_on)

    async def aclose(self) -> None:
        """End the requests under way and close the credential; no token is given any more."""
        self._closed = True
        tasks = [scope.task for scope in self._scopes.values() if scope.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        credential, self._credential = self._credential, None
        if credential is not None:
            await credential.close()

    async def close(self) -> None:
        """The SDKs' name for `aclose`."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def _request(self, scope: "_Scope", scopes: tuple[str, ...]) -> "asyncio.Task[AccessToken]":
        if scope.task is None:
            scope.task = asyncio.create_task(self._fetch(scope, scopes))
            scope.task.add_done_callback(_retrieved)
        return scope.task

    async def _fetch(self, scope: "_Scope", scopes: tuple[str, ...]) -> "AccessToken":
        from azure.core.exceptions import AzureError

        try:
            if self._closed:
                raise IdentityUnavailable(_CLOSED)
            if self._credential is None:
                self._credential = self._open_credential()
            now = self._clock()
            token = await self._credential.get_token(*scopes)
        except (AzureError, OSError, ValueError) as exc:
            raise IdentityUnavailable(self._advice) from exc
        except asyncio.CancelledError:
            if self._closed:  # Who waits was not cancelled, and must not look as if it were.
                raise IdentityUnavailable(_CLOSED) from None
            raise
        finally:
            scope.task = None
        scope.token = token
        life = token.expires_on - now
        scope.renew_at = max(token.expires_on - RENEW_SECONDS, now + min(life / 2, RENEW_SECONDS))
        return token


class _Scope:
    """What is known for one scope."""

    __slots__ = ("renew_at", "task", "token")

    def __init__(self) -> None:
        self.token: AccessToken | None = None
        self.renew_at = 0.0
        self.task: asyncio.Task[AccessToken] | None = None


def _retrieved(task: "asyncio.Task[AccessToken]") -> None:
    """A failed renewal that nobody waited for is no unhandled error."""
    with suppress(asyncio.CancelledError):
        task.exception()
