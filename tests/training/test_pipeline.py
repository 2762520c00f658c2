"""One run of the pipeline: a new version serves, or nothing changed."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import Attributes
from shortlist.models import pointer
from shortlist.models.artifacts import load
from shortlist.models.registry import ModelRegistry, ModelsError, ModelVersion
from shortlist.progress import silent
from shortlist.settings import Settings, TrainingSettings
from shortlist.training.pipeline import TooLittleHistory, TrainingRuns, train, training_alone
from tests.training.conftest import Shop

ITEMS = ["a", "b", "c", "never seen"]


class FolderRegistry(ModelRegistry):
    """Versions as folders alone: the contract's least, for these tests (MLflow has its own)."""

    def __init__(self, models: Path, *, is_full: bool = False) -> None:
        self.models, self.is_full = models, is_full

    def register(self, artifacts: Path, metrics: dict[str, float], params: dict[str, str]) -> ModelVersion:
        if self.is_full:
            raise ModelsError("no space left")
        version = str(len(self.versions()) + 1)
        folder = self.models / "versions" / version
        folder.parent.mkdir(exist_ok=True)
        artifacts.rename(folder)
        return ModelVersion(version, str(folder), 0, metrics, params, is_serving=False)

    def promote(self, version: str) -> ModelVersion:
        pointer.write(self.models, pointer.Pointer(version, f"versions/{version}"))
        return ModelVersion(version, "", 0, {}, {}, is_serving=True)

    def rollback(self) -> ModelVersion:
        raise NotImplementedError

    def versions(self) -> list[ModelVersion]:
        folders = (self.models / "versions").glob("*")
        return [ModelVersion(f.name, str(f), 0, {}, {}, is_serving=False) for f in folders]


def table() -> ItemTable:
    return ItemTable([Item(item_id=i) for i in ITEMS], 1)


def run(shop: Shop, models: Path, *, is_full: bool = False):  # type: ignore[no-untyped-def]
    settings = Settings(training=TrainingSettings(factors=8, content_dim=8, threads=1))
    registry = FolderRegistry(models, is_full=is_full)
    return train(shop.log, table(), lambda: registry, models, settings, silent, lambda: 1_800_000_000_000)


def busy(shop: Shop) -> None:
    """Seven people look at up to three items, one time after another."""
    for user in range(7):
        for step in range(1 + user % 3):
            shop.did(f"u{user}", "view", "abc"[(user + step) % 3], ts=shop.now_ms + step * 60_000)


def test_a_run_puts_a_whole_version_to_work(shop: Shop, tmp_path: Path) -> None:
    busy(shop)
    shop.did("u0", "view", "not in the catalog")

    trained = run(shop, tmp_path / "models")

    named = pointer.read(tmp_path / "models")
    assert named is not None
    stored = load(tmp_path / "models" / named.path)
    assert stored.item_ids == ITEMS
    assert stored.trained_ms == 1_800_000_000_000
    assert stored.data_end_s == trained.data_end_ms / 1000 == (shop.now_ms + 120_000) / 1000
    assert {"als", "popular", "transitions"} <= set(stored.sources)
    assert (trained.events, trained.unknown, trained.interactions) == (14, 1, 13)
    assert (trained.users, trained.items) == (7, 4)
    assert stored.params["data.interactions"] == "13"


def test_a_registry_that_fails_leaves_what_served(shop: Shop, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    before = pointer.Pointer("1", "versions/1")
    pointer.write(models, before)
    busy(shop)

    with pytest.raises(ModelsError, match="no space"):
        run(shop, models, is_full=True)

    assert pointer.read(models) == before
    assert not (models / "staging").exists()


def test_an_empty_log_is_refused_with_what_to_do(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(TooLittleHistory, match="shortlist import"):
        run(shop, tmp_path / "models")


def test_events_that_teach_nothing_are_refused_with_why(shop: Shop, tmp_path: Path) -> None:
    shop.did("u", "impression", "a")
    shop.did("u", "view", "not in the catalog")

    with pytest.raises(TooLittleHistory, match="none of 2 events"):
        run(shop, tmp_path / "models")


def test_attributes_are_asked_for_where_the_settings_name_some(shop: Shop, tmp_path: Path) -> None:
    busy(shop)
    asked: list[str] = []

    def attributes(user_ids: Sequence[str]) -> Mapping[str, Attributes]:
        asked.extend(user_ids)
        return {user: {"plan": "pro"} for user in user_ids}

    for names, plans in (("", []), ("plan", ["pro"])):
        asked.clear()
        training = TrainingSettings(factors=8, content_dim=8, threads=1, user_attributes=names)
        models = tmp_path / (names or "none")
        train(
            shop.log, table(), lambda models=models: FolderRegistry(models), models,  # type: ignore[misc]
            Settings(training=training), silent, lambda: 1_800_000_000_000, attributes=attributes,
        )  # fmt: skip
        named = pointer.read(models)
        assert named is not None
        stored = load(models / named.path)
        assert [code["values"] for code in stored.user_codes] == [plans][: len(plans)]
        assert ("segment" in stored.sources) == bool(plans)
        assert sorted(asked) == ([f"u{user}" for user in range(7)] if plans else [])


def test_one_item_alone_is_refused(shop: Shop, tmp_path: Path) -> None:
    for user in "uvw":
        shop.did(user, "view", "a")

    with pytest.raises(TooLittleHistory, match="one item"):
        run(shop, tmp_path / "models")


def test_two_trainings_of_one_home_do_not_run_at_once(tmp_path: Path) -> None:
    with (
        training_alone(tmp_path),
        pytest.raises(TrainingRuns, match=str(os.getpid())),
        training_alone(tmp_path),
    ):
        pass

    with training_alone(tmp_path):
        pass


def test_a_killed_training_leaves_no_half_version_and_blocks_nobody(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from shortlist.training.pipeline import training_alone; models = Path(sys.argv[1]);"
        "alone = training_alone(models); alone.__enter__();"
        "(models / 'staging' / 'next').mkdir(parents=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert pointer.read(tmp_path) is None
    with training_alone(tmp_path):
        assert not (tmp_path / "staging").exists()
