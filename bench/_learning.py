"""Held-out people of public data, and what each of their first interactions teaches: the measuring part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from shortlist.app import open_ranker
from shortlist.arrays import IntArray
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
from shortlist.settings import ColdStartSettings, RuleSettings, Settings
from shortlist.training.cases import by_user, pasts
from shortlist.training.evaluate.datasets import READERS
from shortlist.training.evaluate.metrics import measure
from shortlist.training.evaluate.trial import Trial
from shortlist.training.fit import Fitted, fit

DATA = ("ncf-ml-1m", "online-retail", "yoochoose-100k")
KNOWN = (0, 1, 3, 5, 10)  # interactions after which people are asked for
FIRST = max(KNOWN)
WANTED = 10  # of the different items that come next, the first: the same for every number of interactions
PEOPLE = 500
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody no model knows. items, ts_s: (n,) the first interactions. wanted: (m,) what came next."""

    items: IntArray
    ts_s: list[float]
    wanted: IntArray


@dataclass(frozen=True, slots=True)
class Curve:
    """NDCG@10 by method, in the order of KNOWN; people: how many; margin: half of the 95 % interval of the
    difference between shortlist and the better of the two others, per person."""

    data: str
    people: int
    lines: dict[str, list[float]]
    against_popular: list[float]
    against_als: list[float]


class _Asked:
    """A feature store that knows one person."""

    def __init__(self) -> None:
        self.features = Features()

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """That person, whoever is asked for."""
        return [self.features]


def held_out(data: Interactions) -> tuple[Interactions, list[Person]]:
    """Everybody but PEOPLE, taken evenly from those with enough of a past; and those.

    In yoochoose people are sessions."""
    ordered = by_user(data)
    found: dict[int, Person] = {}
    for user, rows in enumerate(pasts(data)):
        items = ordered.items[rows]
        later = items[FIRST:]
        _, at = np.unique(later, return_index=True)
        wanted = later[np.sort(at)]
        wanted = wanted[~np.isin(wanted, items[:FIRST])][:WANTED]
        if len(items) > FIRST and len(wanted):
            found[user] = Person(items[:FIRST], ordered.ts_s[rows][:FIRST].tolist(), wanted)
    users = sorted(found)
    chosen = [users[int(n * len(users) / min(PEOPLE, len(users)))] for n in range(min(PEOPLE, len(users)))]
    keep = ~np.isin(data.users, chosen)
    left = replace(
        data,
        users=data.users[keep],
        items=data.items[keep],
        ts_s=data.ts_s[keep],
        weights=data.weights[keep],
        sessions=data.sessions[keep],
        purchases=data.purchases[keep],
    )
    return left, [found[user] for user in chosen]


def curve(folder: Path, name: str, report: Report) -> Curve:
    """Fit on everybody else, then ask for every person after each number of interactions."""
    trial = READERS[name](folder / name)[-1 if name == "ncf-ml-1m" else 0]
    data, people = held_out(trial.data)
    settings = Settings(rules=RuleSettings(enabled=False))
    fitted = fit(data, trial.items, settings, report)
    return asked(trial, people, model_of(fitted, trial, data), settings, bool(data.purchases.any()))


def model_of(fitted: Fitted, trial: Trial, data: Interactions) -> Model:
    """What was fitted, as it would serve."""
    ranker = fitted.ranker and open_ranker(
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


def asked(
    trial: Trial, people: Sequence[Person], model: Model, settings: Settings, is_purchases: bool
) -> Curve:
    """The curves of all methods over these people. Lists hold nothing of the past, whatever the method."""
    shown = snapshot(model, trial.items, None, settings.candidates)
    kind = EventType.PURCHASE if is_purchases else EventType.VIEW
    view = user_view(settings)
    exploring = replace_explores(settings, "everyone")
    plain = _asker(shown, replace_explores(settings, "off"))
    explored = _asker(shown, exploring)
    popular, als = model.sources["popular"], model.sources["als"]
    assert isinstance(popular, Popular)
    assert isinstance(als, Als)
    everything = np.argsort(-popular.statistics[0], kind="stable").astype(np.int32)
    figures: dict[str, list[list[float]]] = {}

    for number, person in enumerate(people):
        for known in KNOWN:
            features = past_of(person, known, trial, kind, view)
            seen = person.items[:known]
            lists = {
                "popularity": everything,
                "ALS fold-in": _by_als(als, features, shown, settings) if known else everything,
                "shortlist": plain(features, number),
                "shortlist, exploring": explored(features, number),
            }
            for method, ranked in lists.items():
                top = ranked[: 10 + FIRST]
                top = top[~np.isin(top, seen)][:10]
                value = measure(top, person.wanted, (10,))["NDCG@10"]
                figures.setdefault(method, [[] for _ in KNOWN])[KNOWN.index(known)].append(value)
    means = {method: [float(np.mean(v)) for v in rows] for method, rows in figures.items()}
    ours = [np.array(rows) for rows in figures["shortlist"]]
    return Curve(
        data=trial.name,
        people=len(people),
        lines=means,
        against_popular=[_error(a, np.array(b)) for a, b in zip(ours, figures["popularity"], strict=True)],
        against_als=[_error(a, np.array(b)) for a, b in zip(ours, figures["ALS fold-in"], strict=True)],
    )


def past_of(person: Person, known: int, trial: Trial, kind: EventType, view: FeatureView) -> Features:
    """The features after so many interactions."""
    features = Features()
    for n in range(known):
        item = int(person.items[n])
        event = Event(
            event_id=str(n), user_id="u", type=kind, item_id=trial.items.ids[item], ts=int(person.ts_s[n] * 1000)
        )  # fmt: skip
        fold(features, event, offset=n, appended_ms=1, view=view)
    return features


def replace_explores(settings: Settings, explores: str) -> Settings:
    """The settings with whose slates explore."""
    import msgspec

    cold = cast(ColdStartSettings, msgspec.structs.replace(settings.coldstart, explores=explores))
    return cast(Settings, msgspec.structs.replace(settings, coldstart=cold))


def _asker(shown: Snapshot, settings: Settings) -> Callable[[Features, int], IntArray]:
    """Asks the recommender itself, on the first day of each person."""
    store = _Asked()
    recommender = Recommender(
        cast(FeatureStore, store), inline, settings, lambda: store.features.first_ts + DAY_MS, lambda _: {}
    )

    def ask(features: Features, number: int) -> IntArray:
        store.features = features
        pool, _ = recommender.pool(f"user-{number}", "browsing", "", shown, "trace")
        return shown.table.positions(item.item_id for item in pool.items)

    return ask


def _by_als(als: Als, features: Features, shown: Snapshot, settings: Settings) -> IntArray:
    user = als.user(query_of(features, shown, settings.weights))
    assert user is not None
    return np.argsort(-(als.factors @ user), kind="stable").astype(np.int32)


def _error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Half of the 95 % interval of the mean difference, person by person."""
    return float(1.96 * (ours - theirs).std(ddof=1) / np.sqrt(len(ours)))
