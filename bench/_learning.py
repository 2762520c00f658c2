"""Held-out people of public data, and what each of their first interactions teaches: the measuring part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import msgspec
import numpy as np

from shortlist.app.models import open_ranker
from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.als import Als
from shortlist.candidates.popular import Popular
from shortlist.events.event import Event, EventType
from shortlist.events.interactions import Interactions
from shortlist.features.fold import fold
from shortlist.features.store import Features, FeatureStore
from shortlist.features.view import FeatureView, user_view
from shortlist.models.model import Model
from shortlist.progress import Report
from shortlist.ranking.chain import inline
from shortlist.serving.known import query_of
from shortlist.serving.recommend import Recommender
from shortlist.serving.snapshot import Snapshot, snapshot
from shortlist.settings import RuleSettings, Settings
from shortlist.training.cases import by_user, pasts
from shortlist.training.evaluate.datasets import READERS
from shortlist.training.evaluate.metrics import measure
from shortlist.training.evaluate.trial import Trial
from shortlist.training.fit import Fitted, fit
from shortlist.training.windows import has_calendar, kept

DATA = ("ncf-ml-1m", "online-retail", "yoochoose-100k")
KNOWN = (0, 1, 3, 5, 10)  # interactions after which people are asked for
FIRST = max(KNOWN)
WANTED = 10  # of the different items that come next, the first: the same for every number of interactions
PEOPLE = 1_000  # held out at most where times are positions
LATE = 0.7  # of the events, the newest, in which the new people came
WINDOWS = 6  # of those: each window's people are asked of models that know only what came before them
DAY_MS = 86_400_000
POPULAR = ("of all time", "of late")  # as the source has them
METHODS = (*POPULAR, "ALS fold-in", "shortlist", "shortlist, exploring")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody no model knows. items, ts_s: (n,) the first interactions. wanted: (m,) what came next."""

    items: IntArray
    ts_s: list[float]
    wanted: IntArray


@dataclass(frozen=True, slots=True)
class Newcomers:
    """People who are asked for. known: what the models that they are asked of may know."""

    known: Interactions
    people: list[Person]


Figures = dict[str, FloatArray]
"""(people, len(KNOWN)) NDCG@10 by method."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """By how much shortlist is ahead of another method, per person: mean and half of the 95 % interval."""

    mean: float
    margin: float

    @classmethod
    def of(cls, differences: FloatArray) -> Self:
        """differences: (people,)."""
        return cls(
            float(differences.mean()), float(1.96 * differences.std(ddof=1) / np.sqrt(len(differences)))
        )


@dataclass(frozen=True, slots=True)
class Curve:
    """NDCG@10 by method, and how far shortlist is ahead of the two others, in the order of KNOWN.

    people: how many, in so many windows of time (1 where times are positions)."""

    data: str
    people: int
    windows: int
    lines: dict[str, list[float]]
    of_popular: list[Ahead]
    of_als: list[Ahead]


class _Asked:
    """A feature store that knows one person."""

    def __init__(self) -> None:
        self.features = Features()

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """That person, whoever is asked for."""
        return [self.features]


def newcomers(data: Interactions) -> list[Newcomers]:
    """People whom no model knows, beside what models may know.

    Where times are times: those who came last, in windows of as many people each; models know what everybody
    did before the first of a window came, so that all are asked at much the same distance. Where times are
    positions: people taken evenly, and everybody else. In yoochoose people are sessions.
    """
    found = _people(data)
    if not has_calendar(data):
        users = sorted(found)
        step = max(1.0, len(users) / PEOPLE)
        chosen = [users[int(n * step)] for n in range(min(PEOPLE, len(users)))]
        return [Newcomers(kept(data, ~np.isin(data.users, chosen)), [found[user] for user in chosen])]
    since = np.quantile(data.ts_s, 1 - LATE)
    late = sorted((p for p in found.values() if p.ts_s[0] >= since), key=lambda person: person.ts_s[0])
    parts = [late[len(late) * n // WINDOWS : len(late) * (n + 1) // WINDOWS] for n in range(WINDOWS)]
    return [Newcomers(kept(data, data.ts_s < part[0].ts_s[0]), part) for part in parts if part]


def _people(data: Interactions) -> dict[int, Person]:
    """Everybody of whom enough is known, by code. Wanted is what came at a later time than the last of the
    first interactions, so that the rest of a basket is no question."""
    ordered = by_user(data)
    found: dict[int, Person] = {}
    for user, rows in enumerate(pasts(data)):
        items, ts = ordered.items[rows], ordered.ts_s[rows]
        if len(items) <= FIRST:
            continue
        later = items[FIRST:][ts[FIRST:] > ts[FIRST - 1]]
        _, at = np.unique(later, return_index=True)
        wanted = later[np.sort(at)]
        wanted = wanted[~np.isin(wanted, items[:FIRST])][:WANTED]
        if len(wanted):
            found[user] = Person(items[:FIRST], ts[:FIRST].tolist(), wanted)
    return found


def curve(folder: Path, name: str, report: Report) -> Curve:
    """Fit for each window, then ask for all of its people after each number of interactions."""
    trial = READERS[name](folder / name)[-1 if name == "ncf-ml-1m" else 0]
    settings = Settings(rules=RuleSettings(enabled=False))
    parts: list[Figures] = []
    for asked in newcomers(trial.data):
        fitted = fit(asked.known, trial.items, settings, report)
        model = model_of(fitted, trial, asked.known)
        parts.append(answered(trial, asked.people, model, settings, bool(asked.known.purchases.any())))
    together = {method: np.concatenate([part[method] for part in parts]) for method in parts[0]}
    # The better of all time's and the last weeks'.
    better = max(POPULAR, key=lambda method: together[method].mean())
    lines = {"popularity": together[better]}
    lines |= {method: values for method, values in together.items() if method not in POPULAR}
    return Curve(
        data=trial.name,
        people=len(lines["popularity"]),
        windows=len(parts),
        lines={method: values.mean(axis=0).tolist() for method, values in lines.items()},
        of_popular=_ahead(lines["shortlist"] - lines["popularity"]),
        of_als=_ahead(lines["shortlist"] - lines["ALS fold-in"]),
    )


def model_of(fitted: Fitted, trial: Trial, data: Interactions) -> Model:
    """What was fitted, as it would serve."""
    ranker = None
    if fitted.ranker is not None:
        ranker = open_ranker(
            fitted.ranker.onnx,
            feature_names=fitted.ranker.feature_names,
            calibration=fitted.ranker.calibration,
            model_version="1",
        )
    return Model(
        version="1",
        trained_ms=1,
        data_end_s=float(data.ts_s[-1]),
        item_ids=list(trial.items.ids),
        sources=fitted.sources,
        ranker=ranker,
        blend=fitted.blend,
        metrics={},
        params={},
    )


def answered(
    trial: Trial, people: Sequence[Person], model: Model, settings: Settings, is_purchases: bool
) -> Figures:
    """All methods' figures of these people. Lists hold nothing of the past, whatever the method."""
    shown = snapshot(model, trial.items, None, settings.candidates)
    kind = EventType.PURCHASE if is_purchases else EventType.VIEW
    view = user_view(settings)
    plain = _asker(shown, replace_explores(settings, "off"))
    explored = _asker(shown, replace_explores(settings, "everyone"))
    popular, als = model.sources["popular"], model.sources["als"]
    assert isinstance(popular, Popular)
    assert isinstance(als, Als)
    liked = {
        method: np.argsort(-popular.statistics[row], kind="stable").astype(np.int32)
        for row, method in enumerate(POPULAR)
    }
    figures = {method: np.zeros((len(people), len(KNOWN)), np.float32) for method in METHODS}
    for number, person in enumerate(people):
        for point, known in enumerate(KNOWN):
            features = past_of(person, known, trial, kind, view)
            # Nothing to fold in yet: what most people like stands for it.
            lists = {
                **liked,
                "ALS fold-in": _by_als(als, features, shown, settings) if known else liked[POPULAR[0]],
                "shortlist": plain(features, number),
                "shortlist, exploring": explored(features, number),
            }
            for method, ranked in lists.items():
                top = ranked[: 10 + FIRST]
                top = top[~np.isin(top, person.items[:known])][:10]
                figures[method][number, point] = measure(top, person.wanted, (10,))["NDCG@10"]
    return figures


def past_of(person: Person, known: int, trial: Trial, kind: EventType, view: FeatureView) -> Features:
    """The features after so many interactions."""
    features = Features()
    for n in range(known):
        item = int(person.items[n])
        event = Event(
            event_id=str(n),
            user_id="u",
            type=kind,
            item_id=trial.items.ids[item],
            ts=int(person.ts_s[n] * 1000),
        )
        fold(features, event, offset=n, appended_ms=1, view=view)
    return features


def replace_explores(settings: Settings, explores: str) -> Settings:
    """The settings with whose slates explore."""
    cold = msgspec.structs.replace(settings.coldstart, explores=explores)
    return msgspec.structs.replace(settings, coldstart=cold)


def _asker(shown: Snapshot, settings: Settings) -> Callable[[Features, int], IntArray]:
    """Asks the recommender itself, on the first day of each person."""
    store = _Asked()
    recommender = Recommender(
        cast(FeatureStore, store), settings, lambda: store.features.first_ts + DAY_MS, lambda _: {}
    )

    def ask(features: Features, number: int) -> IntArray:
        store.features = features
        pool, _ = inline(recommender.pool(f"user-{number}", "browsing", "", shown, "trace"))
        return shown.table.positions(item.item_id for item in pool.items)

    return ask


def _by_als(als: Als, features: Features, shown: Snapshot, settings: Settings) -> IntArray:
    user = als.user(query_of(features, shown, settings.weights))
    assert user is not None
    return np.argsort(-(als.factors @ user), kind="stable").astype(np.int32)


def _ahead(differences: FloatArray) -> list[Ahead]:
    """differences: (people, len(KNOWN))."""
    return [Ahead.of(values) for values in differences.T]
