"""The second stage: LambdaRank on the first stage's scores, its size chosen on a later slice, as ONNX."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from scipy import optimize, special

from shortlist.arrays import FloatArray
from shortlist.ranking.blend import Blend
from shortlist.ranking.scorer import Calibration
from shortlist.training.rows import NEXT, Rows, ndcg

MOST_TREES, PATIENCE = 300, 30
NEGATIVES = 120  # candidates that came to nothing, per case
FEW_CASES = 4_200  # those with shortened pasts included


class FittedRanker(Struct, frozen=True):
    """A ranker at rest: ONNX bytes, the columns it was trained on in order, its calibration and size."""

    onnx: bytes
    feature_names: tuple[str, ...]
    calibration: Calibration
    trees: int


def parameters(rows: Rows, *, threads: int, seed: int) -> dict[str, Any]:
    """LightGBM's parameters; fewer rows per leaf only where there are few rows at all.

    Rate 0.05 and 31 leaves took three times as many trees of twice the size for 1 % NDCG on ml-1m: serving
    pays for each. One thread: LightGBM's threads wait spinning, so that beside a busy server two of them
    took ten times as long as one.
    """
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [20],
        "learning_rate": 0.1,
        "num_leaves": 15,
        "min_data_in_leaf": int(np.clip(len(rows.grades) // 500, 20, 100)),
        "lambdarank_truncation_level": 20,
        "label_gain": [2**grade - 1 for grade in range(NEXT + 1)],
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def trained(
    learn: Rows, later: Rows, names: tuple[str, ...], *, threads: int, seed: int
) -> tuple[FittedRanker, FloatArray]:
    """The ranker of the size that serves the later slice best, and its raw scores there.

    Where there are few cases, the later ones are learned from too, once the size is chosen.
    """
    import lightgbm

    options = parameters(learn, threads=threads, seed=seed)
    train = _dataset(learn, names)
    check = _dataset(later, names, reference=train)
    booster = lightgbm.train(
        options,
        train,
        num_boost_round=MOST_TREES,
        valid_sets=[check],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    trees = int(booster.best_iteration or booster.current_iteration())
    scores = np.asarray(booster.predict(later.features, num_iteration=trees), np.float32)
    calibration = calibrated(scores, later.grades == NEXT)
    if len(learn.groups) < FEW_CASES:
        both = together([learn, thinned(later, seed)])
        return sized(both, names, trees, calibration, threads=threads, seed=seed), scores
    return FittedRanker(to_onnx(booster, len(names), trees), names, calibration, trees), scores


def sized(
    rows: Rows, names: tuple[str, ...], trees: int, calibration: Calibration, *, threads: int, seed: int
) -> FittedRanker:
    """A ranker of so many trees, learned from all of `rows`."""
    import lightgbm

    options = parameters(rows, threads=threads, seed=seed)
    booster = lightgbm.train(options, _dataset(rows, names), num_boost_round=trees)
    return FittedRanker(to_onnx(booster, len(names), trees), names, calibration, trees)


def _dataset(rows: Rows, names: tuple[str, ...], reference: Any = None) -> Any:
    import lightgbm

    # LightGBM refuses some punctuation, and two columns of one name.
    plain = [f"{number}_{re.sub(r'[^0-9A-Za-z]', '_', name)}" for number, name in enumerate(names)]
    return lightgbm.Dataset(
        rows.features, label=rows.grades, group=rows.groups, feature_name=plain, reference=reference
    )


def together(parts: Sequence[Rows]) -> Rows:
    """The cases of all of them."""
    return Rows(
        np.concatenate([rows.features for rows in parts]),
        np.concatenate([rows.grades for rows in parts]),
        np.concatenate([rows.groups for rows in parts]),
        [missed for rows in parts for missed in rows.missed],
    )


def thinned(rows: Rows, seed: int) -> Rows:
    """Cases with something to learn from, at most `NEGATIVES` candidates that came to nothing in each."""
    rng = np.random.default_rng(seed)
    keep = np.zeros(len(rows.grades), np.bool_)
    groups, missed = [], []
    for part, lost in zip(rows.parts(), rows.missed, strict=True):
        good = rows.grades[part] > 0
        if good.any():
            nothing = rng.permutation(np.flatnonzero(~good))[:NEGATIVES]
            keep[part.start + np.r_[np.flatnonzero(good), nothing]] = True
            groups.append(int(good.sum()) + len(nothing))
            missed.append(lost)
    return Rows(rows.features[keep], rows.grades[keep], np.array(groups, np.int32), missed)


def to_onnx(booster: Any, columns: int, trees: int = -1) -> bytes:
    """The first `trees` (-1: all) of a LightGBM booster as ONNX bytes, with one input (rows, columns)."""
    import lightgbm
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=trees))
    model = onnxmltools.convert_lightgbm(
        booster, initial_types=[("features", FloatTensorType([None, columns]))], target_opset=15
    )
    data: bytes = model.SerializeToString()
    return data


def calibrated(scores: FloatArray, came_true: Any) -> Calibration:
    """Platt's two numbers: the logistic curve through scores and whether each came true."""
    if not came_true.any() or came_true.all():
        return Calibration()
    y = came_true.astype(float)
    deviation = float(scores.std()) or 1.0
    x = (scores - scores.mean()) / deviation

    def loss(at: Any) -> tuple[float, Any]:
        z = at[0] * x + at[1]
        p = 1 / (1 + np.exp(-z))
        value = float(np.mean(np.logaddexp(0, z) - y * z))
        return value, np.array([np.mean((p - y) * x), np.mean(p - y)])

    start = np.array([1.0, np.log(y.mean() / (1 - y.mean()))])
    slope, offset = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)]
    ).x
    return Calibration(float(slope / deviation), float(offset - slope * scores.mean() / deviation))


def blended(learn: Rows, later: Rows, names: tuple[str, ...]) -> tuple[Blend, float, dict[str, float]]:
    """The logistic blend of the sources, or the best source alone where it wins on the later slice.

    Returns the blend, its NDCG@20 there, and that of each source alone.
    """
    shares = {
        source: column
        for column, name in enumerate(names)
        if name.endswith(":share") and (source := name.removesuffix(":share")) in names
    }
    columns = list(shares.values())
    weights, bias = _logistic(learn.features[:, columns], learn.grades > 0)
    blend = Blend(dict(zip(shares, weights, strict=True)), bias)
    alone = {name: ndcg(later, later.features[:, column]) for name, column in shares.items()}
    together = later.features[:, columns] @ np.array(weights, np.float32)
    value = ndcg(later, together)
    best = max(alone, key=lambda name: alone[name])
    if alone[best] > value:
        weights, bias = _logistic(learn.features[:, [shares[best]]], learn.grades > 0)
        # What is alike for the best source is ordered by popularity rather than by position.
        return Blend({best: max(weights[0], 1.0), "popular": 0.01}, bias), alone[best], alone
    return blend, value, alone


def _logistic(x: FloatArray, came_true: Any) -> tuple[list[float], float]:
    """Weights ≥ 0 and bias of a logistic regression."""
    step = max(1, len(x) // 200_000)
    x, y = x[::step].astype(float), came_true[::step].astype(float)
    if not y.any():
        return [1.0] * x.shape[1], -4.0

    def loss(at: Any) -> tuple[float, Any]:
        z = x @ at[:-1] + at[-1]
        error = special.expit(z) - y
        value = float(np.mean(np.logaddexp(0, z) - y * z)) + 1e-4 * float(at[:-1] @ at[:-1])
        return value, np.r_[x.T @ error / len(y) + 2e-4 * at[:-1], error.mean()]

    start = np.r_[np.ones(x.shape[1]), -3.0]
    bounds = [(0.0, 20.0)] * x.shape[1] + [(None, None)]
    at = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return [float(w) for w in at[:-1]], float(at[-1])
