"""What every feature store must do. New adapters are found by their file's name: store_<engine>.py."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

import shortlist.features
from shortlist.events.event import EventType, encode
from shortlist.events.log import Stored
from shortlist.events.partition import partition_of
from shortlist.features.store import Features, FeatureStore, OffsetMoved, Step
from shortlist.features.verify import differ, naive_features, naive_past
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import FeatureSettings, Settings
from tests.features.made import DAY_MS, START_MS, USERS, event, records, stored

PARTITIONS = 3
WINDOW = 12
Opener = Callable[[Path, Settings], AbstractContextManager[FeatureStore]]


@contextmanager
def rocksdb(folder: Path, chosen: Settings) -> Iterator[FeatureStore]:
    from shortlist.database import open_database
    from shortlist.features.store_rocksdb import RocksFeatures

    database = open_database(Home(folder))
    try:
        yield RocksFeatures(database, user_view(chosen), partitions=PARTITIONS, dedup_window=WINDOW)
    finally:
        database.close()


OPENERS: dict[str, Opener] = {"rocksdb": rocksdb}


def adapters() -> list[str]:
    """Every store_<engine> module of the room."""
    folder = Path(next(iter(shortlist.features.__path__)))
    return sorted(file.stem.removeprefix("store_") for file in folder.glob("store_*.py"))


@pytest.fixture(params=adapters())
def opener(request: pytest.FixtureRequest) -> Opener:
    return OPENERS[request.param]


@pytest.fixture
def store(opener: Opener, tmp_path: Path) -> Iterator[FeatureStore]:
    with opener(tmp_path, Settings()) as opened:
        yield opened


U1 = partition_of("u1", PARTITIONS)


def put(store: FeatureStore, batch: Sequence[Stored], partition: int = U1) -> None:
    store.fold(
        partition, batch, expect=store.offset(partition), next_offset=batch[-1].offset + 1 if batch else 0
    )


def read(store: FeatureStore, user_id: str = "u1", now_ms: int = START_MS + DAY_MS) -> Features:
    return store.read([user_id], now_ms)[0]


def test_every_adapter_subclasses_the_port_and_is_tested_here() -> None:
    for engine in adapters():
        module = importlib.import_module(f"shortlist.features.store_{engine}")
        kinds: list[Any] = [k for k in vars(module).values() if isinstance(k, type)]
        assert any(issubclass(k, FeatureStore) and k.__module__ == module.__name__ for k in kinds)
        assert engine in OPENERS


def test_unknown_users_have_empty_features_in_the_order_asked(store: FeatureStore) -> None:
    put(store, records([event("i1")]))
    first, second, third = store.read(["nobody", "u1", "\U0001f937"], START_MS)
    assert first == third == Features()
    assert second.last_5 == ["i1"]
    assert store.read([], START_MS) == []


def test_a_partition_never_folded_stands_at_nought(store: FeatureStore) -> None:
    assert [store.offset(partition) for partition in range(PARTITIONS)] == [0] * PARTITIONS


def test_a_fold_moves_features_and_offset_together(store: FeatureStore) -> None:
    done = store.fold(U1, records([event("i1")]), expect=0, next_offset=17)  # the log had gaps
    assert store.offset(U1) == 17
    assert read(store).last_5 == ["i1"]
    assert ([e.item_id for e in done.events], done.duplicates, done.unreadable) == (["i1"], 0, 0)
    assert (done.offset, done.next_offset) == (0, 17)


def test_a_fold_from_another_offset_is_refused_and_changes_nothing(store: FeatureStore) -> None:
    put(store, records([event("i1")]))
    before = read(store)
    for expect in (0, 2, 99):
        with pytest.raises(OffsetMoved) as moved:
            store.fold(U1, records([event("i2")]), expect=expect, next_offset=expect + 1)
        assert moved.value.stored == 1
    assert read(store) == before
    assert store.offset(U1) == 1


def test_partitions_stand_apart(store: FeatureStore) -> None:
    put(store, records([event("i1")]))
    others = [store.offset(p) for p in range(PARTITIONS) if p != U1]
    assert others == [0] * (PARTITIONS - 1)


def test_an_empty_batch_moves_the_offset_alone(store: FeatureStore) -> None:
    done = store.fold(U1, [], expect=0, next_offset=5)
    assert done.events == []
    assert store.offset(U1) == 5


def other(partition: int) -> str:
    """A user of a partition."""
    return next(f"w{n}" for n in range(99) if partition_of(f"w{n}", PARTITIONS) == partition)


def test_steps_of_several_partitions_are_each_a_fold_of_its_own(store: FeatureStore) -> None:
    put(store, records([event("i1")]))
    steps = [
        Step(U1, [Stored(U1, 1, START_MS, encode(event("i2")))], 1, 2),
        *(
            Step(p, [Stored(p, 0, START_MS, encode(event(f"i{p}", user_id=other(p))))], 0, 1)
            for p in range(PARTITIONS)
            if p != U1
        ),
    ]
    done = store.fold_together(steps)
    assert [(one.partition, one.offset, one.next_offset) for one in done] == [
        (step.partition, step.expect, step.next_offset) for step in steps
    ]
    assert read(store).last_5 == ["i1", "i2"]
    assert [read(store, other(p)).last_5 for p in range(PARTITIONS) if p != U1] == [
        [f"i{p}"] for p in range(PARTITIONS) if p != U1
    ]
    assert store.fold_together([]) == []


def test_whatever_a_refused_fold_of_several_did_each_partition_is_whole(store: FeatureStore) -> None:
    put(store, records([event("i1")]))
    steps = [
        Step(p, [Stored(p, 0, START_MS, encode(event("i2", user_id=other(p))))], 0, 1)
        for p in range(PARTITIONS)
    ]
    with pytest.raises(OffsetMoved):  # U1 stands at 1
        store.fold_together(steps)
    assert read(store).last_5 == ["i1"]
    for p in range(PARTITIONS):
        assert bool(read(store, other(p)).last_5) == (p != U1 and store.offset(p) == 1)


def test_two_steps_of_one_partition_are_refused(store: FeatureStore) -> None:
    step = Step(U1, records([event("i1")]), 0, 1)
    with pytest.raises(ValueError, match="two steps"):
        store.fold_together([step, step])
    assert (store.offset(U1), read(store)) == (0, Features())


def test_a_repeat_counts_once_within_a_batch_and_across_batches(store: FeatureStore) -> None:
    once = encode(event("i1", event_id="e"))
    batch = [Stored(0, offset, START_MS, once) for offset in range(3)]
    done = store.fold(U1, batch, expect=0, next_offset=3)
    assert (len(done.events), done.duplicates) == (1, 2)
    done = store.fold(U1, [Stored(0, 3, START_MS, once)], expect=3, next_offset=4)
    assert (len(done.events), done.duplicates) == (0, 1)
    assert read(store).interaction_count == 1


@pytest.mark.parametrize(("distance", "counts"), [(1, 1), (WINDOW, 1), (WINDOW + 1, 2), (5 * WINDOW, 2)])
def test_the_window_of_repeats_is_counted_in_offsets(store: FeatureStore, distance: int, counts: int) -> None:
    for start in (0, 7, WINDOW - 1, WINDOW, 3 * WINDOW + 5):
        once = encode(event("i1", event_id=f"e{start}"))
        begin = store.offset(U1) + start
        for offset in (begin, begin + distance):
            put(store, [Stored(0, offset, START_MS, once)])
        assert read(store).interaction_count == counts
        store.delete("u1")


def test_the_same_event_id_of_two_users_is_two_events(store: FeatureStore) -> None:
    other = next(f"w{n}" for n in range(99) if partition_of(f"w{n}", PARTITIONS) == U1)
    put(store, records([event(event_id="1"), event(event_id="1", user_id=other)]))
    assert read(store).interaction_count == read(store, other).interaction_count == 1


def test_what_is_no_event_is_counted_and_passed_over(store: FeatureStore) -> None:
    bad = [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"event_id":"a"}', encode(event())[:-1]]
    batch = [Stored(0, offset, START_MS, value) for offset, value in enumerate([*bad, encode(event("i9"))])]
    done = store.fold(U1, batch, expect=0, next_offset=len(batch))
    assert [e.item_id for e in done.events] == ["i9"]
    assert done.unreadable == len(bad)


def test_reading_empties_what_expired_without_a_write(store: FeatureStore) -> None:
    put(store, records([event("i1", category="a")], appended_ms=START_MS))
    assert read(store, now_ms=START_MS + 7 * DAY_MS).last_5 == ["i1"]
    later = read(store, now_ms=START_MS + 8 * DAY_MS)
    assert (later.last_5, later.affinity, later.session_count) == ([], {}, 0)
    assert [seen.item_id for seen in later.history] == ["i1"]
    assert read(store, now_ms=START_MS + 7 * DAY_MS).last_5 == ["i1"]


def test_a_deleted_user_is_gone_and_may_come_back_as_a_new_one(store: FeatureStore) -> None:
    many = [event(f"i{n}", type=EventType.PURCHASE, ts=START_MS + n, event_id=str(n)) for n in range(300)]
    put(store, records(many))
    store.checkpoint(U1)
    store.delete("u1")
    assert read(store) == Features()
    assert dict(store.users(U1)) == {}
    assert dict(store.checkpointed(U1)[1]) == {}
    assert store.forgotten(U1) == {"u1": 300}
    put(store, [Stored(0, 300, START_MS, encode(event("new")))])
    assert [seen.item_id for seen in read(store).history] == ["new"]
    assert read(store).purchased == {}


def test_deleting_a_stranger_is_no_error(store: FeatureStore) -> None:
    store.delete("nobody")
    assert read(store, "nobody") == Features()


def test_users_of_a_partition_are_all_there_whatever_their_names(store: FeatureStore) -> None:
    names = ["a", "ab", "\u00e9", "\U0001f6d2", "../../x", "%00", "'; DROP", "x" * 1024, "{p1}", "*", " "]
    for name in names:
        partition = partition_of(name, PARTITIONS)
        value = encode(event(user_id=name, event_id="e"))
        put(store, [Stored(0, store.offset(partition), START_MS, value)], partition)
    found = [user for partition in range(PARTITIONS) for user, _ in store.users(partition)]
    assert sorted(found) == sorted(names)
    assert all(read(store, name).interaction_count == 1 for name in names)


def test_a_checkpoint_is_the_features_of_its_moment(store: FeatureStore) -> None:
    assert store.checkpointed(U1)[0] == 0
    put(store, records([event("i1")]))
    then = read(store)
    assert store.checkpoint(U1) == 1
    put(store, [Stored(0, 1, START_MS, encode(event("i2")))])
    offset, users = store.checkpointed(U1)
    assert (offset, dict(users)) == (1, {"u1": then})
    assert store.checkpoint(U1) == 2
    assert dict(store.checkpointed(U1)[1])["u1"].last_5 == ["i1", "i2"]


def test_everything_is_there_after_opening_again(opener: Opener, tmp_path: Path) -> None:
    many = [event(f"i{n}", ts=START_MS + n, event_id=str(n)) for n in range(120)]
    with opener(tmp_path, Settings()) as store:
        put(store, records([*many, event("tea", type=EventType.PURCHASE)]))
        before = read(store)
    with opener(tmp_path, Settings()) as again:
        assert read(again) == before
        assert again.offset(U1) == 121
        done = again.fold(U1, [Stored(0, 121, START_MS, encode(many[-1]))], expect=121, next_offset=122)
        assert done.duplicates == 1


@contextmanager
def emptied(store: FeatureStore, batch: list[Stored]) -> Iterator[list[Stored]]:
    """`batch` at offsets not folded yet, in a partition without users: quicker than a new store."""
    for user_id, _ in list(store.users(U1)):
        store.delete(user_id)
    begin = store.offset(U1) + 2 * WINDOW
    yield [structs.replace(record, offset=begin + record.offset) for record in batch]


def test_a_fold_does_not_depend_on_where_batches_end_and_equals_the_naive_one(
    opener: Opener, tmp_path: Path
) -> None:
    for history in (3, 60):
        chosen = Settings(features=FeatureSettings(history=history))
        with opener(tmp_path / str(history), chosen) as store:

            @settings(max_examples=50, deadline=None)
            @given(batch=stored(), cuts=st.lists(st.integers(0, 60), max_size=6))
            def holds(store: FeatureStore, chosen: Settings, batch: list[Stored], cuts: list[int]) -> None:
                with emptied(store, batch) as fresh:
                    edges = sorted({0, len(fresh), *(min(cut, len(fresh)) for cut in cuts)})
                    for begin, end in pairwise(edges):
                        put(store, fresh[begin:end])
                    assert_naive(store, fresh, chosen)

            holds(store, chosen)


def test_folding_partitions_together_equals_folding_each(opener: Opener, tmp_path: Path) -> None:
    places = st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, 5), st.sampled_from(EventType))
    with opener(tmp_path, Settings()) as store:

        @settings(max_examples=50, deadline=None)
        @given(rounds=st.lists(st.lists(places, max_size=9), max_size=5))
        def holds(store: FeatureStore, rounds: list[list[tuple[int, int, EventType]]]) -> None:
            for p in range(PARTITIONS):
                store.delete(other(p))
            ends = [store.offset(p) + 2 * WINDOW for p in range(PARTITIONS)]
            logs: list[list[Stored]] = [[] for _ in range(PARTITIONS)]
            for one in rounds:
                batches: dict[int, list[Stored]] = {}
                for p, n, kind in one:
                    value = encode(event(f"i{n}", user_id=other(p), type=kind, ts=START_MS + n))
                    batches.setdefault(p, []).append(Stored(p, ends[p], START_MS, value))
                    ends[p] += 1
                store.fold_together(
                    [Step(p, batch, store.offset(p), batch[-1].offset + 1) for p, batch in batches.items()]
                )
                for p, batch in batches.items():
                    logs[p] += batch
            for p in range(PARTITIONS):
                assert_naive(store, logs[p], Settings(), p)

        holds(store)


def test_long_histories_out_of_order_equal_the_naive_one(opener: Opener, tmp_path: Path) -> None:
    """Long enough for what a store keeps apart from the newest."""
    chosen = Settings(features=FeatureSettings(history=100))
    with opener(tmp_path, chosen) as store:

        @settings(max_examples=15, deadline=None)
        @given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(USERS)), min_size=150, max_size=400))
        def holds(store: FeatureStore, happened: list[tuple[int, str]]) -> None:
            batch = [
                event(
                    f"i{n}",
                    user_id="u1" if n % 2 else user,
                    ts=START_MS + (n if n % 9 else jump),
                    event_id=str(n),
                )
                for n, (jump, user) in enumerate(happened)
            ]
            with emptied(store, records(batch)) as fresh:
                for begin in range(0, len(fresh), 20):
                    put(store, fresh[begin : begin + 20])
                assert_naive(store, fresh, chosen)

        holds(store)


def assert_naive(store: FeatureStore, batch: list[Stored], chosen: Settings, partition: int = U1) -> None:
    """The partition holds what the naive implementation says of `batch`."""
    past = naive_past(batch, 0, {}, WINDOW)
    expected = {user: naive_features(happened, chosen, Features()) for user, happened in past.items()}
    found = dict(store.users(partition))
    assert found.keys() == expected.keys()
    assert {user: differ(expected[user], found[user]) for user in found} == {user: [] for user in found}
