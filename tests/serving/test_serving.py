"""Slates of a small shop: what comes, what must never come, and when it is computed."""

import msgspec
from tests.serving.conftest import Shop, ids, run

from shortlist.models.model import Model
from shortlist.serving.slate import Ask


def test_who_looked_at_kettles_gets_what_others_took_next(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "fresh"
            assert ids(slate)[:2] == ["k2", "k0"]
            assert len(ids(slate)) == 10

    run(scenario)


def test_the_second_answer_comes_from_the_cache_and_is_the_same(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            first = await serving.recommend(Ask(user_id="zoe"))
            assert first.tier == "fresh"
            body = serving.instant("zoe")
            assert body is not None
            answer = msgspec.json.decode(body)
            assert answer["tier"] == "cache"
            assert ids(body) == ids(first)
            assert (await serving.recommend(Ask(user_id="zoe"))).tier == "cache"
            assert answer["model"] == {"version": "1", "age_s": 3600}
            assert answer["features"] == {"version": 1, "interaction_count": 1, "age_ms": 0}

    run(scenario)
