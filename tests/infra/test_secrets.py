"""No secret in any setting, output or file."""

import re
from pathlib import Path

import pytest

from tests.infra.bicep import strings_of, walk
from tests.infra.files import INFRA, ROOT, every_file, file
from tests.infra.test_app_settings import DEPLOYMENTS, deployed

FILES = (
    *sorted(path for path in INFRA.rglob("*") if path.is_file()),
    *sorted((ROOT / ".github").rglob("*.yml")),
    ROOT / "azure.yaml",
)
FORBIDDEN = re.compile(
    r"listKeys|listSecrets|listCredentials|listAccountSas|listServiceSas|AccountKey|SharedAccessSignature"
    r"|@secure|getSecret|\bpassword:|administratorLogin|InstrumentationKey",
    re.IGNORECASE,
)
SECRET_NAMES = re.compile(
    r"key$|secret|password|^CHAT_STORAGE$|^CHAT_SQL$|^AzureWebJobsStorage$", re.I
)
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_asks_for_or_holds_a_secret(path: Path):
    assert not FORBIDDEN.search(path.read_text(encoding="utf-8"))


def test_the_search_would_find_one():
    for text in (
        "value: 'AccountKey=${account.listKeys().keys[0].value}'",
        "@secure()\nparam password string",
        "administratorLoginPassword: 'x'",
    ):
        assert FORBIDDEN.search(text)


@pytest.mark.parametrize("holds", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_no_setting_is_named_for_a_secret(holds: dict[str, bool]):
    assert not [name for name in deployed(holds) if SECRET_NAMES.search(name)]


def test_outputs_are_names_addresses_and_ids():
    allowed = re.compile(
        r"\.(id|name|hostname|url|endpoint|clientId|principalId|tenantId|defaultHostname"
        r"|defaultHostName|ConnectionString|primaryEndpoints\.blob)(\}|$)|^shape$|postgres"
    )
    for bicep in every_file():
        for output in bicep.outputs.values():
            for text in strings_of(output.value):
                plain = text.strip("'").removeprefix("https://")
                # Application Insights' connection string is an address: keys are off there.
                assert not plain or allowed.search(plain), f"{bicep.path.name}: {output.name}"


def test_the_connection_string_is_told_to_the_function_app_alone():
    for bicep in every_file():
        for output in bicep.outputs.values():
            if any("ConnectionString" in text for text in strings_of(output.value)):
                assert (bicep.path.stem, output.name) == ("monitoring-access", "connectionString")
    assert not any("onnectionString" in str(each.value) for each in file("main").outputs.values())


def test_the_only_ids_written_out_are_those_of_roles():
    for bicep in every_file():
        for node in walk(bicep.root):
            if node.type != "string_content" or node.text is None:
                continue
            if GUID.fullmatch(node.text.decode()):
                assert bicep.path.stem.endswith("-access"), bicep.path.name
