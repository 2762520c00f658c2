"""What is kept of a slate so that it can be made again."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.conftest import Shop, run

from shortlist.catalog.rule import Rule
from shortlist.models.model import Model
from shortlist.serving.inputs import kept_settings, packed, settings_of, unpacked
from shortlist.serving.slate import Ask
from shortlist.settings import ColdStartSettings, RuleSettings, Settings, WeightSettings


@given(st.sets(st.integers(0, 2**31 - 1), max_size=300))
def test_positions_come_back_from_their_text(places: set[int]) -> None:
    positions = np.array(sorted(places), np.int32)
    assert unpacked(packed(positions)).tolist() == positions.tolist()


def test_settings_that_a_slate_depends_on_come_back_under_one_name() -> None:
    ours = Settings(
        rules=RuleSettings(max_per_brand=7),
        coldstart=ColdStartSettings(stages="0 0 0.5"),
        weights=WeightSettings(view=9.0),
    )
    name, text = kept_settings(ours)
    again = settings_of(msgspec.json.decode(text))
    assert (again.rules, again.coldstart, again.weights) == (ours.rules, ours.coldstart, ours.weights)
    assert kept_settings(again) == (name, text)
    assert kept_settings(Settings())[0] != name


def test_a_pool_and_its_slates_say_what_they_were_made_from(shop: Shop, model: Model) -> None:
    rule = Rule(id="r1", action="boost", where="category = Lamps", factor=3.0, contexts=("browsing",))

    async def scene() -> None:
        with shop.serving(model=model, rules=[rule]) as serving:
            shop.change("n1", title="came later", categories=("Lamps",))
            shop.fold("u", "view", "k1")
            await serving.recommend(Ask(user_id="u", exclude=("k2",), request_id="q1"))
            trace = serving.trace("q1")
            assert trace is not None
            pool, read = trace.pool, trace.slate.cut
            assert pool is not None
            assert pool.inputs is not None
            assert read is not None
            inputs = pool.inputs
            assert (inputs.how, inputs.context) == ("miss", "browsing")
            assert inputs.rules == (rule,)
            assert len(unpacked(inputs.candidates)) > 10
            assert inputs.settings == kept_settings(shop.settings)[0]
            assert trace.settings["cache"] == {"pool": 100}
            assert read.user == pool.user_version > 0
            assert (read.catalog, read.exclude) == (2, ("k2",))
            assert (read.rules, read.model, read.world) == (None, None, None), "the pool says which"

    run(scene)


def test_what_is_too_much_to_keep_is_named(shop: Shop, model: Model) -> None:
    items, plans = (", ".join(f"{name}{n}" for n in range(2_300)) for name in "xp")
    long = Rule(id="r2", action="hide", where=f"item_id in ({items})", users=f"not plan in ({plans})")

    async def scene() -> None:
        with shop.serving(model=model, rules=[long]) as serving:
            slate = await serving.recommend(
                Ask(user_id="u", exclude=tuple(f"x{n}" for n in range(201)), request_id="q")
            )
            trace = serving.trace(slate.request_id)
            assert trace is not None
            assert trace.pool is not None
            assert trace.pool.inputs is not None
            assert trace.slate.cut is not None
            assert trace.pool.inputs.gone == ("rules",)
            assert trace.slate.cut.gone == ("rules", "exclude")

    run(scene)
