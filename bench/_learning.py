"""Held-out people of public data, and what each of their first interactions teaches: the measuring part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
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
PEOPLE = 500
LATE = 0.3  # of the events, the newest, in which the new people came
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
    """What models may know, and PEOPLE whom they do not know.

    Where times are times: the last who came, and what everybody did before the first of them came. Where they
    are positions: people taken evenly, and everybody else. In yoochoose people are sessions.
    Wanted is what came at a later time than the last of the first interactions, so that the rest of a basket
    is no question.
    """
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
    if has_calendar(data):
        began = {user: found[user].ts_s[0] for user in found}
        chosen = sorted(found, key=lambda user: (began[user], user))[-PEOPLE:]
        chosen = [user for user in chosen if began[user] >= np.quantile(data.ts_s, 1 - LATE)]
        start = min(began[user] for user in chosen)
        keep = (data.ts_s < start) & ~np.isin(data.users, chosen)
    else:
        users = sorted(found)
        step = max(1.0, len(users) / PEOPLE)
        chosen = [users[int(n * step)] for n in range(min(PEOPLE, len(users)))]
        keep = ~np.isin(data.users, chosen)
    return kept(data, keep), [found[user] for user in chosen]


def curve(folder: Path, name: str, report: Report) -> Curve:
    """Fit on everybody else, then ask for every person after each number of interactions."""
    trial = READERS[name](folder / name)[-1 if name == "ncf-ml-1m" else 0]
    data, people = held_out(trial.data)
    settings = Settings(rules=RuleSettings(enabled=False))
    fitted = fit(data, trial.items, settings, report)
    return asked(trial, people, model_of(fitted, trial, data), settings, bool(data.purchases.any()))


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
    # The better of all time's and the last weeks'.
    lists_ = [np.argsort(-popular.statistics[row], kind="stable").astype(np.int32) for row in (0, 1)]
    everything = max(
        lists_, key=lambda ranked: np.mean([measure(ranked[:10], p.wanted, (10,))["NDCG@10"] for p in people])
    )
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


def _error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Half of the 95 % interval of the mean difference, person by person."""
    return float(1.96 * (ours - theirs).std(ddof=1) / np.sqrt(len(ours)))
