"""Where the history is."""

import re

from msgspec import Struct

from shared.errors import Misconfigured
from shared.settings.values import ADDRESS, IdentitySettings, Values


class Storage(Struct, frozen=True, kw_only=True):
    """Where the history is: a connection string, or an endpoint with an identity."""

    setting: str
    """The setting that says so, for messages."""
    table: str
    connection_string: str | None = None
    endpoint: str | None = None
    identity: IdentitySettings = IdentitySettings()


def read_storage(values: Values) -> Storage:
    """`CHAT_STORAGE`, else `AzureWebJobsStorage`, in either form. Raises `Misconfigured`."""
    table = values.text("CHAT_STORAGE_TABLE") or "conversations"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{2,62}", table):
        raise Misconfigured(
            "CHAT_STORAGE_TABLE must be 3 to 63 letters and digits, and begin with a letter."
        )
    for name in ("CHAT_STORAGE", "AzureWebJobsStorage"):
        connection_string = values.text(name)
        uri = values.text(f"{name}__tableServiceUri")
        account = values.text(f"{name}__accountName")
        given = {
            name: connection_string,
            f"{name}__tableServiceUri": uri,
            f"{name}__accountName": account,
        }
        named = [key for key, value in given.items() if value]
        if not named:
            continue
        if len(named) > 1:
            raise Misconfigured(f"{' and '.join(named)} are both set: keep one.")
        setting = named[0]
        if connection_string:
            return Storage(setting=setting, table=table, connection_string=connection_string)
        if uri and not ADDRESS.fullmatch(uri):
            raise Misconfigured(
                f"{name}__tableServiceUri must be an address such as "
                "https://ACCOUNT.table.core.windows.net."
            )
        if account and not re.fullmatch(r"[a-z0-9]{3,24}", account):
            raise Misconfigured(
                f"{name}__accountName must be the storage account's name: 3 to 24 lower-case "
                "letters and digits."
            )
        return Storage(
            setting=setting,
            table=table,
            endpoint=(uri or f"https://{account}.table.core.windows.net").rstrip("/"),
            identity=values.identity(name),
        )
    raise Misconfigured(
        "CHAT_STORAGE is missing: set CHAT_STORAGE__tableServiceUri to the table service that "
        "keeps the history, or CHAT_STORAGE to a connection string."
    )
