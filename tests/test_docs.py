"""The documents: no link leads nowhere, pictures are as their sources draw them, no page hides."""

import re
import subprocess
from pathlib import Path

import pytest

from local.setup import find_node

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"(?<!`)!?\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    """What is read, without code."""
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The places of a page, by the names that headings get."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path):
    links = [link for link in _LINK.findall(text_of(page)) if "://" not in link]
    for link in links:
        path, _, place = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if place and target.suffix == ".md":
            assert place in anchors(target), link


def test_every_page_is_found_from_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")
    named = [page.relative_to(ROOT).as_posix() for page in PAGES[1:]]
    assert [name for name in named if f"({name}" not in readme] == []


def test_pictures_are_as_their_sources_draw_them():
    node, _ = find_node()
    command = [node, str(ROOT / "docs" / "pictures" / "draw.mjs"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    drawn = {file.stem for file in (ROOT / "docs" / "pictures").glob("*.svg")}
    assert drawn == {file.stem for file in (ROOT / "docs" / "pictures").glob("*.dot")} != set()


def test_a_picture_that_is_not_as_drawn_is_found(tmp_path: Path):
    for file in (ROOT / "docs" / "pictures").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules", target_is_directory=True)
    svg = tmp_path / "architecture.svg"
    svg.write_text(svg.read_text("utf-8").replace("api", "ipa", 1), "utf-8")
    node, _ = find_node()
    command = [node, str(tmp_path / "draw.mjs"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Not as drawn: architecture.dot" in done.stderr


def test_every_test_that_the_threat_model_names_is_there():
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 30
    for file, name in named:
        source = (ROOT / file).read_text("utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{file}::{name}"
    threats = re.findall(r"^### (.+)$", page, re.MULTILINE)
    sections = page.split("\n### ")[1:]
    assert [t for t, text in zip(threats, sections, strict=True) if "- Tests: `" not in text] == []
