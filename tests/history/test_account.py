"""Which Table service a setting names, and what is said where it names none."""

import pytest

from shared.errors import Misconfigured
from shared.history.account import Account, read_account
from shared.history.table import TableRows
from shared.settings import Storage

KEY = "c2VjcmV0"


def account(text: str) -> Account:
    return read_account(Storage(setting="CHAT_STORAGE", table="t", connection_string=text))


def test_the_portals_form() -> None:
    text = (
        f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={KEY}==;"
        "EndpointSuffix=core.chinacloudapi.cn"
    )
    found = account(text.replace("==", ""))
    assert (found.url, found.name, found.key, found.sas) == (
        "https://acct.table.core.chinacloudapi.cn",
        "acct",
        KEY,
        None,
    )
    assert account(f"AccountName=acct;AccountKey={KEY}").url == (
        "https://acct.table.core.windows.net"
    )


def test_keys_may_contain_equals_signs_and_names_any_case() -> None:
    found = account(" accountname = acct ; ACCOUNTKEY=YQ==; ;")
    assert (found.name, found.key) == ("acct", "YQ==")


def test_the_emulator() -> None:
    found = account("UseDevelopmentStorage=true")
    assert (found.url, found.name) == (
        "http://127.0.0.1:10002/devstoreaccount1",
        "devstoreaccount1",
    )
    assert found.key is not None


def test_an_explicit_endpoint() -> None:
    found = account(f"AccountName=a;AccountKey={KEY};TableEndpoint=http://127.0.0.1:1/a/")
    assert (found.url, found.name) == ("http://127.0.0.1:1/a", "a")
    found = account(f"AccountKey={KEY};TableEndpoint=http://127.0.0.1:1/acct")
    assert found.name == "acct"


def test_a_shared_access_signature() -> None:
    found = account(
        "TableEndpoint=https://acct.table.core.windows.net/;"
        "SharedAccessSignature=?sv=2020-01-01&sig=a%3D"
    )
    assert (found.url, found.name, found.key, found.sas) == (
        "https://acct.table.core.windows.net",
        "acct",
        None,
        "sv=2020-01-01&sig=a%3D",
    )


def test_an_endpoint_with_an_identity() -> None:
    storage = Storage(setting="S", table="t", endpoint="https://acct.table.core.windows.net")
    found = read_account(storage)
    assert (found.name, found.key, found.sas) == ("acct", None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense secret", "NAME=VALUE"),
        ("AccountName=;AccountKey=secret", "NAME=VALUE"),
        ("AccountKey=c2VjcmV0", "neither TableEndpoint nor AccountName"),
        ("AccountName=acct", "neither AccountKey nor SharedAccessSignature"),
        ("AccountName=acct;AccountKey=secret!", "not base64"),
        ("AccountName=acct;AccountKey=secretsecretx", "not base64"),
        ("AccountName=a/b#secret;AccountKey=c2VjcmV0", "address"),
        ("TableEndpoint=ftp://secret;AccountKey=c2VjcmV0", "address"),
        ("TableEndpoint=https://x/?secret;AccountKey=c2VjcmV0", "address"),
        ("", "neither TableEndpoint nor AccountName"),
    ],
)
def test_a_bad_one_names_the_setting_and_never_shows_it(text: str, says: str) -> None:
    storage = Storage(setting="CHAT_STORAGE", table="t", connection_string=text)
    with pytest.raises(Misconfigured, match="CHAT_STORAGE") as caught:
        TableRows(storage)
    assert says in caught.value.message
    assert "secret" not in caught.value.message


def test_a_token_is_not_sent_in_the_clear() -> None:
    storage = Storage(setting="CHAT_STORAGE__tableServiceUri", table="t", endpoint="http://x")
    with pytest.raises(Misconfigured, match="CHAT_STORAGE__tableServiceUri must begin"):
        TableRows(storage)


def test_secrets_are_not_shown() -> None:
    assert KEY not in repr(account(f"AccountName=acct;AccountKey={KEY}"))
