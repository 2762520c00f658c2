from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.arrays import Arrays
from shortlist.retrieval.index import VectorIndex
from shortlist.retrieval.saved import IndexCorrupt, load, save


def made() -> Arrays:
    vectors = np.random.default_rng(1).standard_normal((300, 7)).astype(np.float32)
    graph = VectorIndex.over(vectors, threads=1, exact_below=100).arrays()
    return {**graph, "ids": np.frombuffer(b'["a"]', np.uint8), "none": np.empty((0, 3), np.float32)}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    arrays = made()
    save(tmp_path / "sub" / "i.index", "model 1", arrays)
    key, again = load(tmp_path / "sub" / "i.index")
    assert key == "model 1"
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)
    asked = arrays["vectors"][3].astype(np.float32)
    found = VectorIndex.from_arrays(again).search(asked, 5)[0]
    assert found.tolist() == VectorIndex.from_arrays(arrays).search(asked, 5)[0].tolist()


def test_a_new_file_replaces_the_old_while_the_old_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "i.index"
    save(path, "old", {"x": np.arange(1_000)})
    _, old = load(path)
    save(path, "new", {"x": np.arange(5)})
    assert old["x"].sum() == 499_500
    assert load(path)[0] == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["i.index"]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, where: float, flip: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.index"
    save(path, "key", {"x": np.arange(100, dtype=np.float32)})
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= flip
    path.write_bytes(data)
    with pytest.raises(IndexCorrupt):
        load(path)


@given(st.integers(0, 700))
@settings(max_examples=30, deadline=None)
def test_a_file_that_was_cut_short_is_noticed(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "short.index"
    save(path, "key", {"x": np.arange(200, dtype=np.float32)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(IndexCorrupt):
        load(path)


def test_no_file_is_no_corrupt_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.index")
