"""Synthetic catalogs with everything fitted on them, in this process: to measure serving without HTTP."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.database import open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.interactions import Interactions
from shortlist.events.log import EVENTS, ITEMS, SERVED, Stored
from shortlist.events.log_rocksdb import RocksLog
from shortlist.events.partition import partition_of
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.models import artifacts
from shortlist.models.artifacts import Artifact
from shortlist.models.load import load_model
from shortlist.models.model import Model
from shortlist.models.registry import ModelCorrupt
from shortlist.ranking.blend import untrained
from shortlist.ranking.chain import Chain
from shortlist.ranking.features import feature_names
from shortlist.ranking.scorer import Calibration
from shortlist.ranking.scorer_onnx import OnnxScorer
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.serving import Serving, clock_ms
from shortlist.settings import Settings
from shortlist.training.fit import Options, encoded, fit_sources, fit_tfidf, limits
from shortlist.training.ground import Ground
from shortlist.training.order import most_taken_first
from shortlist.training.ranker import FittedRanker, sized
from shortlist.training.rows import Seen, rows_of
from shortlist.training.windows import windows

FOLDER = Path(__file__).parents[1] / ".bench"
CATEGORIES, BRANDS, TREES, CASES = 100, 300, 100, 200
NOW_S = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """A catalog, its model, and users whose past is folded."""

    serving: Serving
    model: Model
    table: ItemTable
    users: list[str]


def items_of(size: int) -> list[Item]:
    """Items with everything that rules and cards read; titles of words that the category shares."""
    rng = np.random.default_rng(1)
    words = rng.integers(0, 60, (size, 4))
    return [
        Item(
            item_id=f"item-{n}",
            title=" ".join(f"w{n % CATEGORIES}x{word}" for word in words[n]),
            categories=(f"category {n % CATEGORIES}",),
            brand=f"brand {n * 7 % BRANDS}",
            price=float(5 + n % 90),
            currency="EUR",
            margin=0.1 + (n % 7) / 20,
            stock=10,
        )
        for n in range(size)
    ]


def interactions(size: int, users: int, each: int, seed: int = 2) -> Interactions:
    """People with three favourite categories and the popularity of a real shop (Zipf), in order of time."""
    rng = np.random.default_rng(seed)
    n = users * each
    user = np.repeat(np.arange(users, dtype=np.int32), each)
    favourites = rng.integers(0, CATEGORIES, (users, 3))
    category = favourites[user, rng.integers(0, 3, n)]
    rank = np.minimum(rng.zipf(1.3, n) - 1, size // CATEGORIES - 1)
    item = (rank * CATEGORIES + category).astype(np.int32)
    ts = NOW_S - rng.random(users)[user] * 60 * 86_400 - (each - np.tile(np.arange(each), users)) * 60.0
    order = np.argsort(ts, kind="stable")
    return Interactions(
        users=user[order],
        items=item[order],
        ts_s=ts[order],
        weights=np.ones(n, np.float32),
        sessions=np.zeros(n, np.int32),
        purchases=rng.random(n) < 0.05,
        user_ids=[f"u{number}" for number in range(users)],
        item_ids=[f"item-{number}" for number in range(size)],
    )


def fitted_model(size: int) -> Model:
    """All sources and a ranker of `TREES` trees; kept in .bench, since fitting takes minutes."""
    folder = FOLDER / f"model-{size}"
    try:
        is_usable = load_model(folder, "1", OnnxScorer).encoder is not None
    except ModelCorrupt:
        is_usable = False
    if not is_usable:  # none yet, or one of other code
        shutil.rmtree(folder, ignore_errors=True)
    data, table = interactions(size, min(size, 15_000), 20), ItemTable(items_of(size), 1)
    data, table = most_taken_first(data, table)  # as training does
    if not (folder / artifacts.MANIFEST).exists():
        began = time.perf_counter()
        print(f"fitting a model of {size} items (once)", file=sys.stderr)
        options = Options(regularization=30.0, confidence=10.0, graph=True)
        training = Settings().training
        encoder, texts = encoded(table, size, training, _said, fit_tfidf)
        sources = fit_sources(data, table, training, options, _said, "models", texts)
        _save(folder, data.item_ids, sources, encoder, _ranker(sources, data))
        print(f" fitted in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    model = load_model(folder, "1", OnnxScorer)
    assert model.ranker is not None
    if model.ranker.feature_names != feature_names(list(model.sources.values())):  # the code moved on
        ranker = _ranker(model.sources, data)
        shutil.move(folder, aside := folder.with_suffix(".old"))
        assert model.encoder is not None
        _save(folder, data.item_ids, load_model(aside, "1", OnnxScorer).sources, model.encoder, ranker)
        shutil.rmtree(aside)
        model = load_model(folder, "1", OnnxScorer)
    return model


def _ranker(sources: dict[str, TrainedSource], data: Interactions) -> FittedRanker:
    settings = Settings()
    chain = Chain(
        list(sources.values()), limits(settings.candidates), None, untrained(), settings.candidates.pool
    )
    rows = rows_of(
        chain, windows(data, 7)[1].cases[:CASES], now_s=NOW_S, size=len(data.item_ids),
        seen=Seen(bought=False, viewed=True), negatives=120, seed=7, report=_said, stage="features",
    )  # fmt: skip
    ground = Ground.of(untrained(), chain.feature_names, quiet=0)
    return sized(rows, ground, TREES, Calibration(), threads=1, seed=7)


def _save(
    folder: Path,
    item_ids: list[str],
    sources: dict[str, TrainedSource],
    encoder: Encoder,
    ranker: FittedRanker,
) -> None:
    artifacts.save(
        Artifact(
            trained_ms=int(NOW_S * 1000),
            data_end_s=NOW_S,
            item_ids=item_ids,
            sources={name: source.arrays() for name, source in sources.items()},
            encoder=encoder.arrays(),
            ranker=ranker.onnx,
            ranker_info={
                "feature_names": ranker.feature_names,
                "calibration": msgspec.to_builtins(ranker.calibration),
            },
            blend=msgspec.to_builtins(untrained()),
        ),
        folder,
    )


def _said(stage: str, done: float) -> None:
    print(f"\r{stage} {done:4.0%}", end="", file=sys.stderr)


@contextmanager
def shop(size: int, users: int, settings: Settings) -> Iterator[Fitted]:
    """A running `Serving` over a catalog of `size`, with `users` whose pasts are 5 to 200 long."""
    model = fitted_model(size)
    table = ItemTable(items_of(size), 1, order=model.item_ids)
    with TemporaryDirectory() as folder:
        database = open_database(Home(Path(folder)))
        log = RocksLog(database, {EVENTS: 16, SERVED: 8, ITEMS: 1})
        features = RocksFeatures(database, user_view(settings), partitions=16, dedup_window=10_000)
        names = _fold(features, size, users)
        serving = Serving(
            settings=settings,
            features=features,
            cache=MemorySlateCache(settings.cache, clock_ms),
            log=log,
            table=table,
            trends=_Trends([f"item-{n * 13 % size}" for n in range(200)]),
            model=model,
        )
        try:
            yield Fitted(serving, model, table, names)
        finally:
            serving.close()
            log.close()
            database.close()


class _Trends:
    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        self.by_id = {item_id: float(len(ids) - n) for n, item_id in enumerate(ids)}

    def top(self, category: str | None, n: int) -> list[str]:
        return self.ids[:n]

    def weights(self) -> dict[str, float]:
        return self.by_id


def _fold(features: RocksFeatures, size: int, users: int) -> list[str]:
    rng = np.random.default_rng(3)
    names = [f"user-{number}" for number in range(users)]
    for user_id in names:
        favourites = rng.integers(0, CATEGORIES, 3)
        length = int(rng.choice([5, 10, 20, 50, 100, 200]))
        partition = partition_of(user_id, 16)
        offset = features.offset(partition)
        batch = []
        for step in range(length):
            rank = min(int(rng.zipf(1.3)) - 1, size // CATEGORIES - 1)
            item = rank * CATEGORIES + int(rng.choice(favourites))
            event = Event(
                event_id=f"{user_id}-{step}",
                user_id=user_id,
                type=EventType.PURCHASE if rng.random() < 0.05 else EventType.VIEW,
                item_id=f"item-{item}",
                ts=int((NOW_S - (length - step) * 3600) * 1000),
                category=f"category {item % CATEGORIES}",
            )
            batch.append(Stored(partition, offset + step, clock_ms(), encode(event)))
        features.fold(partition, batch, expect=offset, next_offset=offset + length)
    return names
