"""What trends, and that it survives everything the log survives."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.events.event import Event, EventType
from shortlist.features.processor import Processor
from shortlist.features.trending import DecayedCounts, TrendingCounts
from shortlist.settings import FeatureSettings, LogSettings, Settings
from tests.features.conftest import Opened, Room
from tests.features.made import DAY_MS, HOUR_MS, START_MS, event, events

WEIGHTS = {"view": 1.0, "click": 1.0, "cart": 2.0, "purchase": 3.0, "like": 2.0, "rating": 1.0}
NEVER = 1 << 60
SETTINGS = Settings(features=FeatureSettings(trending_half_life_h=24.0), log=LogSettings(dedup_window=50))


def counts(*happened: Event, not_after_ms: int = NEVER) -> DecayedCounts:
    made = DecayedCounts(DAY_MS, WEIGHTS)
    made.add(happened, not_after_ms)
    return made


def trending(room: Room, file: Path | None = None) -> TrendingCounts:
    return TrendingCounts(room.log, room.store, SETTINGS, file=file, now_ms=lambda: START_MS + 30 * DAY_MS)


def shown(trends: TrendingCounts) -> tuple[list[str], dict[str, float]]:
    trends.publish()
    return trends.top(None, 100), {item: round(weight, 9) for item, weight in trends.weights().items()}


def test_an_event_counts_half_after_a_half_life() -> None:
    made = counts(event("old", ts=START_MS), event("new", ts=START_MS + DAY_MS))
    assert made.weights() == pytest.approx({"old": 0.5, "new": 1.0})


def test_types_weigh_what_the_settings_say() -> None:
    made = counts(event("a", type=EventType.PURCHASE), event("b"), event("c", type=EventType.IMPRESSION))
    assert made.weights() == pytest.approx({"a": 3.0, "b": 1.0})


@given(st.lists(events(), max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_additions_does_not_matter(happened: list[Event], random: object) -> None:
    mixed = list(happened)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis's Random
    one, other = counts(*happened), counts(*mixed)
    # An event below the floor is left out when it comes late, and forgotten when it came early.
    one.forget()
    other.forget()
    assert one.weights() == pytest.approx(other.weights(), rel=1e-9, abs=1e-15)


def test_the_landmark_moves_before_a_double_overflows() -> None:
    made = DecayedCounts(HOUR_MS, WEIGHTS)
    for hour in range(5_000):  # 5,000 half-lives; 2^1024 is the end of doubles
        made.add([event("always", ts=START_MS + hour * HOUR_MS)], NEVER)
    assert made.weights() == pytest.approx({"always": 2.0})
    made.add([event("late", ts=START_MS)], NEVER)
    assert made.weights().get("late", 0.0) == 0.0


def test_one_event_of_the_far_future_does_not_outweigh_all_others() -> None:
    made = counts(event("now"), event("9999", ts=253_402_300_799_999), not_after_ms=START_MS + DAY_MS)
    assert made.weights() == {"now": 1.0}


def test_memory_stays_bounded_when_ids_are_invented() -> None:
    made = DecayedCounts(DAY_MS, WEIGHTS, most=100)
    made.add((event(f"i{n}", category=f"c{n}", event_id="e") for n in range(1_000)), NEVER)
    made.add([event("popular", event_id="e", category="c")] * 3, NEVER)
    made.forget()
    assert len(made.items) <= 100
    assert sum(map(len, made.categories.values())) <= 100
    assert "popular" in made.items
    assert "c" in made.categories


def test_lists_are_overall_and_by_category_best_first_and_equal_ones_by_id(room: Room) -> None:
    trends = trending(room)
    processor = Processor(room.log, room.store, on_folded=[trends.on_folded])
    for n, (item, category) in enumerate([("b", "x"), ("a", "x"), ("c", "y"), ("c", "y")]):
        room.append(event(item, category=category, event_id=str(n)))
    processor.fold_all()
    assert trends.top(None, 10) == []  # not before it is published
    trends.publish()
    assert trends.top(None, 10) == ["c", "a", "b"]
    assert trends.top("x", 1) == ["a"]
    assert trends.top("y", 10) == ["c"]
    assert trends.top("unknown", 10) == []


def test_what_was_folded_before_it_ran_is_replayed(room: Room) -> None:
    room.append(*(event(f"i{n % 3}", user_id=f"u{n}", event_id=str(n)) for n in range(30)))
    processor = Processor(room.log, room.store)
    processor.fold_all()
    trends = trending(room)
    trends.replay()
    assert shown(trends)[1] == {"i0": 10.0, "i1": 10.0, "i2": 10.0}


@pytest.mark.parametrize("saved_after", [0, 10, 25, 40])
def test_a_restart_counts_what_one_run_counts(opened: Opened, tmp_path: Path, saved_after: int) -> None:
    file = tmp_path / "trending"
    happened = [
        event(
            f"i{n % 5}",
            user_id=f"u{n % 4}",
            event_id=f"e{n % 33}",  # the last ones repeat the first
            ts=START_MS + n * HOUR_MS,
            category=f"c{n % 2}",
        )
        for n in range(40)
    ]
    happened[33:] = happened[:7]
    with opened(SETTINGS) as room:
        trends = trending(room, file)
        processor = Processor(room.log, room.store, batch=3, on_folded=[trends.on_folded])
        room.append(*happened[:saved_after])
        processor.fold_all()
        trends.save()
        room.append(*happened[saved_after:])
        processor.fold_all()
        before = shown(trends)
    with opened(SETTINGS) as room:  # killed: what was not saved is gone
        again = trending(room, file)
        again.replay()
        assert shown(again) == before
        assert again.top("c1", 9) == trends.top("c1", 9)


def test_a_replay_beside_the_processor_counts_everything_once(room: Room) -> None:
    room.append(*(event("early", event_id=str(n)) for n in range(20)))
    processor = Processor(room.log, room.store, batch=4)
    processor.fold_all()
    trends = trending(room)  # knows nothing of these 20
    processor.on_folded(trends.on_folded)
    room.append(*(event("late", event_id=f"l{n}") for n in range(20)))
    processor.fold_all()  # what is told does not follow on what is counted
    trends.replay()
    room.append(event("last"))
    processor.fold_all()
    assert shown(trends)[1] == {"early": 20.0, "late": 20.0, "last": 1.0}


def test_a_damaged_or_foreign_checkpoint_starts_over(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "trending"
    room.append(event("i1"))
    Processor(room.log, room.store).fold_all()
    first = trending(room, file)
    first.replay()
    first.save()
    good = file.read_bytes()
    for bad in (b"", b"junk", good[: len(good) // 2]):
        file.write_bytes(bad)
        again = trending(room, file)
        again.replay()
        assert shown(again)[0] == ["i1"]
    file.write_bytes(good)
    other = TrendingCounts(
        room.log, room.store, Settings(features=FeatureSettings(trending_half_life_h=1)), file=file
    )
    other.replay()
    assert shown(other)[0] == ["i1"]


def test_a_running_one_publishes_by_itself_and_saves_at_the_end(room: Room, tmp_path: Path) -> None:
    room.append(event("i1"))
    Processor(room.log, room.store).fold_all()
    trends = trending(room, tmp_path / "trending")
    trends.start()
    trends.stop()
    again = trending(room, tmp_path / "trending")
    again.replay()
    assert shown(again)[0] == ["i1"]
