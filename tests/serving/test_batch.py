"""A batch writes what the server would answer at that moment."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.conftest import Shop, catalog, ids, run

from shortlist.features.trending import Published
from shortlist.models.model import Model
from shortlist.serving.batch import Batch, Case, Still
from shortlist.serving.slate import Ask

ITEMS = [item.item_id for item in catalog()]
USERS = ("u1", "u2", "u3")
users = st.sampled_from(USERS)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("did"), users, st.sampled_from(["view", "purchase", "dislike"]), st.sampled_from(ITEMS)
        ),
        st.tuples(st.just("answered"), users, st.sampled_from([(), ("Toys",), ("Kettles", "Books")])),
        st.tuples(st.just("saw"), users, st.integers(0, 3)),
    ),
    max_size=12,
)


@given(steps, st.lists(st.sampled_from(ITEMS), max_size=5, unique=True), st.sampled_from([5, 10, 30]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_is_what_is_served(
    shop: Shop, model: Model, plan: Sequence[tuple[str, ...]], trends: list[str], limit: int
) -> None:
    """With survey, fatigue and what trends; new items that are tried out are the server's alone."""
    moment = Published(tuple(trends), {}, {item: 9.0 - n for n, item in enumerate(trends)})

    async def scenario() -> None:
        shop.clear()
        with shop.serving(model=model, trends=Still(moment)) as serving:
            for what, user, *rest in plan:
                if what == "did":
                    shop.fold(user, *rest)
                elif what == "answered":
                    shop.fold(user, "preferences", "", categories=rest[0], ratings={ITEMS[3]: 5.0})
                else:  # in vain, and too often
                    shown = ids(await serving.recommend(Ask(user_id=user)))[int(rest[0])]
                    for _ in range(5):
                        shop.fold(user, "impression", shown)
            batch = Batch(serving.snapshot, shop.settings, limit, now_ms=shop.now)
            for user in (*USERS, "nobody"):
                (features,) = shop.features.read([user], shop.now)
                slate = await serving.recommend(Ask(user_id=user, limit=limit))
                rows = batch.rows(Case(user, features))
                assert [row.item for row in rows] == ids(slate)
                assert [row.reason for row in rows] == [item.reason for item in slate.items]
                assert [row.score for row in rows] == pytest.approx([item.score for item in slate.items])
            past = ["k1", "l2", "unheard of"]
            slate = await serving.recommend_history(past, limit)
            assert [row.item for row in batch.rows(Case("", history=tuple(past)))] == ids(slate)

    run(scenario)


def test_what_must_not_come_gives_its_place_to_the_next_best_and_long_lists_are_filled(
    shop: Shop, model: Model
) -> None:
    async def scenario() -> None:
        shop.use(rules={"max_per_category": 0})
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            (features,) = shop.features.read(["zoe"], shop.now)
            batch = Batch(serving.snapshot, shop.settings, 500, now_ms=shop.now)
            every = [row.item for row in batch.rows(Case("zoe", features))]
            assert sorted(every) == sorted(ITEMS)
            without = serving.table.positions(every[:3])
            rows = batch.rows(Case("zoe", features, without=without))
            assert {row.item for row in rows} == {*every[3:]}
            assert [row.rank for row in rows] == list(range(1, len(ITEMS) - 2))
            among = serving.table.positions([every[5], every[2]])
            ordered = batch.rows(Case("zoe", features, among=among.astype(np.int32)))
            assert [row.item for row in ordered] == [every[2], every[5]]

    run(scenario)


def test_what_trended_is_told_as_of_its_moment() -> None:
    weights: Mapping[str, float] = {"a": 2.0, "b": 1.0}
    trends = Still(Published(("a", "b"), {"Tea": ("b",)}, weights))
    assert (trends.top(None, 1), trends.top("Tea", 5), trends.top("Toys", 5)) == (("a",), ("b",), ())
    assert trends.weights() == weights
