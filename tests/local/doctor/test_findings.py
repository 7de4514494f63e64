"""What findings say, and the advice for each kind of identity."""

import pytest

from local.doctor.advice import model_refused, sign_in, store_refused
from local.doctor.findings import CLOCK_SECONDS, clock, fault, latency, ok, told, warning
from shared.settings import Connection, IdentitySettings, Kind

MANAGED, OWN = IdentitySettings(True), IdentitySettings()


def test_the_report_marks_what_is_wrong_and_says_what_to_do() -> None:
    findings = [ok("a", "works"), warning("b", "so so", "Think."), fault("c", "broken", "Mend.")]
    assert told(findings).splitlines() == [
        "ok     a           works",
        "!      b           so so",
        "                   → Think.",
        "FAULT  c           broken",
        "                   → Mend.",
    ]


def test_what_takes_long_is_worth_a_word() -> None:
    assert latency("store", "a read", 0.1, 0.2, "Nearer.") == ok("store", "a read took 100 ms")
    slow = latency("store", "a read", 0.3, 0.2, "Nearer.")
    assert (slow.state, slow.advice) == ("warning", "Nearer.")
    assert slow.says == "a read took 300 ms; 200 ms is what one expects"


@pytest.mark.parametrize(
    ("ahead", "state", "word"),
    [
        (0.0, "ok", "agree"),
        (CLOCK_SECONDS - 0.1, "ok", "agree"),
        (CLOCK_SECONDS + 1, "fault", "ahead of"),
        (-CLOCK_SECONDS - 1, "fault", "behind"),
    ],
)
def test_clocks(ahead: float, state: str, word: str) -> None:
    finding = clock("clock", "the store", ahead)
    assert finding.state == state
    assert word in finding.says


def connection(kind: Kind, key: str | None, identity: IdentitySettings) -> Connection:
    return Connection(
        name="LAB", kind=kind, endpoint="https://r.openai.azure.com", api_key=key, identity=identity
    )


def test_the_role_for_a_model_goes_by_its_kind_and_to_whom_the_app_is() -> None:
    managed = model_refused(connection("azure_openai", None, MANAGED))
    assert '--role "Cognitive Services OpenAI User"' in managed
    assert "az functionapp identity show" in managed
    assert "r.openai.azure.com" in managed
    assert "LAB__model" in managed
    own = model_refused(connection("mistral", None, OWN))
    assert '--role "Cognitive Services User"' in own
    assert "az ad signed-in-user show" in own
    assert "LAB__apiKey" in model_refused(connection("openai", "k", OWN))


def test_a_store_by_key_and_by_identity() -> None:
    assert "connection string" in store_refused(None, "acc")
    advice = store_refused(MANAGED, "acc")
    assert '--role "Storage Table Data Contributor"' in advice
    assert "--name acc" in advice


def test_who_gets_no_token() -> None:
    assert "az login" in sign_in(OWN, "X__credential")
    assert "X__credential=managedidentity works in Azure only" in sign_in(MANAGED, "X__credential")
