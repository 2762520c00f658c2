"""What a slate was made in, put together again: the model, the catalog, rules and trends of then."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from shortlist.arrays import BoolArray, IntArray
from shortlist.candidates.source import Candidates, CandidateSource
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.trending import Trending
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.past import CatalogGone, CatalogPast
from shortlist.catalog.rule import Rule
from shortlist.catalog.table import ItemTable
from shortlist.errors import ShortlistError
from shortlist.models.model import Model
from shortlist.models.registry import ModelsError
from shortlist.ranking.chain import Chain
from shortlist.ranking.rules import Rulebook
from shortlist.serving.inputs import Trended
from shortlist.serving.newcomers import bring_new_items
from shortlist.serving.snapshot import NOTHING, Snapshot, limits, snapshot
from shortlist.settings import Settings

MODELS, TABLES = 2, 4  # of then that are kept between replays: a table of 100k items is 10 MB beside today's

Load = Callable[[str], Model]
"""The model of a version. Raises ModelsError where it is gone or damaged."""


class InputGone(ShortlistError):
    """Something that a slate was made from is not there any more."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


@dataclass(frozen=True, slots=True)
class Base:
    """A model with its sources over today's table. is_same: the very snapshot that slates were made from."""

    snapshot: Snapshot
    is_same: bool


class StoredChain(Chain):
    """A chain that scores the candidates of then. `proposed`: those that its sources propose now."""

    stored: IntArray = NOTHING
    proposed: IntArray | None = None

    def _merged(self, found: Mapping[str, Candidates], allowed: BoolArray) -> IntArray:
        self.proposed = super()._merged(found, allowed)
        return self.stored


class Worlds:
    """Puts snapshots of then together. Blocking; one thread at a time."""

    def __init__(self, today: Callable[[], Snapshot], load: Load, catalog: CatalogPast) -> None:
        """today: what serves now."""
        self._today, self._load, self._catalog = today, load, catalog
        self._loaded: OrderedDict[str, Snapshot] = OrderedDict()
        self._tables: OrderedDict[tuple[str, int], ItemTable] = OrderedDict()

    def base(self, version: str, world: str, settings: Settings) -> Base:
        """The model of a version, over today's items. Raises InputGone."""
        today = self._today()
        if today.world == world or (today.model_version == version and version):
            return Base(today, today.world == world)
        known = self._loaded.get(version)
        if known is None:
            try:
                model = self._load(version) if version else None
            except ModelsError as error:
                raise InputGone("model", f"model {version} is gone: {error}") from None
            items = [item for item in today.table.items if item is not None]
            order = model.item_ids if model is not None else ()
            table = ItemTable(items, today.table.version, order)
            known = snapshot(model, table, None, settings.candidates)
            bring_new_items(known)
            self._loaded[version] = known
            if len(self._loaded) > MODELS:
                self._loaded.popitem(last=False)
        return Base(known, False)

    def table(self, base: Base, version: int) -> ItemTable:
        """The catalog at a version, in the positions of the base. Raises InputGone."""
        key = base.snapshot.world, version
        known = self._tables.get(key)
        if known is None:
            now, model = base.snapshot.table, base.snapshot.model
            try:
                then = self._catalog.since(version, now.version)
            except CatalogGone as error:
                raise InputGone("catalog", str(error)) from None
            learned = len(model.item_ids) if model is not None else 0  # their places were always theirs
            known = now.as_of(
                version, then.items, [new for new in then.unknown if now.position(new) >= learned]
            )
            self._tables[key] = known
            if len(self._tables) > TABLES:
                self._tables.popitem(last=False)
        return known

    def snapshot(
        self,
        base: Base,
        version: int,
        settings: Settings,
        rules: Sequence[Rule],
        trends: Trended | None,
        now_ms: int,
    ) -> Snapshot:
        """The snapshot of then; its chain scores what its sources propose. version: of the catalog.

        rules: those that applied; they do again, whoever asks and whenever. Raises InputGone."""
        table, model = self.table(base, version), base.snapshot.model
        book = Rulebook(table, [_always(rule) for rule in rules], lambda: now_ms)
        chain = None
        if model is not None:
            over: dict[str, TrainedSource] = {
                name: source.over(table) if isinstance(source, VectorSource) else source
                for name, source in model.sources.items()
            }
            model = replace(model, sources=over)
            sources: list[CandidateSource] = list(over.values())
            if trends is not None and settings.candidates.trending > 0:
                sources.append(Trending(trends, table))
            of = settings.candidates
            chain = StoredChain(sources, limits(of), model.ranker, model.blend, of.pool, model.codes)
        return replace(
            base.snapshot,
            table=table,
            model=model,
            chain=chain,
            trends=trends,
            rulebook=book,
            popular_lists={},
        )


def _always(rule: Rule) -> Rule:
    """The rule as it applied: when, to whom and where was decided then."""
    return msgspec.structs.replace(
        rule, contexts=(), categories=(), users="", start=None, end=None, enabled=True
    )
