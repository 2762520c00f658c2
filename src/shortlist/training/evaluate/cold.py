"""How items fare that training has not seen: taken into the live indexes and ranked among all, as serving
does, for the people who took them in the end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from rich.table import Table
from threadpoolctl import threadpool_limits

from shortlist.arrays import Arrays, BoolArray, FloatArray
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.encoder import Encoder, packed
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.progress import Report
from shortlist.ranking.chain import Chain
from shortlist.settings import Settings, TrainingSettings
from shortlist.training.cases import Case, by_user, pasts
from shortlist.training.evaluate.metrics import mean, measure
from shortlist.training.evaluate.run import OpenRanker
from shortlist.training.evaluate.trial import Trial
from shortlist.training.fit import FitEncoder, Fitted, fit, limits
from shortlist.training.held_out import held_out, with_new
from shortlist.training.windows import kept

SHARE = 0.1  # of the items that enough people took: held out
LEAST = 5  # interactions of a held-out item
CUT = 20


class Silent(Encoder):
    """Says nothing of any item: what is left are category and brand in ALS's map."""

    name, dim = "none", 1

    def encode(self, items: Sequence[Item | None]) -> FloatArray:
        """Zeros."""
        return np.zeros((len(items), 1), np.float32)

    def arrays(self) -> Arrays:
        """A name."""
        return {"name": packed(self.name)}


def fit_none(items: Sequence[Item | None], settings: TrainingSettings, report: Report) -> Encoder:
    """No text at all."""
    return Silent()


@dataclass(frozen=True, slots=True)
class ColdTrial:
    """A trial without some of its items.

    data: what is left, of the items of `known`. known: the catalog that training sees. items: the whole one,
    new items at the end. cases: people of `data` and which of the new items they took.
    """

    name: str
    data: Interactions
    known: ItemTable
    items: ItemTable
    cases: list[Case]


class ColdLine(Struct, frozen=True):
    """One method with one encoder.

    recall, ndcg: at 20, new items ranked among all that the user had not. among_new: recall among new items
    alone. share: of list places that new items take.
    """

    data: str
    encoder: str
    method: str
    recall: float
    ndcg: float
    among_new: float
    share: float
    new_items: int
    cases: int
    fit_s: float


def without_some(trial: Trial, seed: int, *, cases: int = 0) -> ColdTrial:
    """Hold out a tenth of the items that at least five interactions have.

    cases: at most so many users, taken evenly; 0: all.
    """
    data, n = trial.data, len(trial.items)
    counts = np.bincount(data.items, minlength=n)
    often = np.flatnonzero(counts >= LEAST)
    cold = np.zeros(n, np.bool_)
    cold[np.random.default_rng(seed).permutation(often)[: max(1, round(SHARE * len(often)))]] = True
    moved = held_out(data, trial.items, cold)
    ids, size = moved.items.ids, moved.size
    known = ItemTable([item for item in moved.items.items[:size] if item], 1, ids[:size])
    left = replace(kept(moved.data, moved.data.items < size), item_ids=ids[:size])
    asked = _cases(left, kept(moved.data, moved.data.items >= size))
    if cases and len(asked) > cases:
        asked = [asked[int(at)] for at in np.linspace(0, len(asked) - 1, cases)]
    return ColdTrial(trial.name, left, known, moved.items, asked)


def measured(
    trial: ColdTrial,
    encoders: Mapping[str, FitEncoder],
    settings: Settings,
    open_ranker: OpenRanker,
    report: Report,
) -> list[ColdLine]:
    """Fit with each encoder, add the new items as a running server does, and rank."""
    lines = []
    for name, fit_encoder in encoders.items():
        began = time.perf_counter()
        fitted = fit(trial.data, trial.known, settings, report, fit_encoder)
        seconds = time.perf_counter() - began
        with threadpool_limits(1, "blas"):  # as serving has it
            lines += _lines(trial, name, fitted, settings, open_ranker, seconds, report)
    return lines


def drawn(lines: Sequence[ColdLine]) -> Table:
    """The figures of one data set for people."""
    first = lines[0]
    title = f"{first.data} · {first.new_items} items absent from training · {first.cases} users"
    table = Table(title=title, title_justify="left")
    for name in ("text", "method"):
        table.add_column(name)
    for name in (f"Recall@{CUT}", f"NDCG@{CUT}", "Recall among new", "share of lists"):
        table.add_column(name, justify="right")
    before = first.encoder
    for line in lines:
        if line.encoder != before:
            table.add_section()
        before = line.encoder
        figures = (line.recall, line.ndcg, line.among_new, line.share)
        table.add_row(line.encoder, line.method, *(f"{value:.3f}" for value in figures))
    return table


def _lines(
    trial: ColdTrial,
    name: str,
    fitted: Fitted,
    settings: Settings,
    open_ranker: OpenRanker,
    seconds: float,
    report: Report,
) -> list[ColdLine]:
    size, whole = len(trial.known), len(trial.items)
    sources = with_new(fitted.sources, trial.items, fitted.encoder.encode(trial.items.items[size:]), size)
    most = limits(settings.candidates)
    ranker = None
    if fitted.ranker is not None:
        ranker = open_ranker(
            fitted.ranker.onnx,
            feature_names=fitted.ranker.feature_names,
            calibration=fitted.ranker.calibration,
            model_version="evaluated",
        )
    blend, chain = (
        Chain(list(sources.values()), most, scorer, fitted.blend, settings.candidates.pool, fitted.codes)
        for scorer in (None, ranker)
    )
    now_s = float(trial.data.ts_s[-1])
    is_new = np.arange(whole) >= size
    methods: list[tuple[str, TrainedSource | Chain]] = [
        (source, sources[source]) for source in ("content", "als", "item_to_item")
    ]
    methods += [("first stage (blend)", blend), ("shortlist, rules off", chain)]
    lines = []
    for number, (method, asked) in enumerate(methods):
        report(f"{trial.name} {name}", number / len(methods))

        def ranked(case: Case, allowed: BoolArray, asked: TrainedSource | Chain = asked) -> NDArray[np.int32]:
            query = case.query(now_s)
            if isinstance(asked, Chain):
                return asked.rank(query, allowed).positions[:CUT]
            query.allowed = allowed
            return asked.candidates(query, CUT).positions

        figures, among, share = [], [], []
        for case in trial.cases:
            allowed = np.ones(whole, np.bool_)
            allowed[case.items] = False
            found = ranked(case, allowed)
            figures.append(measure(found, case.relevant, (CUT,)))
            share.append(float((found >= size).mean()) if len(found) else 0.0)
            among.append(measure(ranked(case, allowed & is_new), case.relevant, (CUT,)))
        whole_list, new_alone = mean(figures), mean(among)
        lines.append(
            ColdLine(
                data=trial.name,
                encoder=name,
                method=method,
                recall=whole_list[f"Recall@{CUT}"],
                ndcg=whole_list[f"NDCG@{CUT}"],
                among_new=new_alone[f"Recall@{CUT}"],
                share=float(np.mean(share)),
                new_items=whole - size,
                cases=len(trial.cases),
                fit_s=seconds,
            )
        )
    report(f"{trial.name} {name}", 1.0)
    return lines


def _cases(left: Interactions, held: Interactions) -> list[Case]:
    """One case per user who has a past and took new items."""
    ordered, where = by_user(left), pasts(left)
    wanted = by_user(held)
    cases = []
    for user, taken in enumerate(pasts(wanted)):
        past = where[user]
        if taken.stop > taken.start and past.stop > past.start:
            cases.append(
                Case(
                    ordered.items[past],
                    ordered.ts_s[past],
                    ordered.weights[past],
                    ordered.sessions[past],
                    ordered.purchases[past],
                    relevant=np.unique(wanted.items[taken]).astype(np.int32),
                )
            )
    return cases
