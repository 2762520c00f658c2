"""Base, flat part and tombstones are searched as one index, whatever changes meanwhile."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.arrays import FloatArray
from shortlist.retrieval.index import VectorIndex
from shortlist.retrieval.live import LiveIndex

N, DIM = 30, 5


def drawn(seed: int | tuple[int, ...], n: int) -> FloatArray:
    """Distinct directions, so that no two products of one seed tie."""
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


positions = st.lists(st.integers(0, N + 12), min_size=1, max_size=6, unique=True)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), positions, st.integers(0, 10_000)),
        st.tuples(st.just("remove"), positions),
        st.tuples(st.just("rebuild")),
        st.tuples(st.just("rebase")),
    ),
    max_size=12,
)


@given(changes, st.integers(0, 1_000), st.integers(0, 60), st.none() | st.lists(st.booleans(), max_size=50))
@settings(max_examples=60, deadline=None)
def test_it_finds_what_one_index_over_all_would(
    plan: list[tuple[Any, ...]], seed: int, limit: int, allowed: list[bool] | None
) -> None:
    truth = np.zeros((N + 13, DIM), np.float32)
    truth[:N] = drawn(1, N)
    live = LiveIndex(VectorIndex.over(truth[:N].copy()))
    built = None
    for turn, step in enumerate(plan):
        match step:
            case "put", at, number:
                rows = drawn((turn, number), len(at))  # no row twice: which of two alike comes first is open
                truth[at] = rows
                live.put(np.array(at, np.int32), rows)
            case "remove", at:
                truth[at] = 0
                live.put(np.array(at, np.int32), np.zeros((len(at), DIM), np.float32))
            case ("rebuild",):
                built = live.rebuilt(threads=1)
            case _ if built is not None:  # with changes since it was built, or without
                live.rebase(*built)
                built = None
    mask = np.array(allowed, np.bool_) if allowed is not None else None
    asked = drawn(seed + 20_000, 1)[0]
    found, values = live.search(asked, limit, allowed=mask)
    wanted, exact = VectorIndex.over(truth).search(asked, limit, allowed=mask)
    assert found.tolist() == wanted.tolist()
    np.testing.assert_allclose(values, exact, rtol=1e-4, atol=1e-5)
    everything = np.arange(N + 20, dtype=np.int32)
    np.testing.assert_array_equal(live.rows(everything)[: N + 13], truth)
    assert not live.rows(everything)[N + 13 :].any()
    np.testing.assert_allclose(live.products(asked, everything[: N + 13]), truth @ asked, atol=1e-5)


def test_replaced_and_removed_items_of_the_base_are_never_found_where_they_were() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((600, 16)).astype(np.float32)
    live = LiveIndex(VectorIndex.over(vectors, threads=1, exact_below=100))
    near, _ = live.base.search(vectors[0], 20)
    live.put(near[:10], np.zeros((10, 16), np.float32))
    live.put(near[10:15], -vectors[near[10:15]])
    live.put(np.array([700], np.int32), vectors[:1])
    found, values = live.search(vectors[0], 20)
    assert len(found) == 20
    assert not set(near[:15].tolist()) & set(found.tolist())
    assert set(near[15:].tolist()) < set(found.tolist())
    assert 700 in found
    np.testing.assert_allclose(values, live.rows(found) @ vectors[0], rtol=0.02)
    assert len(live) == 701


def test_vectors_of_another_length_are_refused() -> None:
    live = LiveIndex(VectorIndex.over(drawn(1, N)))
    with pytest.raises(ValueError, match="2 positions of 5 numbers"):
        live.put(np.array([1, 2], np.int32), np.zeros((2, 4), np.float32))


def test_a_search_beside_changes_sees_all_of_a_change_or_nothing() -> None:
    """Every change moves a group of items at once to one place: a search finds them all, or none."""
    live = LiveIndex(VectorIndex.over(drawn(1, N)))
    group = np.array([2, 5, N + 1, N + 7], np.int32)
    places = [np.eye(DIM, dtype=np.float32)[at] * 100 for at in range(DIM)]
    torn: list[Any] = []
    rounds = 0
    ended = threading.Event()

    def look() -> None:
        nonlocal rounds
        while not ended.is_set():
            found, values = live.search(sum(places), 50)
            there = set(found[values > 5_000].tolist())
            if there not in (set(), set(group.tolist())):
                torn.append(there)
            rounds += 1

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    number = 0
    while number < 400 or rounds < 100:
        live.put(group, np.repeat(places[number % DIM][None, :], len(group), axis=0))
        if number % 3 == 0:
            live.put(group, np.zeros((len(group), DIM), np.float32))
        if number % 50 == 0:
            live.rebase(*live.rebuilt(threads=1))
        number += 1
    ended.set()
    for reader in readers:
        reader.join()
    assert not torn
