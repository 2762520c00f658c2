"""Users' attributes from training to the slate: all did the same, only their colour tells them apart."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Shop, ids
from tests.serving.lived import Lived

from shortlist.catalog.engine import open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogUnavailable
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store_sql import SqlUsers
from shortlist.database import Database, open_database
from shortlist.events.interactions import Interactions
from shortlist.features.store import Features, Seen
from shortlist.home import Home
from shortlist.models import artifacts
from shortlist.models.load import load_model
from shortlist.models.model import Model
from shortlist.progress import silent
from shortlist.ranking.features import feature_names
from shortlist.ranking.scorer_onnx import OnnxScorer
from shortlist.serving.attributes import UserAttributes
from shortlist.serving.batch import Batch, Case
from shortlist.serving.effects import ranker_saw
from shortlist.serving.profiles import Profiles
from shortlist.serving.remade import Remade
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask
from shortlist.serving.snapshot import snapshot
from shortlist.serving.why import explain
from shortlist.settings import CandidateSettings, ServingSettings, Settings, TrainingSettings
from shortlist.training.fit import fit
from shortlist.training.pipeline import artifact_of

LIKES = {"red": "l", "blue": "c", "green": "b"}  # what people of a colour take, by the letter of its ids
SHARES = (0.5, 0.3, 0.2)
EACH = 8  # items of a category
USERS = 900


def catalog() -> list[Item]:
    """What everybody looks at first, and eight lamps, chairs and books."""
    goods = [
        Item(item_id=f"{kind[0].lower()}{n}", title=f"{kind[:-1]} {n}", categories=(kind,))
        for kind in ("Lamps", "Chairs", "Books")
        for n in range(EACH)
    ]
    return [Item(item_id="hub", title="Sale", categories=("Sale",)), *goods]


def trained(folder: Path, user_attributes: str) -> Model:
    """The model of people who looked at the sale and then at something of their colour's kind, saved and
    loaded. One in ten has no attributes."""
    rng = np.random.default_rng(1)
    table = ItemTable(catalog(), 1)
    colours = rng.choice(list(LIKES), size=USERS, p=SHARES).tolist()
    firsts = np.array([table.position(f"{LIKES[colour]}0") for colour in colours])
    taken = firsts + rng.integers(EACH, size=USERS)
    sale = np.full(USERS, table.position("hub"))
    users = np.repeat(np.arange(USERS, dtype=np.int32), 2)
    data = Interactions(
        users=users,
        items=np.stack([sale, taken], axis=1).ravel().astype(np.int32),
        ts_s=1.7e9 + 600.0 * users + np.tile([0.0, 60.0], USERS),
        weights=np.ones(2 * USERS, np.float32),
        sessions=users,
        purchases=np.zeros(2 * USERS, np.bool_),
        user_ids=[f"user-{n}" for n in range(USERS)],
        item_ids=table.ids,
    )
    ages = rng.integers(18, 80, size=USERS).tolist()
    attributes = {
        user: {"colour": colour, "age": age}
        for number, (user, colour, age) in enumerate(zip(data.user_ids, colours, ages, strict=True))
        if number % 10
    }
    settings = Settings(
        training=TrainingSettings(factors=8, content_dim=8, threads=1, user_attributes=user_attributes)
    )
    fitted = fit(data, table, settings, silent, attributes=attributes)
    artifacts.save(artifact_of(fitted, data, 1, settings), folder)
    return load_model(folder, "1", OnnxScorer)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    made = trained(tmp_path_factory.mktemp("model") / "m", "colour, age, shoe size")
    assert made.ranker is not None
    return made


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with closing(open_database(Home(tmp_path / "home"))) as database:
        made = Shop(database)
        made.use(rules={"max_per_category": 0, "trending_boost": 0.0})
        yield made
        made.log.close()


def kinds(item_ids: Sequence[str]) -> str:
    """Letters of the first items, but for what everybody looks at."""
    return "".join(sorted({item_id[0] for item_id in item_ids[:EACH] if item_id != "hub"}))


def test_an_attribute_nobody_has_makes_no_column(model: Model) -> None:
    assert model.codes.names == ("colour", "age")
    assert model.ranker is not None
    assert model.ranker.feature_names[-2:] == ("user:colour", "user:age")
    assert {"segment:lift_colour", "segment:lift_age"} < set(model.ranker.feature_names)


def test_without_the_setting_a_ranker_has_the_columns_it_had(tmp_path: Path) -> None:
    plain = trained(tmp_path / "m", "")
    columns = feature_names(list(plain.sources.values()), plain.codes)
    assert not [name for name in columns if name.startswith(("user:", "segment"))]
    assert not len(plain.codes)
    assert "segment" not in plain.sources


def test_the_slate_follows_the_users_attributes(shop: Shop, model: Model, tmp_path: Path) -> None:
    async def scene(serving: Serving, profiles: Profiles, elsewhere: SqlUsers) -> None:
        async def slate() -> str:
            shown = ids(await serving.recommend(Ask(user_id="u")))
            assert serving.instant("u") is not None  # the next is ready, until something changes
            return kinds(shown)

        shop.fold("u", "view", "hub")
        nobody_knows = ids(await serving.recommend(Ask(user_id="u")))
        assert kinds(nobody_knows) != "c"
        for colour in ("blue", "green", "red", "blue"):
            await profiles.put("u", {"colour": colour})
            assert serving.instant("u") is None
            assert await slate() == LIKES[colour]
        await elsewhere.put("u", {"colour": "green"})
        assert await slate() == "c"
        await profiles.follow()
        assert serving.instant("u") is None
        assert await slate() == "b"
        await profiles.delete("u")
        await serving.forget("u")
        assert ids(await serving.recommend(Ask(user_id="u"))) == nobody_knows

    at_work(scene, shop, model, tmp_path)


def test_rank_and_people_without_a_past_follow_them_too(shop: Shop, model: Model, tmp_path: Path) -> None:
    async def scene(serving: Serving, profiles: Profiles, elsewhere: SqlUsers) -> None:
        await profiles.put("new", {"colour": "green", "age": 30})
        assert kinds(ids(await serving.recommend(Ask(user_id="new")))) == "b"
        await profiles.put("u", {"colour": "blue"})
        shop.fold("u", "view", "hub")
        ranked = await serving.rank(["l0", "c0", "b0"], user_id="u")
        assert ranked.items[0].item_id == "c0"

    at_work(scene, shop, model, tmp_path)


def test_batch_and_why_say_what_is_served(shop: Shop, model: Model) -> None:
    now = snapshot(model, ItemTable(catalog(), 1, model.item_ids), None, shop.settings.candidates)
    batch = Batch(now, shop.settings, EACH, now_ms=shop.now)
    sale = np.array([batch.position("hub")], np.int32)
    seen = Features(version=1, interaction_count=1, history=[Seen("hub", "view", shop.now, 1)])
    for colour, letter in LIKES.items():
        for case in (Case("u", seen, without=sale), Case("new", Features())):
            known = replace(case, attributes={"colour": colour})
            assert kinds([row.item for row in batch.rows(known)]) == letter
    served = [row.item for row in batch.rows(Case("u", seen, attributes={"colour": "blue"}))]
    for place, item_id in enumerate(served, start=1):
        said = explain("u", item_id, seen, now, shop.settings, EACH, {"colour": "blue"})
        assert said.place == place
        assert said.features["user:colour"] == model.codes.codes[0].values.index("blue")
    assert not explain("u", served[-1], seen, now, shop.settings, EACH, {"colour": "green"}).place


def test_a_slate_does_without_attributes_that_do_not_come(shop: Shop, model: Model) -> None:
    def late(user_id: str) -> Mapping[str, Any]:
        raise CatalogUnavailable("attributes did not come within 0.03 s")

    async def main() -> None:
        with shop.serving(model=model, items=catalog(), attributes=late) as serving:
            shop.fold("u", "view", "hub")
            slate = await serving.recommend(Ask(user_id="u"))
            assert slate.tier == "fresh"
            assert slate.missing == {"attributes": "late"}

    asyncio.run(main())


def test_a_replay_reads_the_attributes_of_then(model: Model, tmp_path: Path) -> None:
    patient = Settings(
        candidates=CandidateSettings(deadline_ms=5_000.0), serving=ServingSettings(budget_ms=10_000.0)
    )

    async def main(database: Database) -> None:
        shop = Lived(database, patient, {"1": model})
        for item in catalog():
            await shop.change(item.item_id, item)
        theirs: dict[str, Any] = {"colour": "blue", "age": 30.0, "plan": "not learned from"}
        with shop.serving(attributes=lambda user_id: theirs) as serving:
            await shop.happen("u", "view", "hub")
            slate = await serving.recommend(Ask(user_id="u"))
            trace = serving.trace(slate.request_id)
            theirs = {"colour": "red"}
            assert trace is not None
            assert trace.pool is not None
            assert trace.pool.inputs is not None
            assert trace.pool.inputs.attributes == (1.0, 30.0)
            for replayer in (shop.replayer(), shop.replayer(shop.elsewhere())):
                assert replayer.replay(trace).verdict == "equal"
                remade = replayer.remade(trace, replayer.pasts([trace]))
                assert isinstance(remade, Remade)
                (saw, *_) = ranker_saw(remade).values()
                assert (saw["user:colour"], saw["user:age"]) == (1.0, 30.0)

    with closing(open_database(Home(tmp_path / "home"))) as database:
        asyncio.run(main(database))


def at_work(
    scene: Callable[[Serving, Profiles, SqlUsers], Awaitable[None]], shop: Shop, model: Model, tmp_path: Path
) -> None:
    """Run a scene in a serving shop with a store of users; only the ranker asks for attributes."""

    async def main() -> None:
        async with open_engine("sqlite:", tmp_path / "catalog.sqlite") as engine:
            users = SqlUsers(engine)
            attributes = UserAttributes(users, await users.version(), read_s=10.0)
            with shop.serving(model=model, items=catalog(), attributes=attributes) as serving:
                await scene(serving, Profiles(users, attributes, serving), users)

    asyncio.run(main())
