"""Chunks: one section each, with the way to it, and none too long."""

from hypothesis import given
from hypothesis import strategies as st

from ingestion.reading import Page, Reading
from ingestion.splitting import CHARACTERS, LEAST, split

LONG = "A sentence that says something of some length. " * 8


def chunks(text: str, name: str = "file.md") -> list[tuple[str, str, int]]:
    return [(c.title, c.anchor, c.number) for c in split(Reading(None, (Page(text),)), name)]


def test_the_way_to_a_section_is_its_title() -> None:
    text = f"# Book\n\n{LONG}\n\n## Part `one`\n\n### Deep\n\n{LONG}\n\n## [Two](x)\n\n{LONG}"
    assert chunks(text) == [
        ("Book", "book", 0),
        ("Book › Part one › Deep", "deep", 0),
        ("Book › Two", "two", 0),
    ]


def test_a_file_without_a_heading_is_called_by_its_name() -> None:
    assert chunks("Only text.") == [("file.md", "", 0)]


def test_what_looks_like_a_heading_in_code_is_none() -> None:
    assert chunks(f"# Book\n\n```\n# no heading\n```\n\n{LONG}") == [("Book", "book", 0)]


def test_short_sections_go_together_with_their_neighbours() -> None:
    text = "# Book\n\n## One\n\nShort.\n\n## Two\n\nShort, too.\n\n## Three\n\nAs well."
    (chunk,) = split(Reading(None, (Page(text),)), "x")
    assert (chunk.title, chunk.anchor) == ("Book › One", "one")
    assert chunk.text == "Short.\n\n**Two**\n\nShort, too.\n\n**Three**\n\nAs well."


def test_headings_of_one_name_have_anchors_of_their_own() -> None:
    text = f"# Book\n\n## Same, here!\n\n{LONG}\n\n## Same, here!\n\n{LONG}"
    assert [c[1] for c in chunks(text)] == ["same-here", "same-here-1"]


def test_a_long_section_is_cut_where_it_pauses_and_code_stays_whole() -> None:
    code = "```\n" + "x = 1\n" * 60 + "```"
    text = f"# Book\n\n{LONG}\n\n{LONG}\n\n{LONG}\n\n{code}\n\n{LONG}\n\n{LONG}"
    made = split(Reading(None, (Page(text),)), "x")
    assert [c.number for c in made] == list(range(len(made)))
    assert len(made) > 1
    assert all(c.text.count("```") in (0, 2) for c in made)


texts = st.lists(
    st.one_of(
        st.text(max_size=400),
        st.sampled_from(
            ["# A", "## B", "### C", "## B", "```", "| a | b |", "- x", ">", "===", ""]
        ),
        st.just(LONG * 8),
    ),
    max_size=12,
).map("\n".join)


@given(texts)
def test_any_text_is_cut_into_bounded_pieces_with_names_of_their_own(text: str) -> None:
    made = split(Reading(None, (Page(text),)), "x")
    names = [(c.anchor, c.number) for c in made]
    assert len(set(names)) == len(names)
    assert all(c.text.strip() for c in made)
    assert max((len(c.text) for c in made), default=0) <= CHARACTERS[1] + LEAST + 1000
