"""What goes wrong at the Table service, in this app's words: the one place that translates it."""

from dataclasses import dataclass

from shared.errors import StoreUnavailable
from shared.history.account import Account
from shared.history.base import Conflict

ROLE = "Storage Table Data Contributor"


class NoTable(Exception):
    """The table is not there yet; nothing was written."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: how long a connection, and a whole request, may take."""

    connect: float = 3.0
    total: float = 8.0


TIME_LIMITS = TimeLimits()


def unknown(account: Account) -> StoreUnavailable:
    """No answer came: a write may have landed."""
    return StoreUnavailable(
        f"The table service that {account.setting} names gives no valid answer in time."
    )


def loggable(account: Account, cause: Exception) -> Exception | None:
    """The cause, unless its words may hold an address with the signature in its query."""
    return cause if account.sas is None else None


def no_token(account: Account) -> StoreUnavailable:
    return StoreUnavailable(
        f"The identity for the table service that {account.setting} names gets no token."
    )


def failed(account: Account, status: int, code: str, *, write: bool) -> Exception:
    """The error for an HTTP status and the service's own error code, which never leaves.

    https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes
    """
    if code == "TableNotFound":
        return NoTable()
    if code == "TableBeingDeleted":
        return StoreUnavailable("The table is being deleted. Try again in a minute.")
    if (
        write
        and not code.startswith("Table")
        and (status in (409, 412) or (status == 404 and code))
    ):
        return Conflict()
    if status in (401, 403):
        return StoreUnavailable(_refused(account))
    if status == 404 and not code:
        return StoreUnavailable(f"There is no table service where {account.setting} says.")
    if status in (408, 429) or status >= 500:
        return StoreUnavailable("The table service is busy. Try again soon.", retry_after=1)
    return StoreUnavailable(f"The table service refused a request (status {status}).")


def _refused(account: Account) -> str:
    if account.key is not None or account.sas is not None:
        return f"The table service refuses the key in {account.setting}, or this network."
    return (
        f"The table service that {account.setting} names refuses the app's identity, or this "
        f"network: give the identity the role {ROLE}."
    )
