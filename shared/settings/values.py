"""The values of the environment, read with casts and an error that names the setting."""

import re
from collections.abc import Mapping

from msgspec import Struct

from shared.errors import Misconfigured

ADDRESS = re.compile(r"https?://[^/\s]+\S*")


class IdentitySettings(Struct, frozen=True):
    """Which identity a connection signs in with, by the naming of Functions' own connections."""

    managed: bool = False
    """False: the developer's own (DefaultAzureCredential)."""
    client_id: str | None = None
    resource_id: str | None = None


class Values:
    """The environment, as a mapping. An empty value, or one that begins with `<insert`, is none."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """What is set, without the spaces around it; None: nothing."""
        value = self._values.get(name, "").strip()
        return None if not value or value.startswith("<insert") else value

    def words(self, name: str) -> tuple[str, ...]:
        """A list, parted by commas or spaces."""
        return tuple(re.split(r"[,\s]+", text)) if (text := self.text(name)) else ()

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds; they do not bind the default."""
        text = self.text(name)
        if text is None:
            return default
        value = int(text) if re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) else -1
        if not least <= value <= most:
            raise Misconfigured(
                f"{name} must be a whole number from {least} to {most}, not {text!r}."
            )
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of several words."""
        value = self.text(name) or default
        if value not in choices:
            raise Misconfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
        return value

    def identity(self, name: str) -> IdentitySettings:
        """The identity of the connection `name`: `<NAME>__credential` and what belongs to it."""
        kind = self.text(f"{name}__credential")
        if kind not in (None, "managedidentity"):
            raise Misconfigured(
                f"{name}__credential must be managedidentity, or absent for the developer's own "
                f"sign-in, not {kind!r}."
            )
        client_id = self.text(f"{name}__clientId")
        resource_id = self.text(f"{name}__managedIdentityResourceId")
        if client_id and resource_id:
            raise Misconfigured(
                f"{name}__clientId and {name}__managedIdentityResourceId are both set: keep one."
            )
        if (client_id or resource_id) and not kind:
            raise Misconfigured(
                f"{name}__clientId and {name}__managedIdentityResourceId need "
                f"{name}__credential=managedidentity."
            )
        return IdentitySettings(kind is not None, client_id, resource_id)
