"""The licences of what is deployed: listed, all of them, and known."""

from pathlib import Path

import pytest

from local.licences import ELSEWHERE, PAGE, UnknownLicence, licence, page
from local.pins import versions

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_that_of_the_lock():
    written = PAGE.read_text("utf-8")
    assert written == page(ROOT), "run: python -m local licences"
    listed = {
        tuple(cell.strip() for cell in line.split("|")[1:3])
        for line in written.splitlines()
        if line.startswith("| ") and not line.startswith("| package")
    }
    locked = versions((ROOT / "requirements.txt").read_text("utf-8"))
    assert listed == {item for item in locked.items() if item[0] not in ELSEWHERE}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("MIT License", "MIT"),
        ("Apache-2.0 AND MIT", "Apache-2.0, MIT"),
        ("Apache Software License; MIT License", "Apache-2.0, MIT"),
        ("MIT OR MIT License", "MIT"),
    ],
)
def test_words_of_their_own_are_understood(said: str, told: str):
    assert licence("any", said) == told


def test_what_nobody_has_looked_at_is_an_error(tmp_path: Path):
    with pytest.raises(UnknownLicence, match=r"any: GPL-3\.0 is not among"):
        licence("any", "MIT AND GPL-3.0")
    (tmp_path / "requirements.txt").write_text("not-there==1.0 --hash=sha256:0\n")
    with pytest.raises(UnknownLicence, match="Not installed: not-there"):
        page(tmp_path)
