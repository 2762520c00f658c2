"""New items, and items said to be something else, are found within moments, and after a restart at once."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from tests.serving.conftest import Shop, catalog
from tests.serving.vectors import Counting, with_vectors

from shortlist.catalog.embeddings import Embedding
from shortlist.catalog.item import Item
from shortlist.catalog.rule import Rule
from shortlist.catalog.store import CatalogUnavailable
from shortlist.models.model import Model
from shortlist.serving.newcomers import FILE, Newcomers
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask

LAMP = Item(item_id="lamp", title="Lamp of glass", categories=("Lamps",), brand="brand 1")
KETTLE = Item(item_id="kettle", title="Kettle of glass", categories=("Kettles",), brand="brand 1")


class Kept:
    """Embeddings in a dict, as worker threads see them."""

    def __init__(self) -> None:
        self.by_item: dict[str, tuple[str, Embedding]] = {}
        self.failure: CatalogUnavailable | None = None

    def put(self, encoder: str, made: Sequence[Embedding]) -> None:
        if self.failure is not None:
            raise self.failure
        self.by_item |= {embedding.item_id: (encoder, embedding) for embedding in made}

    def of(self, encoder: str) -> list[Embedding]:
        if self.failure is not None:
            raise self.failure
        return [embedding for name, embedding in self.by_item.values() if name == encoder]


MODEL = with_vectors()


def model_for_a_test() -> tuple[Model, Counting]:
    """The model above with a memory of its own."""
    assert isinstance(MODEL.encoder, Counting)
    encoder = Counting(MODEL.encoder.inner)
    return replace(MODEL, encoder=encoder), encoder


@contextmanager
def running(
    shop: Shop,
    model: Model,
    kept: Kept | None = None,
    folder: Path | None = None,
    *,
    items: Sequence[Item] = (),
    rebuild_at: int = 1_000,
) -> Iterator[tuple[Serving, Newcomers]]:
    """A serving process: made without a model, which then is swapped in, as `running` does."""
    newcomers = Newcomers(kept, folder, rebuild_at=rebuild_at)
    with shop.serving(items=items or catalog(), newcomers=newcomers) as serving:
        serving.swap(model)
        assert newcomers.settle(10)
        yield serving, newcomers


def add(shop: Shop, newcomers: Newcomers, *items: Item) -> None:
    for item in items:
        fields = {name: getattr(item, name) for name in ("title", "categories", "brand")}
        shop.change(item.item_id, **fields)
    assert newcomers.settle(10)


def near(serving: Serving, item_id: str, limit: int = 12) -> list[str]:
    return [found for found, score in asyncio.run(serving.similar(item_id, limit)).items if score > 0]


def test_a_new_item_is_similar_to_what_it_is_like_and_the_other_way_round(shop: Shop) -> None:
    model, _ = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        assert "lamp" in near(serving, "l7")
        assert "lamp" not in near(serving, "k7")
        assert {item[0] for item in near(serving, "lamp", 5)} == {"l"}


def test_other_rules_keep_no_new_item_from_being_found(shop: Shop) -> None:
    model, _ = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        serving.rule([Rule(id="r", action="hide", where="category = Kettles")])
        add(shop, newcomers, LAMP, KETTLE)
        assert "lamp" in near(serving, "l7")
        assert "kettle" not in near(serving, "l7")


def test_a_new_item_is_proposed_to_those_who_like_its_kind(shop: Shop) -> None:
    model, _ = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        for item_id in ("l7", "l8", "l9"):
            shop.fold("anna", "view", item_id)
        for item_id in ("k7", "k8", "k9"):
            shop.fold("ben", "view", item_id)
        snapshot = serving._snapshot
        assert snapshot.model is not None
        for user, wants in (("anna", True), ("ben", False)):
            recommender = serving.recommender
            query = recommender.query(user, recommender.know(user, snapshot))
            for name in ("content", "item_to_item"):
                found = snapshot.model.sources[name].candidates(query, 12)
                assert (serving.table.position("lamp") in found.positions) is wants
        slate = asyncio.run(serving.recommend(Ask(user_id="anna", limit=40)))
        (lamp,) = [item for item in slate.items if item.item_id == "lamp"]
        assert {"content", "item_to_item"} <= set(lamp.sources)


def test_a_past_of_new_items_alone_says_what_somebody_likes(shop: Shop) -> None:
    model, _ = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        shop.fold("anna", "view", "lamp")
        recommender = serving.recommender
        query = recommender.query("anna", recommender.know("anna", serving.snapshot))
        assert serving.model is not None
        found = serving.model.sources["content"].candidates(query, 10)
        assert len(found.positions) == 10
        assert {serving.table.ids[at][0] for at in found.positions.tolist()} == {"l"}


def test_other_words_move_an_item_and_a_price_does_not_cost_an_encoding(shop: Shop) -> None:
    model, encoder = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        shop.change("lamp", price=3.0, stock=2)
        assert newcomers.settle(10)
        assert encoder.encoded == ["lamp"]
        shop.change("lamp", title="Kettle", categories=("Kettles",))
        shop.change("t3", title="Kettle for dolls", categories=("Kettles",))  # an item of the model's own
        assert newcomers.settle(10)
        assert encoder.encoded == ["lamp", "lamp", "t3"]
        assert {"lamp", "t3"} <= set(near(serving, "k7", 20))
        assert not {"lamp", "t3"} & set(near(serving, "l7", 9))


def test_changed_words_do_not_take_from_an_item_what_people_made_of_it(shop: Shop) -> None:
    model, _ = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        before = near(serving, "k0")
        shop.change("k0", title="Something else", categories=("Toys",))
        assert newcomers.settle(10)
        assert near(serving, "k0") == before


def test_a_deleted_item_is_found_nowhere_and_again_once_it_is_back(shop: Shop) -> None:
    model, _ = model_for_a_test()
    with running(shop, model) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        shop.change("lamp", deleted=True)
        assert newcomers.settle(10)
        assert "lamp" not in near(serving, "l7", 40)
        add(shop, newcomers, LAMP)
        assert "lamp" in near(serving, "l7")


def test_after_a_restart_embeddings_are_read_not_made(shop: Shop) -> None:
    kept = Kept()
    model, encoder = model_for_a_test()
    with running(shop, model, kept) as (_, newcomers):
        add(shop, newcomers, LAMP, KETTLE)
    assert encoder.encoded == ["lamp", "kettle"]
    model, encoder = model_for_a_test()
    # While the server was down, the kettle got other words: its embedding is of the old ones.
    changed = [*catalog(), LAMP, structs.replace(KETTLE, title="Toy kettle")]
    with running(shop, model, kept, items=changed) as (serving, _):
        assert encoder.encoded == ["kettle"]
        assert "lamp" in near(serving, "l7")


def test_another_model_brings_another_space_and_knows_the_new_items_in_it(shop: Shop) -> None:
    kept = Kept()
    model, _ = model_for_a_test()
    with running(shop, model, kept) as (serving, newcomers):
        add(shop, newcomers, LAMP, KETTLE)
        # Trained since: the lamp is one of its own, the kettle came too late; and vectors are shorter.
        later = with_vectors("2", [*catalog(), LAMP], dim=8)
        serving.swap(later)
        assert newcomers.settle(10)
        assert isinstance(later.encoder, Counting)
        assert later.encoder.encoded == ["kettle"]
        assert kept.by_item["kettle"][0] == later.encoder.name != model.encoder.name  # type: ignore[union-attr]
        assert "kettle" in near(serving, "k7")
        assert "lamp" in near(serving, "l7")


def test_a_model_without_an_encoder_serves_and_its_new_items_wait(shop: Shop) -> None:
    with running(shop, replace(MODEL, encoder=None)) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        assert "lamp" not in near(serving, "l7", 30)
        assert "lamp" in serving.table.ids


def test_where_embeddings_cannot_be_kept_items_are_found_all_the_same(shop: Shop) -> None:
    kept = Kept()
    kept.failure = CatalogUnavailable("gone")
    model, _ = model_for_a_test()
    with running(shop, model, kept) as (serving, newcomers):
        add(shop, newcomers, LAMP)
        assert "lamp" in near(serving, "l7")


def many(count: int) -> list[Item]:
    """New lamps, whose ids do not sort in the order of their coming."""
    return [
        Item(item_id=f"new{(7 * n) % count}", title=f"Lamp number{n}", categories=("Lamps",))
        for n in range(count)
    ]


@pytest.mark.parametrize("harm", ["", "flipped", "cut", "another model's"])
def test_an_index_that_grew_is_built_again_and_saved_and_a_damaged_file_is_built_anew(
    shop: Shop, tmp_path: Path, harm: str
) -> None:
    kept = Kept()
    model, _ = model_for_a_test()
    with running(shop, model, kept, tmp_path, rebuild_at=5) as (serving, newcomers):
        add(shop, newcomers, *many(10))
        assert serving.model is not None
        index = serving.model.sources["item_to_item"].index  # type: ignore[attr-defined]
        assert len(index.base) > len(model.item_ids)
        assert index.beside < 5
        wanted = near(serving, "l7", 40)
    assert {f"new{n}" for n in range(10)} < set(wanted)
    file = tmp_path / FILE
    if harm == "flipped":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    model, encoder = model_for_a_test()
    if harm == "another model's":
        model = replace(model, trained_ms=model.trained_ms + 1)
    items = [*catalog(), *many(10)]
    with running(shop, model, kept, tmp_path, items=items, rebuild_at=5) as (serving, newcomers):
        assert encoder.encoded == []  # what was made once is stored, whatever became of the file
        assert sorted(near(serving, "l7", 40)) == sorted(wanted)
        assert file.exists()
        add(shop, newcomers, LAMP)
        assert "lamp" in near(serving, "l7")
        for item_id in wanted:
            at = serving.table.position(item_id)
            found = serving.table.items[at]
            assert found is not None
            assert found.item_id == item_id
