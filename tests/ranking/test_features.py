"""What the ranker sees of a candidate."""

import numpy as np

from shortlist.candidates.attributes import Code, UserCodes
from shortlist.candidates.past import query_from
from shortlist.candidates.popular import Popular
from shortlist.candidates.source import Query
from shortlist.ranking.features import feature_names, features, trained
from tests.ranking.conftest import Fixed


def seen(query: Query, *positions: int) -> dict[str, list[float]]:
    sources = trained([Popular(np.arange(50, dtype=np.float32).reshape(5, 10)), Fixed("later", {})])
    at = np.array(positions, np.int32)
    raw = {"popular": sources[0].score(query, at)}
    table = features(query, at, raw, sources)
    names = feature_names(sources)
    assert table.shape == (len(positions), len(names))
    assert table.dtype == np.float32
    assert np.isfinite(table).all()
    return {name: table[:, column].tolist() for column, name in enumerate(names)}


def test_own_past_stands_beside_each_candidate() -> None:
    query = query_from(
        [4, 2, 4, 7],
        [0.0, 10.0, 20.0, 30.0],
        [1] * 4,
        [0, 0, 1, 1],
        now_s=30.0,
        bought=[7],
        bought_counts=[3.0],
    )
    values = seen(query, 7, 1, 4)
    assert values["own_count"] == [1, 0, 2]
    assert values["own_distance"] == [0, 1000, 1]
    assert values["own_in_session"] == [1, 0, 1]
    assert values["own_bought"] == [1, 0, 0]
    assert values["history"] == [4, 4, 4]
    assert values["distinct"] == [3, 3, 3]
    assert values["session_length"] == [2, 2, 2]


def test_a_source_that_came_too_late_counts_nothing() -> None:
    sources = [Popular(np.ones((5, 10), np.float32))]
    query = query_from([1], [0.0], [1], [0], now_s=0.0)
    table = features(query, np.array([1, 2], np.int32), {}, sources)
    columns = [n for n, name in enumerate(feature_names(sources)) if name.startswith("popular")]
    assert not table[:, columns].any()


def test_only_trained_sources_make_features() -> None:
    names = feature_names(trained([Fixed("trending", {})]))
    assert not [name for name in names if name.startswith("trending")]


def test_somebody_without_a_past_has_features_too() -> None:
    values = seen(query_from([], [], [], [], now_s=0.0), 1, 2)
    assert values["own_count"] == [0, 0]
    assert values["history"] == [0, 0]


def test_a_users_attributes_stand_in_the_last_columns() -> None:
    sources = [Popular(np.ones((5, 10), np.float32))]
    codes = UserCodes([Code("plan", ("free", "pro")), Code("age", (), 18.0, 80.0, 17.0, (18.0,))])
    query = query_from([1], [0.0], [1], [0], now_s=0.0, attributes=codes.row({"plan": "pro", "age": 30}))
    stranger = query_from([1], [0.0], [1], [0], now_s=0.0)
    at = np.array([1, 2], np.int32)
    names = feature_names(sources, codes)
    assert names == (*feature_names(sources), "user:plan", "user:age")
    known, unknown = (features(who, at, {}, sources, codes) for who in (query, stranger))
    assert known[:, -2:].tolist() == [[1.0, 30.0]] * 2
    assert unknown[:, -2:].tolist() == [[-1.0, 17.0]] * 2
    np.testing.assert_array_equal(known[:, :-2], unknown[:, :-2])
