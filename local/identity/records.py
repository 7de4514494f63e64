"""What the control API takes and gives."""

from typing import Annotated

import msgspec


class IdentityFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to go wrong with the next requests; lifetimes are in seconds.

    `status` answers with an error, `hold` waits for `POST /identity/release`, a negative
    `lifetime` gives a token that has expired.
    """

    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    retry_after: int | None = None
    hold: bool = False
    lifetime: int | None = None
    times: Annotated[int, msgspec.Meta(ge=1)] = 1


class IdentityRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A token request that arrived; `status` is None while it is not answered."""

    number: int
    resource: str | None
    client_id: str | None
    status: int | None
