"""What turns know of the limits that protect the bill: whether one may begin, and what it used."""

from typing import Protocol


class Budget(Protocol):
    """`owner` None: an anonymous caller, who is counted for the whole app only."""

    async def admit(self, owner: str | None) -> None:
        """Count one turn that is about to begin.

        Raises `RateLimited` where a limit is reached, and `StoreUnavailable` where nobody can
        tell; in bounded time.
        """
        ...

    def spend(self, owner: str | None, tokens: int) -> None:
        """Count what an ended turn has used; nobody waits for it, and it never raises."""
        ...

    async def aclose(self) -> None:
        """Wait until what was spent is counted; in bounded time."""
        ...
