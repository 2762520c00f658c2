"""A model that saw the answer looks brilliant and serves badly: these fail when the future leaks in."""

import numpy as np
import pytest

from shortlist.events.interactions import Interactions
from shortlist.progress import silent
from shortlist.ranking.blend import untrained
from shortlist.ranking.chain import Chain
from shortlist.settings import Settings, TrainingSettings
from shortlist.training.fit import Options, fit_sources, limits
from shortlist.training.rows import Seen, ndcg, rows_of
from shortlist.training.windows import windows
from tests.training.made import aimless, items, walks

N_ITEMS = 300
SETTINGS = Settings(training=TrainingSettings(factors=16, content_dim=8, threads=1))
# Nobody can foresee a random walk: NDCG@20 of guessing among 300 items is about 0.02 (20/300 of hits, at a
# mean discount of 0.35). Twice that is the bound; a model that saw the answers reaches several times as much.
CHANCE = 0.05


def foresight(known: Interactions, data: Interactions) -> float:
    """The best NDCG@20 that any feature alone reaches on what came after the first window."""
    learn = windows(data, seed=1)[0][-1]
    sources = fit_sources(known, items(N_ITEMS), SETTINGS.training, Options(1.0, 40.0, True), silent, "")
    chain = Chain(list(sources.values()), limits(SETTINGS.candidates), None, untrained(), pool=N_ITEMS)
    rows = rows_of(
        chain, learn.cases[:300], now_s=learn.now_s, size=N_ITEMS, seen=Seen(bought=True, viewed=True),
        negatives=None, seed=1, report=silent, stage="",
    )  # fmt: skip
    return max(ndcg(rows, rows.features[:, column]) for column in range(rows.features.shape[1]))


@pytest.mark.parametrize("calendar", [True, False])
def test_nothing_foresees_what_cannot_be_foreseen(calendar: bool) -> None:
    data = walks(aimless(150, 14, N_ITEMS), n_items=N_ITEMS, calendar=calendar)
    learn = windows(data, seed=1)[0][-1]
    assert foresight(learn.known, data) < CHANCE


def test_a_planted_leak_is_seen() -> None:
    data = walks(aimless(150, 14, N_ITEMS), n_items=N_ITEMS)
    assert foresight(data, data) > 2 * CHANCE  # models fitted on everything, the answers included


def test_features_do_not_change_when_the_future_does() -> None:
    """The same past, two futures: what the ranker learns from is the same to the last bit."""
    past = aimless(60, 12, N_ITEMS)
    tables = []
    for seed in (3, 4):
        future = aimless(60, 3, N_ITEMS, seed)
        data = walks(np.concatenate([past, future], axis=1), n_items=N_ITEMS)
        learn = windows(data, seed=1)[0][-1]
        options = Options(1.0, 40.0, True)
        sources = fit_sources(learn.known, items(N_ITEMS), SETTINGS.training, options, silent, "")
        chain = Chain(list(sources.values()), limits(SETTINGS.candidates), None, untrained(), pool=400)
        asked = [case for case in learn.cases if case.ts_s[-1] <= learn.now_s]  # of the common past alone
        case = min(asked, key=lambda case: (len(case.items), case.items.tolist()))
        query = case.query(learn.now_s)
        found = chain.gathered(query, np.ones(N_ITEMS, np.bool_))
        tables.append(chain.features(query, found))
    np.testing.assert_array_equal(tables[0], tables[1])
