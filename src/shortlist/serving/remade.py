"""One slate made again in the world of then, and compared bit for bit with what was served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.arrays import IntArray
from shortlist.candidates.content import Content
from shortlist.catalog.embeddings import digest
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import Drawn, Exploration, Explored, NewItem, drawn
from shortlist.features.fold import expire
from shortlist.features.past import Asked, PastGone
from shortlist.features.store import Features
from shortlist.features.view import FeatureView
from shortlist.ranking.chain import Steps
from shortlist.serving.cache import Pool, PooledItem
from shortlist.serving.explore import placed
from shortlist.serving.inputs import FALLBACK, HISTORY, CutInputs, Inputs, unpacked
from shortlist.serving.known import Known, known_of
from shortlist.serving.pool import Cut, cut
from shortlist.serving.recommend import Recommender, category_code
from shortlist.serving.slate import CATALOG, Ask
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.trace import SlateRecord
from shortlist.serving.world import Base, InputGone, StoredChain, Worlds
from shortlist.settings import ExplorationSettings, Settings

T = TypeVar("T")

Verdict = Literal["equal", "named", "differs"]
EQUAL: Verdict = "equal"
NAMED: Verdict = "named"  # not equal, or not replayed at all, and an input that is gone explains it
DIFFERS: Verdict = "differs"

SHOWN = 20  # places that differ which are told
NAMES = 5  # items that a message names

MOVED = {
    "catalog": "the catalog changed while it was made",
    "vectors": "vectors of items that came or changed were put in while it was made",
    "trends": "what trended changed while it was made",
    "rules": "the operator's rules of then were too long to keep",
    "exclude": "the request left out more items than its record names",
}


class Missing(Struct, frozen=True):
    """An input that is gone: which, and what is known of it."""

    input: str
    why: str


class Place(Struct, frozen=True):
    """One place that is not what it was. Places count from 1; 0: not among them."""

    place: int
    was: str | None
    now: str | None
    was_score: float | None = None
    now_score: float | None = None


class Part(Struct, frozen=True):
    """One step of a replay. items: compared. differences: the first few."""

    verdict: Verdict
    items: int = 0
    differences: list[Place] = []
    missing: list[Missing] = []


class Replay(Struct, frozen=True):
    """What came of a replay. verdict: the worse of pool and slate. candidates: how many were scored again;
    proposed_alike: whether the sources propose the very same today."""

    request_id: str
    verdict: Verdict
    pool: Part
    slate: Part
    candidates: int = 0
    proposed_alike: bool = True
    took_ms: float = 0.0

    @property
    def missing(self) -> list[Missing]:
        """Every input that is gone, once."""
        return list(dict.fromkeys([*self.pool.missing, *self.slate.missing]))


class Past:
    """Features of then, expired as of the time asked for."""

    def __init__(self, pasts: Mapping[Asked, Features | PastGone], view: FeatureView) -> None:
        self._pasts, self._view = pasts, view

    def features(self, user_id: str, version: int, now_ms: int) -> Features:
        """A user's, as a copy. Raises InputGone."""
        found = self._pasts[user_id, version]
        if isinstance(found, PastGone):
            raise InputGone("events", str(found))
        twin = msgspec.convert(msgspec.to_builtins(found), Features)
        expire(twin, now_ms, self._view)
        return twin


@dataclass(frozen=True, slots=True)
class OneUser:
    """Reads the features of then, whoever is asked for; see `recommend.ReadsFeatures`."""

    past: Past
    user_id: str
    version: int

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """The same for each."""
        return [self.past.features(self.user_id, self.version, now_ms) for _ in user_ids]


class _NoBook:
    """A ledger that is not asked."""

    def seen(self, item_id: str, user_id: str) -> int:
        """Never."""
        return 0

    def verdict(self, item_id: str) -> str:
        """None."""
        return ""

    def watch(self, new: object) -> None:
        """Nothing to do."""


class StoredExploration(Exploration):
    """What exploration said of one slate: who competed, and the seed of the draw."""

    def __init__(self, settings: ExplorationSettings, explored: Sequence[Explored]) -> None:
        super().__init__(settings, _NoBook())
        self._explored = explored[0]

    def candidates(self, user_id: str) -> list[NewItem]:
        """Those that competed then."""
        return [NewItem(item_id, 0) for item_id in self._explored.candidates]

    def draw(self, user_id: str, candidates: Sequence[NewItem], places: int) -> list[Drawn]:
        """With the seed of then."""
        return drawn(user_id, candidates, places, self._explored.seed)


@dataclass(frozen=True, slots=True)
class Remade:
    """One slate, its pool, and the world they are made in again. settings: of then, or others."""

    worlds: Worlds
    user_id: str
    slate: SlateRecord
    pool: Pool
    inputs: Inputs
    read: CutInputs
    settings: Settings
    past: Past

    def replay(self) -> Replay:
        """Both steps: the slate is cut from the pool of then, whatever came of the first."""
        pool, candidates, alike = self._pool_part()
        slate = self._slate_part()
        verdicts = {pool.verdict, slate.verdict}
        verdict = DIFFERS if DIFFERS in verdicts else NAMED if NAMED in verdicts else EQUAL
        return Replay(self.slate.request_id, verdict, pool, slate, candidates, alike)

    def pool_world(self) -> tuple[Base, Snapshot]:
        """What the pool was made in; its chain scores the candidates of then. Raises InputGone."""
        pool, inputs = self.pool, self.inputs
        base = self.worlds.base(pool.model_version, inputs.world, self.settings)
        then = self.worlds.snapshot(
            base, pool.catalog_version, self.settings, inputs.rules, inputs.trends, pool.made_ms
        )
        self._give_candidates(then, base)
        return base, then

    def slate_world(self) -> tuple[Base, Known]:
        """What the slate was cut in, and what was known of the user. Raises InputGone."""
        read = self.read
        model = self.pool.model_version if read.model is None else read.model
        base = self.worlds.base(model, read.world or self.inputs.world, self.settings)
        rules = self.inputs.rules if read.rules is None else read.rules
        then = self.worlds.snapshot(base, read.catalog, self.settings, rules, read.trends, read.now_ms)
        features = self.past.features(self.user_id, read.user, read.now_ms)
        return base, known_of(features, then, self.settings.rules)

    def attributes(self, then: Snapshot) -> Mapping[str, Any]:
        """The user's that the model read."""
        return then.codes.attributes(self.inputs.attributes)

    # --- the pool --------------------------------------------------------------------------------------

    def _pool_part(self) -> tuple[Part, int, bool]:
        pool = self.pool
        try:
            base, then = self.pool_world()
            made = self._made(then)
        except InputGone as gone:
            return Part(NAMED, missing=[Missing(gone.name, str(gone))]), 0, True
        stored, proposed = _candidates(then)
        alike = set(stored.tolist()) == set(proposed.tolist())
        is_equal = (made.items, made.tier, made.factors, made.missing) == (
            pool.items,
            pool.tier,
            pool.factors,
            {name: why for name, why in pool.missing.items() if name != "ranker"},
        )
        if is_equal:
            return Part(EQUAL, len(pool.items)), len(stored), alike
        causes = self._pool_causes(base, then, stored)
        part = Part(
            NAMED if causes else DIFFERS, len(pool.items), _differences(pool.items, made.items), causes
        )
        return part, len(stored), alike

    def _made(self, then: Snapshot) -> Pool:
        pool, inputs = self.pool, self.inputs
        if inputs.how == HISTORY:
            raise InputGone("past", "the past that the request brought was not kept, as it promises")
        reader = OneUser(self.past, self.user_id, pool.user_version)
        told = self.attributes(then)
        recommender = Recommender(reader, self.settings, lambda: pool.made_ms, lambda user_id: told)
        missing = {name: why for name, why in pool.missing.items() if name != "ranker"}
        if inputs.how == FALLBACK:
            known = recommender.know(self.user_id, then)
            return recommender.other_pool(
                known, inputs.category, pool.trace_id, missing, context=inputs.context, where=inputs.filter
            )
        steps = recommender.pool(
            self.user_id, inputs.context, inputs.category, then, pool.trace_id, inputs.filter
        )
        return carried(steps, missing)[0]

    def _give_candidates(self, then: Snapshot, base: Base) -> None:
        """Have the chain score the candidates of then, in their order, which decides between equal scores."""
        if not isinstance(then.chain, StoredChain) or then.model is None:
            return
        positions = unpacked(self.inputs.candidates)
        if not base.is_same:
            n = len(then.model.item_ids)
            found = [then.table.position(item_id) for item_id in self.inputs.newer]
            if -1 in found:
                gone = self.inputs.newer[found.index(-1)]
                raise InputGone("catalog", f"item {gone!r} came after training and is not known any more")
            positions[positions >= n] = found
        then.chain.stored = positions
        if "ranker" in self.pool.missing:
            then.chain.ranker = None

    def _pool_causes(self, base: Base, then: Snapshot, candidates: IntArray) -> list[Missing]:
        """What explains a pool that is not equal: inputs that are known not to be those of then."""
        inputs, snapshot = self.inputs, base.snapshot
        causes = [Missing(name, MOVED[name]) for name in inputs.gone]
        is_other = not base.is_same
        if inputs.prepared and (is_other or snapshot.prepared.size != inputs.prepared):
            why = (
                "what new users explore was prepared anew since: the server was started, or the catalog grew"
            )
            causes.append(Missing("prepared", why))
        if is_other or snapshot.vector_changes != inputs.vectors:
            names = self._outside_training(snapshot, then.table, candidates)
            if names:
                why = "vectors of items that came or changed after training have come since, or anew: "
                causes.append(Missing("vectors", why + ", ".join(names)))
        if is_other and any(CATALOG in item.sources for item in self.pool.items):
            why = "the order of the catalog's items was another before the server was started or trained anew"
            causes.append(Missing("order", why))
        return causes

    def _outside_training(self, snapshot: Snapshot, then: ItemTable, candidates: IntArray) -> list[str]:
        """Items among candidates and past whose vectors are not the model's own; the first few."""
        model, table = snapshot.model, snapshot.table
        if model is None:
            return []
        content = model.sources.get(Content.name)
        digests = content.digests if isinstance(content, Content) else np.empty(0, np.uint64)
        user = self.past.features(self.user_id, self.pool.user_version, self.pool.made_ms)
        past = then.positions({seen.item_id for seen in user.history})
        places = np.unique(np.concatenate([candidates, past])).tolist()
        own = len(model.item_ids)
        return [
            then.ids[at]  # which has places for items that are gone by now
            for at in places
            if at >= own or (at < len(digests) and digest(table.items[at]) != digests[at])
        ][:NAMES]

    # --- the slate -------------------------------------------------------------------------------------

    def _slate_part(self) -> Part:
        slate, read, rules = self.slate, self.read, self.settings.rules
        try:
            base, known = self.slate_world()
        except InputGone as gone:
            return Part(NAMED, missing=[Missing(gone.name, str(gone))])
        made = cut(
            self.pool,
            known,
            rules,
            slate.limit,
            slate.page,
            exclude=read.exclude,
            after=read.after,
            category=category_code(slate.category, known.snapshot),
            context=slate.context,
            where=slate.filter,
        )
        explored: Sequence[Explored] = ()
        if slate.explored:
            ask = Ask(user_id=self.user_id, limit=slate.limit, page=slate.page, exclude=read.exclude)
            shown = placed(
                made, ask, known, rules, StoredExploration(self.settings.exploration, slate.explored)
            )
            made, explored = shown.cut, shown.explored
        ids = [item.item_id for item in made.items]
        if (ids, made.pinned, list(explored)) == (slate.items, slate.pinned, list(slate.explored)):
            return Part(EQUAL, len(ids))
        causes = [Missing(name, MOVED[name]) for name in read.gone]
        if not base.is_same and made.is_filled:
            why = "the order of the catalog's items was another before the server was started or trained anew"
            causes.append(Missing("order", why))
        return Part(NAMED if causes else DIFFERS, len(ids), _moved(slate.items, made), causes)


def carried(steps: Steps[T], missing: Mapping[str, str]) -> T:
    """The result of `steps`, in this thread; sources that were missing then are now."""
    done: tuple[dict[str, object], dict[str, str]] | None = None
    while True:
        try:
            work = steps.send(done) if done is not None else next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        there = {name: call() for name, call in work.items() if name not in missing}
        done = there, {name: missing[name] for name in work if name in missing}


def _candidates(then: Snapshot) -> tuple[IntArray, IntArray]:
    """Those of then, and those that the sources propose now; both empty where nothing was scored."""
    chain = then.chain
    empty = np.empty(0, np.int32)
    if not isinstance(chain, StoredChain) or chain.proposed is None:
        return empty, empty
    return chain.stored, chain.proposed


def _differences(was: Sequence[PooledItem], now: Sequence[PooledItem]) -> list[Place]:
    found = []
    for place, (old, new) in enumerate(zip_longest(was, now), 1):
        if old != new:
            found.append(
                Place(
                    place,
                    old.item_id if old else None,
                    new.item_id if new else None,
                    old.score if old else None,
                    new.score if new else None,
                )
            )
    return found[:SHOWN]


def _moved(was: Sequence[str], now: Cut) -> list[Place]:
    pairs = enumerate(zip_longest(was, [item.item_id for item in now.items]), 1)
    return [Place(place, old, new) for place, (old, new) in pairs if old != new][:SHOWN]
