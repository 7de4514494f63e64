"""Which SQL database keeps the history, if one does."""

import pytest

from shared.errors import Misconfigured
from shared.settings import IdentitySettings, Settings


def test_without_a_setting_there_is_none() -> None:
    assert Settings({"AzureWebJobsStorage": "x"}).sql is None


def test_a_connection_string_or_a_server_with_an_identity() -> None:
    given = Settings({"CHAT_SQL": "Server=s;Database=d;UID=u;PWD=p"}).sql
    assert given is not None
    assert (given.is_postgresql, given.schema, given.identity) == (False, "chat", None)
    uri = Settings({"CHAT_SQL": "postgresql://u:p@h/d", "CHAT_SQL_SCHEMA": "history"}).sql
    assert uri is not None
    assert (uri.is_postgresql, uri.schema) == (True, "history")
    named = Settings(
        {
            "CHAT_SQL__server": "x.database.windows.net,1433",
            "CHAT_SQL__database": "the chat",
            "CHAT_SQL__credential": "managedidentity",
            "CHAT_SQL__clientId": "id",
            "AzureWebJobsStorage": "x",
        }
    ).sql
    assert named is not None
    wanted = "Server=x.database.windows.net,1433;Database=the chat;Encrypt=yes;"
    assert named.connection_string == wanted
    assert named.identity == IdentitySettings(managed=True, client_id="id")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"CHAT_SQL": "x", "CHAT_STORAGE": "y"}, "CHAT_SQL and CHAT_STORAGE are both set"),
        ({"CHAT_SQL": "x", "CHAT_SQL__server": "y"}, "keep one"),
        ({"CHAT_SQL__server": "y"}, "CHAT_SQL__database is missing"),
        ({"CHAT_SQL__database": "y"}, "CHAT_SQL__server is missing"),
        ({"CHAT_SQL__server": "a;UID=b", "CHAT_SQL__database": "y"}, "CHAT_SQL__server must be"),
        ({"CHAT_SQL": "x", "CHAT_SQL_SCHEMA": "a b"}, "CHAT_SQL_SCHEMA must be"),
    ],
)
def test_a_mistake(values: dict[str, str], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        _ = Settings(values).sql
