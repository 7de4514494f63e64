"""What the content filter says, in all the forms that it has."""

import pytest

from shared.models.filters import MOST, fired, fired_in_chunk, fired_in_error

FIRED = {"filtered": True}


@pytest.mark.parametrize(
    ("results", "categories"),
    [
        ({"hate": {"filtered": True, "severity": "high"}, "sexual": {"filtered": False}}, "hate"),
        ({"jailbreak": {"detected": True, "filtered": True}}, "jailbreak"),
        ({"jailbreak": {"detected": True, "filtered": False}}, ""),
        (
            {"protected_material_code": {"filtered": True, "citation": {"URL": "x"}}},
            "protected_material_code",
        ),
        (
            {"custom_blocklists": {"filtered": True, "details": [{"id": "b", "filtered": True}]}},
            "custom_blocklists",
        ),
        (
            {"custom_blocklists": [{"id": "a", "filtered": False}, {"id": "b", "filtered": True}]},
            "custom_blocklists",
        ),
        ({"custom_blocklists": []}, ""),
        (
            {"error": {"code": "content_filter_error", "message": "The contents are not filtered"}},
            "",
        ),
        ({"hate": FIRED, "self_harm": FIRED}, "hate self_harm"),
        ({"hate": "yes", "sexual": None, "<script>": FIRED, "x" * 99: FIRED}, ""),
        ([FIRED], ""),
        (None, ""),
    ],
)
def test_which_categories_fired(results: object, categories: str) -> None:
    assert fired(results) == tuple(categories.split())


def test_the_categories_are_bounded() -> None:
    assert len(fired({f"c{n}": FIRED for n in range(99)})) == MOST


@pytest.mark.parametrize("name", ["content_filter_result", "content_filter_results"])
def test_the_categories_of_an_error(name: str) -> None:
    assert fired_in_error({"innererror": {name: {"violence": FIRED}}}) == ("violence",)
    assert fired_in_error({"content_filters": [{name: {"violence": FIRED}}]}) == ("violence",)


@pytest.mark.parametrize("error", [None, "x", {}, {"innererror": 5}, {"content_filters": [5]}])
def test_an_error_that_names_none(error: object) -> None:
    assert fired_in_error(error) == ()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"choices":null}',
        b'{"choices":[5]}',
        b'{"choices":[{"index":1}]}',
    ],
)
def test_a_chunk_that_says_nothing_of_the_filter(payload: bytes) -> None:
    assert fired_in_chunk(payload) == ()
