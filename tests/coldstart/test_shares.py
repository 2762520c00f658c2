"""Many hashes at once are the same as one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.coldstart.shares import HASHES, Shares, hashed, murmur2_of
from shortlist.events.partition import murmur2

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)


@given(st.integers(0, 9), st.integers(1, 5), st.binary(max_size=9), st.randoms())
@settings(max_examples=60)
def test_all_at_once_is_kafkas_murmur2(
    length: int, count: int, end: bytes, random: np.random.RandomState
) -> None:
    starts = [bytes(random.randint(0, 255) for _ in range(length)) for _ in range(count)]
    rows = np.frombuffer(b"".join(starts), np.uint8).reshape(count, length)
    assert murmur2_of(rows, end).tolist() == [murmur2(start + end) & 0xFFFFFFFF for start in starts]


@given(st.lists(ids, min_size=1, max_size=60, unique=True), ids, st.text(max_size=3), st.data())
@settings(max_examples=60)
def test_a_user_is_in_a_share_as_their_hash_says(
    items: list[str], user: str, salt: str, data: st.DataObject
) -> None:
    below = data.draw(st.lists(st.integers(0, HASHES), min_size=len(items), max_size=len(items)))
    expected = [n for n, item in enumerate(items) if hashed(salt, item, user) < below[n]]
    assert Shares(salt, items, below).of(user) == expected


def test_shares_of_everybody_and_nobody() -> None:
    items = [f"item{n:03}" for n in range(50)]
    assert Shares("s", items, [HASHES] * 50).of("ann") == list(range(50))
    assert Shares("s", items, [0] * 50).of("ann") == []
