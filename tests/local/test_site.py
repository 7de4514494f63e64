"""The page as it is deployed, in both shapes."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from local.site import Direct, SiteFailed, build, direct_from, main

ROOT = Path(__file__).resolve().parents[2]
API, TENANT = "https://app.azurewebsites.net/api", "a-tenant"
AZD = {"CHAT_SHAPE": "direct", "CHAT_API_URL": API, "INFRA_ENTRA_CLIENT_ID": "c"}


def given(**said: str) -> Namespace:
    return Namespace(**{"shape": None, "api": None, "client_id": None, "tenant": None, **said})


def test_linked_is_the_page_as_it_stands(tmp_path: Path):
    assert direct_from({}, given()) is None
    assert direct_from({**AZD, "CHAT_SHAPE": "linked"}, given()) is None
    build(ROOT, tmp_path / "web", None)
    for name in ("index.html", "config.js", "staticwebapp.config.json", "client/client.js"):
        assert (tmp_path / "web" / name).read_bytes() == (ROOT / "web" / name).read_bytes()
    assert (tmp_path / "web" / "vendor" / "marked.js").exists()
    made = {file.name for file in (tmp_path / "web").rglob("*")}
    assert not {"vendor.mjs", "jsconfig.json", "marked.d.ts"} & made


def test_direct_says_where_the_backend_is_and_lets_the_page_call_it(tmp_path: Path):
    direct = direct_from({**AZD, "AZURE_TENANT_ID": TENANT}, given())
    assert direct == Direct(API, "c", f"https://login.microsoftonline.com/{TENANT}")
    build(ROOT, tmp_path / "web", direct)
    script = (tmp_path / "web" / "config.js").read_text("utf-8")
    assert json.loads(script.removeprefix("export const entra = ").removesuffix(";\n")) == {
        "api": API,
        "authority": f"https://login.microsoftonline.com/{TENANT}",
        "clientId": "c",
        "scope": "api://c/.default",
    }
    wanted = "connect-src 'self' https://app.azurewebsites.net https://login.microsoftonline.com;"
    for name in ("index.html", "staticwebapp.config.json"):
        assert (tmp_path / "web" / name).read_text("utf-8").count(wanted) == 1


def test_what_is_said_wins_over_the_environment():
    said = given(api="https://other/api", client_id="d", tenant="https://login.example.com/t")
    direct = direct_from(AZD, said)
    assert direct == Direct("https://other/api", "d", "https://login.example.com/t")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"shape": "direct"}, "--api, --client-id, --tenant"),
        ({"shape": "direct", "api": API, "client_id": "c"}, "needs --tenant"),
        (
            {"shape": "direct", "api": "app'; x", "client_id": "c", "tenant": "t"},
            "must be an address",
        ),
    ],
)
def test_what_is_missing_is_said(said: dict[str, str], says: str):
    with pytest.raises(SiteFailed, match=says):
        direct_from({}, given(**said))


def test_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in (
        "CHAT_API_URL",
        "INFRA_ENTRA_CLIENT_ID",
        "INFRA_ENTRA_TENANT_ID",
        "AZURE_TENANT_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    assert main(["--shape", "direct"]) == 1
    assert "--api" in capsys.readouterr().err
