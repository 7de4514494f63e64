"""Keys: owners apart, order by number and time, nothing that needs escaping."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.history import keys
from shared.history.base import Place
from shared.history.rows import check_key

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
OWNERS = st.text(alphabet=st.characters(), max_size=300)


def test_the_layout() -> None:
    place = Place("me", "c1")
    assert keys.partition(place) == "u,bWU"
    assert keys.partition(Place(None, "c1")) == "a,c1"
    assert keys.head("c1") == "v,c1,!"
    assert keys.message("c1", 0) == "v,c1,m9999999999"
    assert keys.message("c1", 12) == "v,c1,m9999999987"
    assert keys.turn("c1", "t1") == "t,c1,t1"
    assert keys.index(1_790_000_000_000, "c1") == "i,8209999999999,c1"
    assert keys.intent(place) == "u,bWU,c1"
    assert (keys.COUNT, keys.shard(0), keys.shard(15)) == ("c,!", "c,00", "c,15")


@pytest.mark.parametrize(("size", "kind"), [(0, "u,"), (180, "u,"), (181, "h,"), (9999, "h,")])
def test_long_owners_are_hashed(size: int, kind: str) -> None:
    partition = keys.owner_partition("x" * size)
    assert partition.startswith(kind)
    assert len(partition) <= 242


@given(a=OWNERS, b=OWNERS)
def test_owners_never_share_a_partition(a: str, b: str) -> None:
    assert (keys.owner_partition(a) == keys.owner_partition(b)) == (a == b)


def test_an_owner_that_looks_like_a_hash_or_a_conversation_is_neither() -> None:
    owners = ["x" * 181, keys.owner_partition("x" * 181), "c1", "a,c1", "", "\ud800", "\ufffd"]
    partitions = [keys.owner_partition(owner) for owner in owners]
    partitions.append(keys.partition(Place(None, "c1")))
    assert len(set(partitions)) == len(partitions)


@given(owner=st.none() | OWNERS, conversation=IDS)
def test_a_sweep_finds_the_conversation_in_a_key(owner: str | None, conversation: str) -> None:
    place = Place(owner, conversation)
    spot = keys.spot(place)
    assert spot == keys.Spot(keys.partition(place), conversation)
    assert keys.spot_of_intent(keys.intent(place)) == spot
    assert keys.spot_of_head(spot.partition, keys.head(conversation)) == spot
    first, last = keys.INTENTS_RANGE
    assert first < keys.intent(place) < keys.behind(keys.intent(place)) < last


@pytest.mark.parametrize(
    "key", ["", "c1", "u,bWU", "x,bWU,c1", "u,b,WU,c1", "u,bWU,c1,", "u,b,c,!"]
)
def test_what_is_no_intent_or_head(key: str) -> None:
    assert keys.spot_of_intent(key) is None
    assert keys.spot_of_head("u,bWU", key) is None


@given(owner=OWNERS, conversation=IDS, turn=IDS)
def test_every_key_is_safe_everywhere(owner: str, conversation: str, turn: str) -> None:
    place = Place(owner, conversation)
    for key in (
        keys.partition(place),
        keys.head(conversation),
        keys.message(conversation, 5),
        keys.messages_end(conversation),
        keys.turn(conversation, turn),
        *keys.turns(conversation),
        keys.index(1_790_000_000_000, conversation),
        *keys.INDEXES,
        keys.intent(place),
        keys.INTENTS,
        *keys.INTENTS_RANGE,
        keys.behind(keys.intent(place)),
        keys.SWEEP,
        keys.CURSOR,
        keys.COUNTS,
        keys.COUNT,
        *map(keys.shard, range(keys.SHARDS)),
        *keys.ALL_SHARDS,
    ):
        check_key(key)
        assert not re.search(r"[/\\#?%'\s]", key)


@given(a=st.integers(0, 10**9), b=st.integers(0, 10**9))
def test_newer_comes_first(a: int, b: int) -> None:
    assert (keys.message("c", a) < keys.message("c", b)) == (a > b)
    assert (keys.index(a, "c") < keys.index(b, "c")) == (a > b)
    assert keys.head("c") < keys.message("c", a) < keys.messages_end("c")
    assert keys.message_number(keys.message("c", a)) == a
    assert keys.index_parts(keys.index(a, "c")) == (a, "c")


@given(a=IDS, b=IDS, turn=IDS)
def test_ranges_hold_one_conversation(a: str, b: str, turn: str) -> None:
    first, last = keys.turns(a)
    assert (first <= keys.turn(b, turn) < last) == (a == b)
    for key in (keys.head(b), keys.message(b, 7)):
        assert (keys.head(a) <= key < keys.messages_end(a)) == (a == b)


@given(owner=OWNERS, conversation=IDS)
def test_counts_are_in_no_range_of_a_conversation_and_no_partition_of_an_owner(
    owner: str, conversation: str
) -> None:
    ranges = [
        (keys.head(conversation), keys.messages_end(conversation)),
        keys.turns(conversation),
        keys.INDEXES,
    ]
    assert not any(first <= keys.COUNT < last for first, last in ranges)
    partitions = {keys.partition(Place(owner, conversation)), keys.partition(Place(None, "counts"))}
    assert not partitions & {keys.COUNTS, keys.INTENTS}
    first, last = keys.ALL_SHARDS
    assert all(first <= keys.shard(number) < last for number in range(keys.SHARDS))


@pytest.mark.parametrize("key", ["", "v,c,!", "v,c,m1", "v,c,m99999999999", "v,c,mabcdefghij"])
def test_what_is_no_messages_key(key: str) -> None:
    assert keys.message_number(key) is None


@pytest.mark.parametrize("key", ["", "i,1,c", "i,1234567890123,", "v,1234567890123,c"])
def test_what_is_no_index_key(key: str) -> None:
    assert keys.index_parts(key) is None
