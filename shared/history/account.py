"""Which Table service, and how to sign in there: what a setting says, read and checked."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.errors import Misconfigured
from shared.settings import Storage

SCOPE = "https://storage.azure.com/.default"
"""What a token for the Table service is asked for."""

# The emulator's account, the same on every machine: https://learn.microsoft.com/azure/storage/
# common/storage-use-azurite#well-known-storage-account-and-key
_EMULATOR = "http://127.0.0.1:10002/devstoreaccount1"
_EMULATOR_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass(frozen=True, slots=True)
class Account:
    """A Table service. Neither `key` nor `sas`: it is entered with an identity's token."""

    url: str
    """Without a slash at its end."""
    name: str
    key: str | None = field(default=None, repr=False)
    """Base64, as the portal shows it."""
    sas: str | None = field(default=None, repr=False)
    """A query string without `?`."""
    setting: str = ""
    """The setting that says so, for messages."""


def read_account(storage: Storage) -> Account:
    """The account that the settings name. Raises `Misconfigured`, which never shows a value."""
    if storage.connection_string is not None:
        return _from_connection_string(storage.connection_string, storage.setting)
    url = _address(storage.endpoint or "", storage.setting)
    if not url.startswith("https://"):
        raise Misconfigured(
            f"{storage.setting} must begin with https://: a token is not sent in the clear."
        )
    return Account(url, _name(url), setting=storage.setting)


def _from_connection_string(text: str, setting: str) -> Account:
    """https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string"""
    parts: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        word, separator, value = part.partition("=")
        if not separator or not value:
            raise _bad(setting, "its parts are NAME=VALUE with ; between them")
        parts[word.strip().lower()] = value.strip()
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        parts = {
            "accountname": "devstoreaccount1",
            "accountkey": _EMULATOR_KEY,
            "tableendpoint": _EMULATOR,
            **parts,
        }
    name, url = parts.get("accountname"), parts.get("tableendpoint")
    key, sas = parts.get("accountkey"), parts.get("sharedaccesssignature")
    if url is None:
        if name is None:
            raise _bad(setting, "it has neither TableEndpoint nor AccountName")
        protocol = parts.get("defaultendpointsprotocol", "https")
        url = f"{protocol}://{name}.table.{parts.get('endpointsuffix', 'core.windows.net')}"
    url = _address(url, setting)
    if key is not None:
        _check_key(key, setting)
        return Account(url, name or _name(url), key=key, setting=setting)
    if sas is not None:
        return Account(url, name or _name(url), sas=sas.lstrip("?"), setting=setting)
    raise _bad(setting, "it has neither AccountKey nor SharedAccessSignature")


def _address(url: str, setting: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#]+(/[A-Za-z0-9-]+)?/?", url):
        raise _bad(setting, "the address is not of the form https://ACCOUNT.table.core.windows.net")
    return url.rstrip("/")


def _name(url: str) -> str:
    """The account's name: the path where there is one (emulators), else the host's first part."""
    parts = urlsplit(url)
    return parts.path.strip("/") or (parts.hostname or "").partition(".")[0]


def _check_key(key: str, setting: str) -> None:
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error:
        raise _bad(setting, "its AccountKey is not base64") from None


def _bad(setting: str, reason: str) -> Misconfigured:
    return Misconfigured(
        f"{setting} must be a storage account's connection string, as the portal shows it: "
        f"{reason}."
    )
