"""What every trained source must do, whichever it is: they are found, none can be forgotten."""

import importlib
import inspect
import pkgutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shortlist import candidates
from shortlist.arrays import BoolArray
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import CandidateSettings, TrainingSettings

SETTINGS = TrainingSettings(factors=8, content_dim=8, threads=1)


def found() -> list[type[TrainedSource]]:
    for module in pkgutil.iter_modules(candidates.__path__):
        importlib.import_module(f"shortlist.candidates.{module.name}")
    seen: list[type[TrainedSource]] = []
    todo = list(TrainedSource.__subclasses__())
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if not inspect.isabstract(kind) and kind.__module__.startswith("shortlist.candidates"):
            seen.append(kind)
    return sorted(set(seen), key=lambda kind: kind.name)


@pytest.fixture(scope="session", params=found(), ids=lambda kind: kind.name)
def source(request: pytest.FixtureRequest, crowd: Interactions, crowd_items: ItemTable) -> TrainedSource:
    kind: type[TrainedSource] = request.param
    return kind.fit(crowd, crowd_items, SETTINGS)


def asked(*items: int, allowed: BoolArray | None = None) -> Query:
    n = len(items)
    query = query_from(
        items,
        np.arange(n) * 60.0,
        np.ones(n),
        np.zeros(n),
        now_s=1_000.0,
        bought=[5, 6],
        bought_counts=[2, 1],
    )
    query.allowed = allowed
    return query


def test_every_source_has_a_name_and_a_setting() -> None:
    names = [kind.name for kind in found()]
    assert len(set(names)) == len(names)
    assert all(hasattr(CandidateSettings(), name) for name in names)


def test_candidates_come_best_first_without_repeats(source: TrainedSource) -> None:
    best = source.candidates(asked(1, 2, 5), 15)
    assert len(set(best.positions.tolist())) == len(best.positions) == len(best.scores)
    assert (np.diff(best.scores) <= 1e-6).all()
    assert best.positions.dtype == np.int32
    assert best.scores.dtype == np.float32
    assert np.isfinite(best.scores).all()


@pytest.mark.parametrize("limit", [0, 1, 3, 1_000])
def test_the_limit_holds_and_cuts_the_same_list(source: TrainedSource, limit: int) -> None:
    some = source.candidates(asked(1, 2, 5), limit)
    everything = source.candidates(asked(1, 2, 5), 2_000)
    assert len(some.positions) == min(limit, len(everything.positions))
    assert some.positions.tolist() == everything.positions[:limit].tolist()


def test_scoring_given_items_agrees_with_proposing_them(source: TrainedSource) -> None:
    best = source.candidates(asked(1, 2, 5), 15)
    np.testing.assert_allclose(
        source.score(asked(1, 2, 5), best.positions), best.scores, rtol=1e-4, atol=1e-6
    )


def test_items_beyond_the_model_are_ignored_in_the_past_and_score_nothing(source: TrainedSource) -> None:
    beyond = np.array([40, 41, 999], np.int32)
    assert source.score(asked(1, 2), beyond).tolist() == [0, 0, 0]
    with_new = source.candidates(asked(40, 1, 999, 2, 41), 10)
    without = source.candidates(asked(1, 2), 10)
    assert with_new.positions.tolist() == without.positions.tolist()
    assert not source.signals(asked(1, 2), beyond).any() or source.name == "popular"


def test_what_is_not_allowed_is_not_proposed(source: TrainedSource) -> None:
    allowed = np.zeros(45, np.bool_)
    allowed[10:30] = True
    assert set(
        source.candidates(
            asked(1, 2, 5),
            40,
        ).positions.tolist()
    ) <= set(range(40))
    assert set(source.candidates(asked(1, 2, 5, allowed=allowed), 40).positions.tolist()) <= set(
        range(10, 30)
    )


def test_nobody_gets_nothing_or_what_is_popular(source: TrainedSource) -> None:
    query = query_from([], [], [], [], now_s=0.0)
    best = source.candidates(query, 10)
    assert (len(best.positions) > 0) == (source.name == "popular")
    assert source.score(query, np.arange(3, dtype=np.int32)).shape == (3,)
    assert source.signals(query, np.arange(3, dtype=np.int32)).shape == (3, len(source.signal_names))


def test_no_positions_give_no_scores(source: TrainedSource) -> None:
    none = np.empty(0, np.int32)
    assert source.score(asked(1, 2), none).shape == (0,)
    assert source.signals(asked(1, 2), none).shape == (0, len(source.signal_names))


def test_signals_are_finite_and_one_row_per_position(source: TrainedSource) -> None:
    signals = source.signals(asked(1, 2, 5), np.arange(40, dtype=np.int32))
    assert signals.shape == (40, len(source.signal_names))
    assert np.isfinite(signals).all()


def test_its_arrays_are_the_whole_of_it(source: TrainedSource) -> None:
    arrays = source.arrays()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())
    again = type(source).from_arrays(arrays)
    every = np.arange(40, dtype=np.int32)
    for items in ((1, 2, 5), (30,), (0, 0, 0)):
        ours, theirs = source.candidates(asked(*items), 20), again.candidates(asked(*items), 20)
        assert ours.positions.tolist() == theirs.positions.tolist()
        np.testing.assert_array_equal(source.score(asked(*items), every), again.score(asked(*items), every))
        np.testing.assert_array_equal(
            source.signals(asked(*items), every), again.signals(asked(*items), every)
        )


def test_a_missing_array_is_named(source: TrainedSource) -> None:
    for name in source.arrays():
        if name != "graph":  # the FAISS graph is optional: small catalogs have none
            rest = {other: array for other, array in source.arrays().items() if other != name}
            with pytest.raises(KeyError, match=name):
                type(source).from_arrays(rest)


def test_threads_do_not_disturb_each_other(source: TrainedSource) -> None:
    pasts = [(n % 40, (n * 7) % 40, (n * 3) % 40) for n in range(60)]
    alone = [source.candidates(asked(*past), 10).positions.tolist() for past in pasts]
    with ThreadPoolExecutor(4) as threads:
        together = list(
            threads.map(lambda past: source.candidates(asked(*past), 10).positions.tolist(), pasts)
        )
    assert alone == together


def test_it_can_be_fitted_on_nothing(
    source: TrainedSource, crowd: Interactions, crowd_items: ItemTable
) -> None:
    from shortlist.training.windows import kept

    nothing = kept(crowd, np.zeros(len(crowd.users), np.bool_))
    empty = type(source).fit(nothing, crowd_items, SETTINGS)
    best = empty.candidates(query_from([1, 2], [1.0, 2.0], [1, 1], [0, 0], now_s=3.0), 5)
    if source.name not in ("content", "item_to_item", "again"):  # words are known, and the user's own past
        assert len(best.positions) == 0
