"""Everything a slate is computed from that changes as a whole: one model, its table of items, its chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import urandom
from typing import Any

import msgspec
import numpy as np

from shortlist.arrays import IntArray
from shortlist.candidates.als import Als
from shortlist.candidates.attributes import NO_CODES, UserCodes
from shortlist.candidates.popular import Popular
from shortlist.candidates.source import CandidateSource
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.trending import Trending, Trends
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.prepared import Prepared
from shortlist.models.model import Model
from shortlist.ranking.chain import Chain
from shortlist.ranking.rules import Rulebook
from shortlist.retrieval.index import VectorIndex
from shortlist.retrieval.live import LiveIndex
from shortlist.settings import CandidateSettings

FALLBACK = 300  # items of a popular list: a slate of the largest size, with two in three filtered away
TREND = 50  # trending items looked at where nothing better fills a slate up
LISTS = 1_000  # popular lists that are kept, and trending ones

NOTHING: IntArray = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One model with what it needs. Replaced as a whole, so that a request sees one of them throughout.

    rulebook: the operator's rules over the table. model, chain: None before the first training; the model's
    vector sources take new items in. prepared: what new users are served from. indexes: those that take new
    items in. popular_lists, trending_lists: filled as asked, by category code (and length), each with what it
    was made of. world: names it, in records of what was made from it.
    """

    table: ItemTable
    model: Model | None
    chain: Chain | None
    trends: Trends | None
    rulebook: Rulebook
    prepared: Prepared
    indexes: tuple[LiveIndex, ...] = ()
    popular_lists: dict[int, tuple[IntArray, IntArray]] = field(default_factory=dict)
    trending_lists: dict[tuple[int, int], tuple[tuple[Any, Any], IntArray]] = field(default_factory=dict)
    world: str = field(default_factory=lambda: urandom(6).hex())

    @property
    def model_version(self) -> str:
        """The version in stamps and answers; empty without a model."""
        return self.model.version if self.model is not None else ""

    @property
    def vector_changes(self) -> int:
        """How many times items were put into vector indexes since it was made."""
        return sum(index.serial for index in self.indexes)

    @property
    def codes(self) -> UserCodes:
        """Of the users' attributes that the model reads."""
        return self.model.codes if self.model is not None else NO_CODES

    def popular(self, category: int = -1) -> IntArray:
        """Positions of the most popular items, of one category or (-1) overall; servable or not."""
        categories = self.table.category
        made_of, known = self.popular_lists.get(category, (NOTHING, NOTHING))
        if made_of is not categories and (category >= 0 or made_of is NOTHING):
            known = self._popular(category)
            if category in self.popular_lists or len(self.popular_lists) < LISTS:
                self.popular_lists[category] = (categories, known)
        return known

    def trending(self, category: int, limit: int) -> IntArray:
        """Positions of what trends, of one category or (-1) overall; nothing of a category nobody knows."""
        name = self.table.category_name(category)
        if self.trends is None or (name is None and category >= 0):
            return NOTHING
        weights, columns = self.trends.weights(), self.table.columns
        made_of, known = self.trending_lists.get((category, limit), ((None, None), NOTHING))
        if made_of[0] is not weights or made_of[1] is not columns:
            known = self.table.positions(self.trends.top(name, limit))
            if (category, limit) in self.trending_lists or len(self.trending_lists) < LISTS:
                self.trending_lists[category, limit] = (weights, columns), known
        return known

    def _popular(self, category: int) -> IntArray:
        source = self.model.sources.get("popular") if self.model is not None else None
        if not isinstance(source, Popular):
            return NOTHING
        among = self.table.category == category if category >= 0 else None
        return source.top(FALLBACK, among).positions


def snapshot(
    model: Model | None,
    table: ItemTable,
    trends: Trends | None,
    settings: CandidateSettings,
    bases: Mapping[str, VectorIndex] | None = None,
    rulebook: Rulebook | None = None,
) -> Snapshot:
    """Put a snapshot together. Raises ValueError when the ranker does not fit the model's sources.

    bases: by source, its index with items that came after training, where it was built before. rulebook:
    over this very table; None: there are no rules.
    """
    chain, indexes = None, tuple[LiveIndex, ...]()
    if model is not None:
        live: dict[str, TrainedSource] = {
            name: source.live(table, (bases or {}).get(name)) if isinstance(source, VectorSource) else source
            for name, source in model.sources.items()
        }
        model = replace(model, sources=live)
        known = (source.index for source in live.values() if isinstance(source, VectorSource))
        indexes = tuple(index for index in known if isinstance(index, LiveIndex))
        sources: list[CandidateSource] = list(model.sources.values())
        if trends is not None and settings.trending > 0:
            sources.append(Trending(trends, table))
        chain = Chain(sources, limits(settings), model.ranker, model.blend, settings.pool, model.codes)
    return Snapshot(
        table, model, chain, trends, rulebook or Rulebook(table), _prepared(model, table), indexes
    )


def _prepared(model: Model | None, table: ItemTable) -> Prepared:
    sources = model.sources if model is not None else {}
    popular, als = sources.get(Popular.name), sources.get(Als.name)
    return Prepared(
        table,
        popular.for_new if isinstance(popular, Popular) else None,
        als.factors if isinstance(als, Als) else None,
    )


def limits(settings: CandidateSettings) -> Mapping[str, int]:
    """Candidates by source name."""
    values: dict[str, Any] = msgspec.structs.asdict(settings)
    return {name: int(value) for name, value in values.items() if name not in ("deadline_ms", "pool")}
