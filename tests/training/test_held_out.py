"""Items that are new to the models: nothing of what people did with them is in any feature."""

import numpy as np
import pytest

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.progress import silent
from shortlist.ranking.blend import untrained
from shortlist.ranking.chain import Chain
from shortlist.settings import Settings, TrainingSettings
from shortlist.training import fit as fitting
from shortlist.training.fit import Options, fit, fit_sources, limits
from shortlist.training.held_out import HeldOut, held_out, with_new
from shortlist.training.ranker import trained
from shortlist.training.windows import windows
from tests.training.made import aimless, items, orderly, walks

N_ITEMS, NEW = 200, 20
SETTINGS = Settings(training=TrainingSettings(factors=16, content_dim=8, threads=1))
# What a text, a category and a map from them say; all else is of what people did, or of the user alone.
OF_TEXT = ("als", "content", "item_to_item", "own_", "history", "distinct", "session_length", "last_gap")
OF_USER = ("span_log_s", "bought_items")


@pytest.fixture(scope="module")
def data() -> Interactions:
    return walks(orderly(120, 25, N_ITEMS), n_items=N_ITEMS)


@pytest.fixture(scope="module")
def asked(data: Interactions) -> HeldOut:
    mask = np.zeros(N_ITEMS, np.bool_)
    mask[np.random.default_rng(5).permutation(N_ITEMS)[:NEW]] = True
    return held_out(data, items(N_ITEMS), mask)


def chain_of(asked: HeldOut, seed: int = 1) -> Chain:
    learn = windows(asked.data, seed, asked.size)[0][-1]
    content = fitting.encoded(asked.items, N_ITEMS, SETTINGS.training, silent, fitting.fit_tfidf)[1]
    options = Options(1.0, 40.0, True)
    sources = fit_sources(
        learn.known, asked.items, SETTINGS.training, options, silent, "", content[: asked.size]
    )
    sources = with_new(sources, asked.items, content[asked.size :], asked.size)
    return Chain(list(sources.values()), limits(SETTINGS.candidates), None, untrained(), pool=N_ITEMS)


def test_it_is_the_same_log_in_another_order(data: Interactions, asked: HeldOut) -> None:
    assert asked.size == N_ITEMS - NEW
    assert asked.items.ids == asked.data.item_ids
    assert [data.item_ids[at] for at in asked.order] == asked.data.item_ids
    before = [data.item_ids[item] for item in data.items]
    assert [asked.data.item_ids[item] for item in asked.data.items] == before
    same = held_out(data, items(N_ITEMS), np.zeros(N_ITEMS, np.bool_))
    assert same.size == N_ITEMS
    assert same.data is data


def test_new_items_reach_the_ranker_and_have_no_collaborative_columns(asked: HeldOut) -> None:
    chain, learn = chain_of(asked), windows(asked.data, 1, asked.size)[0][-1]
    met = 0
    for case in learn.cases[:50]:
        query = case.query(learn.now_s)
        found = chain.gathered(query, np.ones(N_ITEMS, np.bool_))
        new = found.positions >= asked.size
        met += int(new.sum())
        table = chain.features(query, found)
        for column, name in enumerate(chain.feature_names):
            if not name.startswith((*OF_TEXT, *OF_USER)) and name.split(":")[0] != "again":
                assert not table[new, column].any(), name
        assert not table[new, chain.feature_names.index("again:repeat_rate")].any()
    assert met > 50


def test_what_people_did_with_new_items_is_in_no_feature(asked: HeldOut) -> None:
    """The same log, and one where all that was done with new items was done with others of them."""
    chain, learn = chain_of(asked), windows(asked.data, 1, asked.size)[0][-1]
    new = asked.data.items >= asked.size
    swapped = asked.data.items.copy()
    swapped[new] = asked.size + (swapped[new] - asked.size + 7) % NEW
    other = HeldOut(
        Interactions(
            asked.data.users, swapped, asked.data.ts_s, asked.data.weights, asked.data.sessions,
            asked.data.purchases, asked.data.user_ids, asked.data.item_ids,
        ),
        asked.items, asked.size, asked.order,
    )  # fmt: skip
    case = next(case for case in learn.cases if (case.items < asked.size).all())
    tables = []
    for one in (chain, chain_of(other)):
        query = case.query(learn.now_s)
        tables.append(one.features(query, one.gathered(query, np.ones(N_ITEMS, np.bool_))))
    np.testing.assert_array_equal(tables[0], tables[1])


def test_the_ranker_meets_new_items_as_often_among_answers_as_among_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nothing can be foreseen, that an item is new must not tell that it is the answer."""
    shares = []

    def looked_at(learned, checked, ground, **rest):  # type: ignore[no-untyped-def]
        names = ground.names
        new = learned.features[:, names.index("again:repeat_rate")] == 0
        new &= learned.features[:, names.index("popular:log_count")] == 0
        shares.append((float(new.mean()), float(new[learned.grades > 0].mean())))
        return trained(learned, checked, ground, **rest)

    monkeypatch.setattr(fitting, "trained", looked_at)
    monkeypatch.setattr(fitting, "NEW_ITEMS", 0.2)
    fit(walks(aimless(200, 30, N_ITEMS), n_items=N_ITEMS), items(N_ITEMS), SETTINGS, silent)
    ((among, answers),) = shares
    assert among > 0.05
    # Some thousand answers: the standard error of a share of 0.2 is below 0.01.
    assert answers == pytest.approx(among, abs=0.04)


def test_nothing_is_held_out_where_nothing_is_said_of_items(data: Interactions) -> None:
    bare = ItemTable([Item(item_id=f"item-{k}") for k in range(N_ITEMS)], 1)
    nothing = np.zeros((N_ITEMS, 8), np.float32)
    assert not fitting._to_be_new(data, bare, nothing, 7).any()
    chosen = fitting._to_be_new(data, items(N_ITEMS), nothing, 7)  # categories say something
    assert chosen.sum() == round(fitting.NEW_ITEMS * N_ITEMS)
    np.testing.assert_array_equal(chosen, fitting._to_be_new(data, items(N_ITEMS), nothing, 7))
