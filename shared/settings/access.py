"""Who may call, and from which pages."""

import re
from typing import Literal, get_args

from msgspec import Struct

from shared.errors import Misconfigured
from shared.settings.values import Values

type AuthMode = Literal["anonymous", "easyauth", "staticwebapps"]


class Auth(Struct, frozen=True):
    """Who may call. `trusted`: the platform, and nobody else, sets the principal's header."""

    mode: AuthMode
    trusted: bool


def read_auth(values: Values) -> Auth:
    """`CHAT_AUTH`. In Azure there is no default: fail closed. Raises `Misconfigured`."""
    mode = values.text("CHAT_AUTH")
    if mode is None:
        if values.text("WEBSITE_SITE_NAME"):
            raise Misconfigured(
                "CHAT_AUTH is missing: set it to staticwebapps, easyauth or anonymous."
            )
        mode = "anonymous"
    if mode not in get_args(AuthMode.__value__):
        raise Misconfigured(
            f"CHAT_AUTH must be staticwebapps, easyauth or anonymous, not {mode!r}."
        )
    return Auth(
        mode=mode,  # type: ignore[arg-type]  # just checked
        trusted=(values.text("WEBSITE_AUTH_ENABLED") or "").lower() == "true",
    )


def read_origins(values: Values) -> frozenset[str]:
    """Origins for CORS, `CHAT_ALLOWED_ORIGINS`. Raises `Misconfigured`."""
    named = values.words("CHAT_ALLOWED_ORIGINS")
    for origin in named:
        if not re.fullmatch(r"https?://[^/\s*]+", origin):
            raise Misconfigured(
                f"CHAT_ALLOWED_ORIGINS: {origin!r} is no origin; write each one out, such as "
                "https://www.example.com, without a path and without *."
            )
    return frozenset(named)
