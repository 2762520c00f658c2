"""Artifacts come back as they were saved, or say which file is broken."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shortlist.models.artifacts import Artifact, load, save
from shortlist.models.registry import ModelCorrupt


def an_artifact(**changes: object) -> Artifact:
    fields: dict[str, object] = {
        "trained_ms": 1_700_000_000_000,
        "data_end_s": 1_699_999_999.5,
        "item_ids": ["a", "ünïcode 🎈", 'quo"te', "../up"],
        "sources": {
            "als": {"factors": np.arange(12, dtype=np.float32).reshape(4, 3)},
            "popular": {"counts": np.array([5, 3, 1, 0], np.int64), "empty": np.zeros(0, np.int32)},
        },
        "ranker": b"onnx bytes",
        "ranker_info": {"features": ["als", "pop"], "calibration": [[0.0, 0.1]]},
        "blend": {"weights": {"als": 0.7}},
        "metrics": {"ndcg@10": 0.25},
        "params": {"als.factors": "3"},
    }
    return Artifact(**{**fields, **changes})  # type: ignore[arg-type]  # a test's shorthand


def test_an_artifact_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = an_artifact()

    save(saved, tmp_path / "m")
    loaded = load(tmp_path / "m")

    assert loaded.item_ids == saved.item_ids
    assert (loaded.ranker, loaded.ranker_info, loaded.blend) == (saved.ranker, saved.ranker_info, saved.blend)
    assert (loaded.metrics, loaded.params) == (saved.metrics, saved.params)
    assert (loaded.trained_ms, loaded.data_end_s) == (saved.trained_ms, saved.data_end_s)
    np.testing.assert_array_equal(loaded.sources["als"]["factors"], saved.sources["als"]["factors"])
    assert loaded.sources["popular"]["empty"].shape == (0,)


def test_a_model_without_a_ranker_has_none_after_loading(tmp_path: Path) -> None:
    save(an_artifact(ranker=None), tmp_path / "m")

    assert load(tmp_path / "m").ranker is None


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(
        dtype=st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.bool_, np.uint8]),
        shape=arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    ),
    st.booleans(),
)
def test_any_array_keeps_its_values_type_and_shape(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, transposed: bool
) -> None:
    folder = tmp_path_factory.mktemp("models") / "m"
    array = array.T if transposed else array

    save(an_artifact(sources={"s": {"a": array}}), folder)
    loaded = load(folder).sources["s"]["a"]

    assert loaded.dtype == array.dtype
    assert loaded.shape == array.shape
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize(
    "name", ["als/factors.npy", "popular/counts.npy", "ranker.onnx", "items.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["missing", "one byte changed", "cut short"])
def test_a_broken_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "m"
    save(an_artifact(), folder)
    data = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "cut short":
        (folder / name).write_bytes(data[: len(data) // 2])
    else:
        (folder / name).write_bytes(bytes([data[0] ^ 0xFF]) + data[1:])

    with pytest.raises(ModelCorrupt, match=name.replace(".", r"\.")):
        load(folder)


def test_a_folder_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"manifest\.json is missing"):
        load(tmp_path)


def test_a_manifest_cannot_reach_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    save(an_artifact(), tmp_path / "m")
    manifest = tmp_path / "m" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("als/factors.npy", "../secret"))

    with pytest.raises(ModelCorrupt, match="outside its folder"):
        load(tmp_path / "m")


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    save(an_artifact(), tmp_path / "m")
    manifest = tmp_path / "m" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 99'))

    with pytest.raises(ModelCorrupt, match="format 99"):
        load(tmp_path / "m")


@pytest.mark.parametrize("name", ["../als", "a/b", "", "Als", "a b"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        save(an_artifact(sources={name: {}}), tmp_path / "m")


def test_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        save(an_artifact(sources={"s": {"a": np.array([object()])}}), tmp_path / "m")


def test_a_loaded_array_is_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    save(an_artifact(), tmp_path / "m")

    assert not load(tmp_path / "m").sources["als"]["factors"].flags.writeable
