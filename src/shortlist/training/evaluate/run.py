"""Run trials: fit as training does; ask every baseline, every stage and the whole chain the same."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np
from msgspec import Struct
from threadpoolctl import threadpool_limits

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.als import Als
from shortlist.candidates.trained import TrainedSource
from shortlist.progress import Report
from shortlist.ranking.chain import Chain
from shortlist.ranking.rerank import rerank
from shortlist.ranking.scorer import Calibration, Scorer
from shortlist.settings import Settings
from shortlist.training.cases import Case
from shortlist.training.evaluate.baselines import baselines
from shortlist.training.evaluate.metrics import mean, measure
from shortlist.training.evaluate.trial import Trial
from shortlist.training.fit import FitEncoder, Fitted, fit, fit_tfidf, limits

Ranking = Callable[[Case], IntArray]
"""A case → positions, best first, at least as many as the largest cut where there are so many."""


class OpenRanker(Protocol):
    """Makes the scorer of a ranker's ONNX bytes."""

    def __call__(
        self, model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
    ) -> Scorer:
        """The scorer."""
        ...


class Line(Struct, frozen=True):
    """One method on one trial. kind: baseline, source, stage or chain. figures: by name ("NDCG@10").
    ms: per case. recall: the share of relevant items that are among the candidates; -1 where not asked."""

    data: str
    protocol: str
    method: str
    kind: str
    figures: dict[str, float]
    ms: float
    cases: int
    recall: float = -1.0


class Result(Struct, frozen=True):
    """All lines of one trial, and how long the fit took."""

    lines: list[Line]
    fit_s: float
    params: dict[str, str]
    metrics: dict[str, float]


def run(
    trials: Sequence[Trial],
    settings: Settings,
    open_ranker: OpenRanker,
    report: Report,
    fit_encoder: FitEncoder = fit_tfidf,
    *,
    cases: int = 0,
) -> list[Result]:
    """Measure trials of one data set; those that share data and rules share a fit.

    cases: ask only so many of each trial's cases, taken evenly; 0: all.
    """
    results = []
    fitted: dict[bool, tuple[Fitted, float]] = {}
    for trial in trials:
        own = _settings_for(trial, settings)
        if trial.repeats not in fitted:
            began = time.perf_counter()
            made = fit(trial.data, trial.items, own, report, fit_encoder, trial.attributes)
            fitted[trial.repeats] = (made, time.perf_counter() - began)
        model, seconds = fitted[trial.repeats]
        with threadpool_limits(1, "blas"):  # as serving has it
            lines = measured(_some(trial, cases), model, own, open_ranker, report)
        results.append(Result(lines, seconds, model.params, model.metrics))
    return results


def measured(
    trial: Trial, fitted: Fitted, settings: Settings, open_ranker: OpenRanker, report: Report
) -> list[Line]:
    """One line per baseline, source, stage and chain."""
    stage = f"{trial.name} {trial.protocol}"
    now_s = float(trial.data.ts_s[-1])
    size = max(trial.cuts)
    sources = list(fitted.sources.values())
    scorer = None
    if fitted.ranker is not None:
        scorer = open_ranker(
            fitted.ranker.onnx,
            feature_names=fitted.ranker.feature_names,
            calibration=fitted.ranker.calibration,
            model_version="evaluated",
        )
    most, pool = limits(settings.candidates), settings.candidates.pool
    whole = Chain(sources, most, scorer, fitted.blend, pool, fitted.codes)
    blend = Chain(sources, most, None, fitted.blend, pool, fitted.codes)
    cases = trial.known(fitted.codes)

    def dense(scores: Callable[[Case], FloatArray]) -> Ranking:
        def ranking(case: Case) -> IntArray:
            values = scores(case)
            if case.among is not None:
                return case.among[np.argsort(-values[case.among], kind="stable")]
            values = np.where(trial.allowed(case), values, -np.inf)
            part = np.argpartition(-values, min(size, len(values) - 1))[:size]
            return part[np.argsort(-values[part], kind="stable")].astype(np.int32)

        return ranking

    def by_source(source: TrainedSource) -> Ranking:
        def ranking(case: Case) -> IntArray:
            query = case.query(now_s)
            if case.among is not None:
                return case.among[np.argsort(-source.score(query, case.among), kind="stable")]
            query.allowed = trial.allowed(case)
            return source.candidates(query, size).positions

        return ranking

    def by_chain(chain: Chain) -> Ranking:
        def ranking(case: Case) -> IntArray:
            query = case.query(now_s)
            if case.among is not None:
                return case.among[np.argsort(-chain.score(query, case.among), kind="stable")]
            return chain.rank(query, trial.allowed(case)).positions

        return ranking

    def with_rules(case: Case) -> IntArray:
        query = case.query(now_s)
        if case.among is not None:
            positions, scores = case.among, whole.score(query, case.among)
        else:
            ranked = whole.rank(query, trial.allowed(case))
            positions, scores = ranked.positions, ranked.scores
        return rerank(positions, scores, trial.items, settings.rules, limit=size)[0]

    als = {
        "regularization": float(fitted.params["als.regularization"]),
        "confidence": float(fitted.params["als.confidence"]),
    }
    methods: list[tuple[str, str, Ranking]] = [
        (method.name, "baseline", dense(method.scores)) for method in baselines(trial, settings.training, als)
    ]
    methods += [(source.name, "source", by_source(source)) for source in sources]
    collaborative = fitted.sources[Als.name]
    if isinstance(collaborative, Als) and not collaborative.index.is_exact:
        methods.append(("als, exact search", "source", by_source(collaborative.exact())))
    methods += [("first stage (blend)", "stage", by_chain(blend))]
    methods += [
        ("shortlist, rules off", "chain", by_chain(whole)),
        ("shortlist, rules on", "chain", with_rules),
    ]
    lines = []
    for number, (name, kind, ranking) in enumerate(methods):
        report(stage, number / len(methods))
        began = time.perf_counter()
        lists = [ranking(case) for case in cases]
        took_ms = (time.perf_counter() - began) / max(len(lists), 1) * 1e3
        figures = mean(
            [measure(ranked, c.relevant, trial.cuts) for ranked, c in zip(lists, trial.cases, strict=True)]
        )
        recall = -1.0
        if kind in ("stage", "chain") and name != "shortlist, rules on" and trial.cases[0].among is None:
            recall = float(
                np.mean([np.isin(c.relevant, r).mean() for r, c in zip(lists, trial.cases, strict=True)])
            )
        lines.append(Line(trial.name, trial.protocol, name, kind, figures, took_ms, len(lists), recall))
    report(stage, 1.0)
    return lines


def _settings_for(trial: Trial, settings: Settings) -> Settings:
    rules = msgspec.structs.replace(settings.rules, repeat_purchases=trial.repeats)
    return msgspec.structs.replace(settings, rules=rules)


def _some(trial: Trial, cases: int) -> Trial:
    if not cases or len(trial.cases) <= cases:
        return trial
    step = len(trial.cases) / cases
    picked = [trial.cases[int(number * step)] for number in range(cases)]
    return Trial(
        trial.name, trial.protocol, trial.data, trial.items, picked, trial.headline, trial.cuts,
        excludes_seen=trial.excludes_seen, repeats=trial.repeats, attributes=trial.attributes,
    )  # fmt: skip
