"""Trees as ONNX ask what LightGBM asks, and nothing that a ranker's numbers never make."""

from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pytest

from shortlist.training.onnx_trees import onnx_trees

QUIET = {"objective": "regression", "num_leaves": 7, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}


def of(node: dict[str, Any]) -> list[tuple[int, float]]:
    """Column and threshold of each split."""
    if "leaf_value" in node:
        return []
    below = of(node["left_child"]) + of(node["right_child"])
    return [(node["split_feature"], node["threshold"]), *below]


def test_a_feature_at_the_very_threshold_goes_the_same_way() -> None:
    rng = np.random.default_rng(3)
    features = rng.random((400, 3)).astype(np.float32)
    booster = lightgbm.train(
        QUIET, lightgbm.Dataset(features, label=features @ [1, 2, 3]), num_boost_round=12
    )
    splits = [split for tree in booster.dump_model()["tree_info"] for split in of(tree["tree_structure"])]
    asked = np.repeat(features[:1], 2 * len(splits), axis=0)
    for row, (column, threshold) in enumerate(splits):
        near = np.float32(threshold)
        asked[2 * row, column], asked[2 * row + 1, column] = near, np.nextafter(near, np.float32(2))
    session = onnxruntime.InferenceSession(onnx_trees(booster, 3).SerializeToString())
    (scores,) = session.run(None, {"features": asked})
    expected: Any = booster.predict(asked)
    np.testing.assert_allclose(scores.ravel(), expected, atol=1e-5)


def test_a_tree_of_one_leaf_is_its_value() -> None:
    features = np.zeros((40, 2), np.float32)
    booster = lightgbm.train(QUIET, lightgbm.Dataset(features, label=np.ones(40)), num_boost_round=2)
    session = onnxruntime.InferenceSession(onnx_trees(booster, 2).SerializeToString())
    (scores,) = session.run(None, {"features": features[:3]})
    expected: Any = booster.predict(features[:3])
    np.testing.assert_allclose(scores.ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["categories", "missing"])
def test_what_a_ranker_never_learns_from_is_refused(kind: str) -> None:
    rng = np.random.default_rng(4)
    features = rng.integers(0, 4, (400, 1)).astype(float)
    label = (features[:, 0] % 2).astype(float)
    if kind == "missing":
        features[::3] = np.nan
    named = [0] if kind == "categories" else []
    data = lightgbm.Dataset(features, label=label, categorical_feature=named)
    booster = lightgbm.train(QUIET, data, num_boost_round=2)
    with pytest.raises(ValueError, match="only numbers, none of them missing"):
        onnx_trees(booster, 1)
