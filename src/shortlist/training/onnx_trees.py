"""LightGBM's trees as ONNX: one operator, written from what LightGBM says of itself."""

from typing import Any

import numpy as np

OPSETS = {"": 15, "ai.onnx.ml": 3}
IR_VERSION = 8  # of those operators: whatever reads models since 2021 reads it


def onnx_trees(booster: Any, columns: int, trees: int = -1) -> Any:
    """An ONNX model of the first `trees` (-1: all) of a LightGBM booster: from "features" (rows, columns) to
    "scores" (rows, 1), their sum.

    Raises ValueError for what a ranker's numbers never make: categories, and a way of their own for NaN or 0.
    """
    from onnx import TensorProto, helper

    of: dict[str, Any] = {
        name: []
        for name in (
            "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes",
            "nodes_truenodeids", "nodes_falsenodeids",
            "target_treeids", "target_nodeids", "target_ids", "target_weights",
        )
    }  # fmt: skip
    for number, tree in enumerate(booster.dump_model(num_iteration=trees)["tree_info"]):
        _grow(of, number, tree["tree_structure"])
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["scores"], domain="ai.onnx.ml",
        n_targets=1, aggregate_function="SUM", post_transform="NONE", **of,
    )  # fmt: skip
    graph = helper.make_graph(
        [ensemble],
        "ranker",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, columns])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _grow(of: dict[str, Any], tree: int, root: dict[str, Any]) -> None:
    """Append a tree's nodes, each before those below it."""
    waiting, known = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        is_leaf = "leaf_value" in node
        if not is_leaf and (node["decision_type"] != "<=" or node["missing_type"] != "None"):
            raise ValueError(
                f"a tree splits by {node['decision_type']!r}, missing {node['missing_type']!r}: "
                f"only numbers, none of them missing, are known here"
            )
        left, right = (0, 0) if is_leaf else (known, known + 1)
        of["nodes_treeids"].append(tree)
        of["nodes_nodeids"].append(number)
        of["nodes_modes"].append("LEAF" if is_leaf else "BRANCH_LEQ")
        of["nodes_featureids"].append(0 if is_leaf else node["split_feature"])
        of["nodes_values"].append(0.0 if is_leaf else _below(node["threshold"]))
        of["nodes_truenodeids"].append(left)
        of["nodes_falsenodeids"].append(right)
        if is_leaf:
            of["target_treeids"].append(tree)
            of["target_nodeids"].append(number)
            of["target_ids"].append(0)
            of["target_weights"].append(float(node["leaf_value"]))
            continue
        known += 2
        waiting += [(left, node["left_child"]), (right, node["right_child"])]


def _below(threshold: float) -> float:
    """The largest 32-bit number that is not above it: for 32-bit features the same question."""
    near = float(np.float32(threshold))  # a float: numpy would compare in 32 bits
    return near if near <= threshold else float(np.nextafter(np.float32(near), np.float32(-np.inf)))
