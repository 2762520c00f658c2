"""What each feature means, and the laws of folding."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.events.event import INTERACTIONS, Event, EventType, Told, told_again
from shortlist.features.fold import expire, fold
from shortlist.features.store import Features
from shortlist.features.verify import Happened, differ, naive_features
from shortlist.features.view import AFFINITIES, GUESTS, IGNORED, user_view
from shortlist.settings import FeatureSettings, Settings
from tests.features.made import DAY_MS, HOUR_MS, START_MS, event, events

SETTINGS = Settings(features=FeatureSettings(history=8))
VIEW = user_view(Settings())


def folded(*happened: Event, appended_ms: int = START_MS) -> Features:
    features = Features()
    for offset, one in enumerate(happened):
        fold(features, one, offset=offset, appended_ms=appended_ms, view=VIEW)
    return features


def views(*items: str) -> list[Event]:
    return [event(item, ts=START_MS + n * 1_000, event_id=f"e{n}") for n, item in enumerate(items)]


def test_the_last_five_are_the_flows_own_worked_example() -> None:
    assert folded(*views("123", "456", "789", "101", "202", "789")).last_5 == [
        "456",
        "789",
        "101",
        "202",
        "789",
    ]


def test_history_keeps_the_last_200_by_event_time_and_ties_in_order_of_arrival() -> None:
    features = folded(*views(*(f"i{n}" for n in range(250))))
    assert [seen.item_id for seen in features.history] == [f"i{n}" for n in range(50, 250)]
    late = event("late", ts=START_MS + 100_000)
    fold(features, late, offset=250, appended_ms=START_MS, view=VIEW)
    assert [s.item_id for s in features.history[48:51]] == ["i99", "i100", "late"]
    assert len(features.history) == 200
    too_late = event("too late", ts=START_MS)
    fold(features, too_late, offset=251, appended_ms=START_MS, view=VIEW)
    assert "too late" not in [s.item_id for s in features.history]
    assert features.last_5[-2:] == ["late", "too late"]  # a FIFO by arrival


def test_an_impression_counts_and_changes_nothing_else() -> None:
    features = folded(event(type=EventType.IMPRESSION))
    assert features.counts == {"impression": 1}
    assert (features.history, features.last_5, features.interaction_count) == ([], [], 0)
    assert (features.first_ts, features.last_ts) == (0, 0)
    assert (features.version, features.taste_version) == (1, 0)


@pytest.mark.parametrize("kind", [k for k in EventType if k in INTERACTIONS])
def test_every_interaction_moves_items_counts_and_taste(kind: EventType) -> None:
    features = folded(event("i1", type=kind))
    assert features.last_5 == ["i1"]
    assert [(s.item_id, s.type, s.session) for s in features.history] == [("i1", kind.value, 1)]
    assert features.interaction_count == 1
    assert features.taste_version == 1


def test_first_and_last_are_event_times_and_never_go_back() -> None:
    features = folded(*(event(ts=ts, event_id=str(ts)) for ts in (5_000, 9_000, 2_000, 7_000)))
    assert (features.first_ts, features.last_ts) == (2_000, 9_000)


def test_purchases_add_up_and_cancellations_take_off() -> None:
    bought = [
        event("tea", type=EventType.PURCHASE, quantity=2, event_id="1"),
        event("tea", type=EventType.PURCHASE, event_id="2"),
        event("mug", type=EventType.PURCHASE, event_id="3"),
    ]
    assert folded(*bought).purchased == {"tea": 3, "mug": 1}
    cancelled = [
        event("tea", type=EventType.CANCEL, quantity=2, event_id="4"),
        event("mug", type=EventType.CANCEL, event_id="5"),
    ]
    assert folded(*bought, *cancelled).purchased == {"tea": 1}
    assert folded(*cancelled).purchased == {}


def test_cents_of_a_quantity_leave_nothing_behind() -> None:
    parts = [event("rope", type=EventType.PURCHASE, quantity=q, event_id=str(q)) for q in (0.1, 0.2)]
    assert folded(*parts, event("rope", type=EventType.CANCEL, quantity=0.3)).purchased == {}


def test_a_dislike_stands_until_a_later_like_or_purchase() -> None:
    dislike = event("i", type=EventType.DISLIKE, ts=START_MS + 10)
    assert folded(dislike).disliked == {"i": START_MS + 10}
    assert folded(dislike, event("i", type=EventType.LIKE, ts=START_MS + 11)).disliked == {}
    assert folded(dislike, event("i", type=EventType.PURCHASE, ts=START_MS + 10)).disliked == {}
    assert folded(dislike, event("i", type=EventType.LIKE, ts=START_MS + 9)).disliked == {"i": START_MS + 10}
    assert folded(dislike).last_5 == []


def test_a_rating_is_consumption() -> None:
    features = folded(event("film", type=EventType.RATING, ts=5), event("film", type=EventType.RATING, ts=3))
    assert features.consumed == {"film": 5}


def test_affinity_halves_with_its_half_life_and_a_late_event_counts_what_is_left_of_it() -> None:
    half_life = 14 * DAY_MS
    features = folded(
        event(ts=START_MS, category="a"),
        event(ts=START_MS + half_life, category="b", type=EventType.PURCHASE),
        event(ts=START_MS, category="c", event_id="late"),
    )
    assert features.affinity == {"a": 0.5, "b": 3.0, "c": 0.5}
    assert features.affinity_ts == START_MS + half_life


def test_affinity_is_bounded_and_the_weakest_goes() -> None:
    many = [event(category=f"c{n:03}", ts=START_MS + n, event_id=str(n)) for n in range(AFFINITIES + 5)]
    features = folded(*many)
    assert len(features.affinity) == AFFINITIES
    assert "c000" not in features.affinity
    assert f"c{AFFINITIES + 4:03}" in features.affinity


def test_a_session_ends_with_silence_or_with_another_id() -> None:
    features = folded(
        event("a", ts=START_MS),
        event("b", ts=START_MS + HOUR_MS // 2),
        event("c", ts=START_MS + HOUR_MS + 1),
        event("d", ts=START_MS + HOUR_MS + 2, session_id="s1"),
        event("e", ts=START_MS + HOUR_MS + 3, session_id="s2"),
    )
    assert [s.session for s in features.history] == [1, 1, 2, 2, 3]
    assert (features.session_id, features.session_number, features.session_count) == ("s2", 3, 1)
    assert features.session_start_ts == features.session_last_ts == START_MS + HOUR_MS + 3


def test_what_expires_goes_seven_days_after_the_last_append_and_the_rest_stays() -> None:
    features = folded(event("old", category="a", type=EventType.PURCHASE), appended_ms=START_MS)
    expire(features, START_MS + 7 * DAY_MS, VIEW)
    assert features.last_5 == ["old"]
    expire(features, START_MS + 7 * DAY_MS + 1, VIEW)
    assert (features.last_5, features.affinity, features.session_id, features.session_count) == (
        [],
        {},
        "",
        0,
    )
    assert features.purchased == {"old": 1}
    assert [s.item_id for s in features.history] == ["old"]
    assert features.interaction_count == 1
    fold(features, event("new"), offset=1, appended_ms=START_MS + 8 * DAY_MS, view=VIEW)
    assert features.last_5 == ["new"]
    assert [s.session for s in features.history] == [1, 2]


def test_an_import_of_old_events_does_not_expire_at_once() -> None:
    features = folded(event("old", ts=1_000_000_000_000), appended_ms=START_MS)
    expire(features, START_MS + DAY_MS, VIEW)
    assert features.last_5 == ["old"]


def test_every_feature_is_declared_by_one_aggregate() -> None:
    declared = [name for aggregate in VIEW.aggregates for name in aggregate.fields]
    stamps = {"appended_ms", "version", "taste_version"}
    assert sorted(declared) == sorted(set(Features.__struct_fields__) - stamps)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(events(), st.sampled_from([0, 1, HOUR_MS, 8 * DAY_MS])), max_size=40), st.data())
def test_the_fold_is_what_a_naive_implementation_says(
    happened: list[tuple[Event, int]], data: st.DataObject
) -> None:
    view = user_view(SETTINGS)
    appended_ms = START_MS
    past, each = [], []  # as folded; and with what merges tell, as the naive one reads it
    for offset, (one, pause_ms) in enumerate(happened):
        appended_ms += pause_ms
        past.append(Happened(one, offset, appended_ms))
        told = told_again(one) if one.type is EventType.MERGE else []
        each.append([past[-1], *(Happened(e, offset, appended_ms, at) for at, e in told)])
    cut = data.draw(st.integers(0, len(past)))
    features, base = Features(), Features()
    for index, one_of_it in enumerate(past):
        for state in (features,) if index >= cut else (features, base):
            fold(
                state, one_of_it.event, offset=one_of_it.offset, appended_ms=one_of_it.appended_ms, view=view
            )
    assert differ(naive_features(list(chain(*each)), SETTINGS, Features()), features) == []
    assert (
        differ(naive_features(list(chain(*each[cut:])), SETTINGS, base), features) == []
    )  # as from a checkpoint


def test_the_latest_answer_to_the_survey_stands_whole() -> None:
    first = Event(
        event_id="1", user_id="u1", type=EventType.PREFERENCES, item_id="", ts=START_MS,
        categories=("Tea", "Toys"), ratings={"i1": 5.0},
    )  # fmt: skip
    skipped = Event(event_id="2", user_id="u1", type=EventType.PREFERENCES, item_id="", ts=START_MS + 1)
    features = folded(first)
    assert (features.preferred, features.stars, features.interaction_count) == (["Tea", "Toys"], {"i1": 5}, 0)
    assert features.taste_version == 1
    features = folded(skipped, first)  # the older one arrives late
    assert (features.preferred, features.stars, features.answered_ts) == ([], {}, START_MS + 1)


def seen(item_id: str, n: int, *, ts: int = START_MS) -> Event:
    return event(item_id, type=EventType.IMPRESSION, ts=ts, event_id=f"seen-{item_id}-{n}")


def test_what_is_shown_in_vain_is_counted_until_it_is_clicked_and_half_forgotten_in_time() -> None:
    features = folded(*(seen("i1", n) for n in range(4)), seen("i2", 0), event("i2"))
    assert {item: i.shown for item, i in features.ignored.items()} == {"i1": 4.0}
    later = START_MS + int(SETTINGS.features.fatigue_half_life_days * DAY_MS)
    assert folded(*(seen("i1", n) for n in range(4)), seen("i1", 9, ts=later)).ignored["i1"].shown == 3.0
    assert len(folded(*(seen(f"i{n}", n, ts=START_MS + n) for n in range(150))).ignored) == IGNORED


def test_an_impression_moves_taste_when_it_was_one_too_many() -> None:
    moved = []
    features = Features()
    for n in range(11):
        fold(features, seen("i1", n), offset=n, appended_ms=START_MS, view=VIEW)
        moved.append(features.taste_version == n + 1)
    assert [n + 1 for n, has in enumerate(moved) if has] == [5, 10]


def merge(*told: tuple[int, Event], n: int = 0, guest: str = "g") -> Event:
    past = tuple(Told(offset, one) for offset, one in told)
    return Event(
        event_id=f"merge-{n}",
        user_id="u1",
        type=EventType.MERGE,
        item_id="",
        ts=START_MS,
        guest=guest,
        past=past,
    )


def test_a_guests_events_are_in_once_however_often_they_are_told() -> None:
    clicks = [(n, event(f"i{n}", user_id="g", event_id=f"e{n}", category="Tea")) for n in range(3)]
    once = folded(merge(*clicks))
    again = folded(merge(*clicks[:2]), merge(*clicks, n=1), merge(*clicks, n=2))
    assert once.last_5 == again.last_5 == ["i0", "i1", "i2"]
    assert once.interaction_count == again.interaction_count == 3
    assert once.affinity == again.affinity == {"Tea": 3.0}
    assert again.merged == {"g": 3}
    assert folded(*(merge(*clicks, n=n, guest=f"g{n}") for n in range(GUESTS + 9))).merged.keys() == {
        f"g{n}" for n in range(9, GUESTS + 9)
    }


def test_a_merge_tells_neither_what_was_shown_nor_another_merge() -> None:
    inner = merge((0, event("i1")))
    assert folded(merge((0, inner), (1, seen("i2", 0)))).counts == {"merge": 1}
