"""A model comes back from its artifacts with its sources, its blend and its ranker."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from shortlist.arrays import FloatArray
from shortlist.candidates.attributes import Code
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item
from shortlist.models import pointer
from shortlist.models.artifacts import Artifact, save
from shortlist.models.load import load_model, load_serving, source_classes
from shortlist.models.registry import ModelCorrupt, ModelUnknown
from shortlist.ranking.scorer import Calibration, Scorer, ScorerUnavailable


class Recording(Scorer):
    """A scorer that keeps what it was opened with."""

    def __init__(
        self, model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
    ) -> None:
        if model == b"not onnx":
            raise ScorerUnavailable("these bytes are no ranker")
        self.model, self.calibration = model, calibration
        self.feature_names, self.model_version = feature_names, model_version

    def score(self, features: FloatArray, *, timeout_s: float) -> FloatArray:
        return np.zeros(len(features), np.float32)


def stored(**changes: object) -> Artifact:
    fields: dict[str, object] = {
        "trained_ms": 1,
        "data_end_s": 2.0,
        "item_ids": ["a", "b"],
        "sources": {},
        "blend": {"weights": {"als": 2.0}, "bias": -3.0, "default": 0.5},
        "ranker": b"onnx",
        "ranker_info": {"feature_names": ["x", "y"], "calibration": {"slope": 2.0, "offset": 1.0}},
    }
    return Artifact(**{**fields, **changes})  # type: ignore[arg-type]  # a test's shorthand


def test_the_parts_of_a_model_come_back(tmp_path: Path) -> None:
    save(stored(), tmp_path / "m")

    model = load_model(tmp_path / "m", "7", Recording)

    assert (model.version, model.item_ids, model.blend.weights) == ("7", ["a", "b"], {"als": 2.0})
    assert isinstance(model.ranker, Recording)
    assert model.ranker.calibration == Calibration(2.0, 1.0)
    assert (model.ranker.feature_names, model.ranker.model_version) == (("x", "y"), "7")


def test_a_model_without_ranker_has_none(tmp_path: Path) -> None:
    save(stored(ranker=None, ranker_info={}), tmp_path / "m")

    assert load_model(tmp_path / "m", "7", Recording).ranker is None


def test_the_encoder_comes_back_and_encodes_alike(tmp_path: Path) -> None:
    items = [Item(item_id=f"i{n}", title=f"{kind} {n}") for n, kind in enumerate(["cup", "pot"] * 5)]
    encoder = TfidfEncoder.fit(items, 4, seed=7)
    save(stored(encoder=encoder.arrays()), tmp_path / "m")
    save(stored(), tmp_path / "old")

    again = load_model(tmp_path / "m", "7", Recording).encoder

    assert again is not None
    np.testing.assert_array_equal(again.encode(items), encoder.encode(items))
    assert load_model(tmp_path / "old", "7", Recording).encoder is None


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": {"tea_leaves": {}}},
        {"sources": {"popular": {}}},
        {"ranker": b"not onnx"},
        {"ranker_info": {}},
        {"blend": {"weights": "heavy"}},
    ],
    ids=["unknown source", "array missing", "ranker broken", "ranker without notes", "blend malformed"],
)
def test_what_does_not_fit_is_a_corrupt_model(tmp_path: Path, changes: dict[str, object]) -> None:
    save(stored(**changes), tmp_path / "m")

    with pytest.raises(ModelCorrupt, match="does not fit"):
        load_model(tmp_path / "m", "7", Recording)


def test_every_source_of_the_room_is_found_by_its_name() -> None:
    assert {"als", "popular", "transitions"} <= set(source_classes())
    assert all(kind.name == name for name, kind in source_classes().items())


def test_before_the_first_training_nothing_serves(tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown, match="shortlist train"):
        load_serving(tmp_path, Recording)


def test_the_serving_model_is_the_one_pointed_at(tmp_path: Path) -> None:
    save(stored(), tmp_path / "versions" / "7")
    pointer.write(tmp_path, pointer.Pointer("7", "versions/7", []))

    assert load_serving(tmp_path, Recording).version == "7"


def test_the_codes_of_users_attributes_come_back(tmp_path: Path) -> None:
    codes = (
        Code("plan", ("free", "pro"), starts=(0.0, 1.0)),
        Code("age", (), 18.0, 80.0, 17.0, (18.0, 50.0)),
    )
    save(stored(user_codes=msgspec.to_builtins(codes)), tmp_path / "m")
    save(stored(), tmp_path / "without")

    loaded = load_model(tmp_path / "m", "7", Recording).codes

    assert loaded.codes == codes
    row = loaded.row({"plan": "pro", "age": 90})
    assert row is not None
    assert row.tolist() == [1, 80]
    assert not len(load_model(tmp_path / "without", "7", Recording).codes)
