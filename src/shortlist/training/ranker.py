"""The second stage: LambdaRank that starts from the first stage's blend, its size chosen on a later slice, as
ONNX."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from scipy import optimize

from shortlist.arrays import FloatArray
from shortlist.ranking.blend import Blend
from shortlist.ranking.scorer import Calibration
from shortlist.training.ground import Ground, lead_of
from shortlist.training.onnx_trees import onnx_trees
from shortlist.training.rows import NEXT, Rows, ndcgs

MOST_TREES, PATIENCE = 300, 30
NEGATIVES = 120  # candidates that came to nothing, per case
FEW_CASES = 2_100  # the newest are learned from as well
# LightGBM's rate with enough cases, and with so few that each step must be small: with 500 cases it found
# what .1 did (NDCG@20 of the slice .118 and .115) and hardly depended on the seed.
RATE, LEAST_RATE, ENOUGH_CASES = 0.1, 0.03, 1_500
# A blend's weights are drawn together as if so many cases spoke for it: with 400 to 1,200 cases NDCG@10 .0720
# for people whom no model knew, .0700 with a quarter of that; with thousands it changes nothing.
RIDGE = 100.0


class FittedRanker(Struct, frozen=True):
    """A ranker at rest: ONNX bytes, the columns it was trained on in order, its calibration and size."""

    onnx: bytes
    feature_names: tuple[str, ...]
    calibration: Calibration
    trees: int


def parameters(rows: Rows, *, threads: int, seed: int) -> dict[str, Any]:
    """LightGBM's parameters; fewer rows per leaf, and smaller steps, only where there are few at all.

    Rate 0.05 and 31 leaves took three times as many trees of twice the size for 1 % NDCG on ml-1m: serving
    pays for each. One thread: LightGBM's threads wait spinning, so that beside a busy server two of them
    took ten times as long as one.
    """
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [20],
        "learning_rate": float(np.clip(RATE * len(rows.groups) / ENOUGH_CASES, LEAST_RATE, RATE)),
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
    learn: Rows, later: Rows, ground: Ground, *, new: float, threads: int, seed: int
) -> tuple[FittedRanker, FloatArray]:
    """The ranker of the size that serves the later slice best, and its raw scores there.

    ground: what its trees stand on; its lead is chosen here. new: share of items that are new to the models.
    Where there are few cases, the later ones are learned from too, once the size is chosen.
    """
    import lightgbm

    options = parameters(learn, threads=threads, seed=seed)
    train = _dataset(learn, ground)
    check = _dataset(later, ground, reference=train)
    booster = lightgbm.train(
        options,
        train,
        num_boost_round=MOST_TREES,
        valid_sets=[check],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    trees = int(booster.best_iteration or booster.current_iteration())
    added = np.asarray(booster.predict(later.features, num_iteration=trees), np.float32)
    scores = ground.scores(later.features, added)
    ground = ground.leading(lead_of(later, scores, ground.names, new))
    scores = ground.scores(later.features, added)
    calibration = calibrated(scores, later.grades == NEXT)
    if len(learn.groups) < FEW_CASES:
        both = together([learn, thinned(later, seed)])
        return sized(both, ground, trees, calibration, threads=threads, seed=seed), scores
    onnx = to_onnx(booster, len(ground.names), trees, ground)
    return FittedRanker(onnx, ground.names, calibration, trees), scores


def sized(
    rows: Rows, ground: Ground, trees: int, calibration: Calibration, *, threads: int, seed: int
) -> FittedRanker:
    """A ranker of so many trees on that ground, learned from all of `rows`."""
    import lightgbm

    options = parameters(rows, threads=threads, seed=seed)
    booster = lightgbm.train(options, _dataset(rows, ground), num_boost_round=trees)
    onnx = to_onnx(booster, len(ground.names), trees, ground)
    return FittedRanker(onnx, ground.names, calibration, trees)


def _dataset(rows: Rows, ground: Ground, reference: Any = None) -> Any:
    import lightgbm

    # LightGBM refuses some punctuation, and two columns of one name.
    plain = [f"{number}_{re.sub(r'[^0-9A-Za-z]', '_', name)}" for number, name in enumerate(ground.names)]
    return lightgbm.Dataset(
        rows.features, label=rows.grades, group=rows.groups, init_score=ground.start(rows.features),
        feature_name=plain, reference=reference,
    )  # fmt: skip


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


def to_onnx(booster: Any, columns: int, trees: int = -1, ground: Ground | None = None) -> bytes:
    """The first `trees` (-1: all) of a LightGBM booster as ONNX bytes, with one input (rows, columns).

    ground: what the trees stand on; None: nothing.
    """
    model = onnx_trees(booster, columns, trees)
    if ground is not None:
        ground.onto(model)
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


def blended(
    learn: Rows, later: Rows, names: tuple[str, ...], *, new: float
) -> tuple[Blend, float, dict[str, float]]:
    """The blend of the sources, or the best source alone where it wins on the later slice.

    new: share of items that are new to the models. Returns the blend, its NDCG@20 there, and that of each
    source alone.
    """
    shares = {
        source: column
        for column, name in enumerate(names)
        if name.endswith(":share") and (source := name.removesuffix(":share")) in names
    }
    columns = list(shares.values())
    weights, bias = _listwise(learn, columns)
    blend = Blend(dict(zip(shares, weights, strict=True)), bias)
    alone = {name: ndcgs(later, later.features[:, column]) for name, column in shares.items()}
    together = later.features[:, columns] @ np.array(weights, np.float32)
    blend = replace(blend, new=lead_of(later, together, names, new))
    values = ndcgs(later, together)
    figures = {name: float(of_cases.sum()) / max(len(values), 1) for name, of_cases in alone.items()}
    best = max(figures, key=lambda name: figures[name])
    if _is_ahead(alone[best], values):
        weights, bias = _listwise(learn, [shares[best]])
        # What is alike for the best source is ordered by popularity rather than by position.
        return Blend({best: max(weights[0], 1.0), "popular": 0.01}, bias), figures[best], figures
    return blend, float(values.sum()) / max(len(values), 1), figures


def _is_ahead(one: FloatArray, other: FloatArray) -> bool:
    """Whether the figures of the same cases are better beyond chance, by two standard errors. By any margin
    single sources won slices of 64 and 191 cases of a gift shop, and then served people whom no model knew
    worse (NDCG@10 .055 and .057)."""
    differences = one - other
    return float(differences.sum()) > 2 * float(np.sqrt((differences**2).sum()))


def _listwise(rows: Rows, columns: list[int]) -> tuple[list[float], float]:
    """Weights ≥ 0 of the columns' sum whose softmax over a case's candidates best says which come true
    (ListNet, Cao et al., ICML 2007), and the bias that makes a probability of it.

    Each case counts the same, however much somebody bought: by single candidates (a logistic regression) the
    blend of ml-1m had .148 on the slice instead of .187."""
    x = rows.features[:, columns].astype(float)
    starts = np.cumsum(rows.groups) - rows.groups
    gains = 2.0**rows.grades - 1
    of_case = np.add.reduceat(gains, starts) if len(starts) else np.zeros(0)
    came = of_case > 0
    if not came.any():
        return [1.0] * len(columns), -4.0
    case = np.repeat(came / came.sum(), rows.groups)
    wanted = gains / np.repeat(np.where(came, of_case, 1.0), rows.groups)

    def loss(at: Any, x: Any, ridge: float) -> tuple[float, Any]:
        z = x @ at
        highest = np.maximum.reduceat(z, starts)
        e = np.exp(z - np.repeat(highest, rows.groups))
        sums = np.add.reduceat(e, starts)
        error = case * (e / np.repeat(sums, rows.groups) - wanted)
        value = float((came / came.sum() * (np.log(sums) + highest)).sum() - (case * wanted * z).sum())
        return value + ridge * float(at @ at), x.T @ error + 2 * ridge * at

    def least(x: Any, ridge: float) -> Any:
        bounds = [(0.0, 20.0)] * x.shape[1]
        start = np.ones(x.shape[1])
        return optimize.minimize(loss, start, (x, ridge), jac=True, method="L-BFGS-B", bounds=bounds).x

    at = least(x, RIDGE / float(came.sum()))
    at = at * least((x @ at)[:, None], 0.0)  # drawn together, not down
    offset = calibrated((x @ at).astype(np.float32), rows.grades > 0).offset
    return [float(weight) for weight in at], offset
