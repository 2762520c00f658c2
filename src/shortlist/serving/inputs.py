"""What a slate was made from, kept small: enough to find the rest in the log, the catalog and the models."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.arrays import IntArray
from shortlist.candidates.source import Query
from shortlist.catalog.rule import Rule
from shortlist.catalog.table import Columns
from shortlist.ranking.rules import Applied
from shortlist.serving.snapshot import NOTHING, TREND, Snapshot
from shortlist.settings import Settings

How = Literal["miss", "history", "fallback"]
MISS: How = "miss"
HISTORY: How = "history"
FALLBACK: How = "fallback"

CATALOG, VECTORS, TRENDS, RULES, EXCLUDED = "catalog", "vectors", "trends", "rules", "exclude"
RULES_KEPT = 20_000  # characters of conditions of one pool; a shop of 20 rules has about 2,000
EXCLUDED_KEPT = 200  # items that a request leaves out and its record names

# What a slate depends on, of all settings. Sources, trending and features are made with them, too.
SECTIONS = ("weights", "candidates", "rules", "features", "coldstart", "exploration")
SINGLE = (("cache", "pool"), ("serving", "limit"), ("log", "dedup_window"))


class Trended(Struct, frozen=True, omit_defaults=True):
    """What trended, as far as it was looked at: ids, most first, and the decayed events of candidates.

    category: the one asked for, else that of the user's last item; of_category: its own list."""

    overall: list[str] = []
    category: str | None = None
    of_category: list[str] = []
    weight: dict[str, float] = {}

    def top(self, category: str | None, n: int) -> list[str]:
        """See `candidates.trending.Trends`."""
        kept = self.overall if category is None else self.of_category if category == self.category else []
        return kept[:n]

    def weights(self) -> Mapping[str, float]:
        """See `candidates.trending.Trends`."""
        return self.weight


class Inputs(Struct, frozen=True, omit_defaults=True):
    """What the maker of a pool read, beside the stamps that the pool itself has.

    how: which way it was made. context, category, filter: what was asked. settings: names those that held.
    world: names the snapshot in its process; the order of items that came after training is its own.
    rules: the operator's that applied, whole. candidates: positions that were scored, packed; newer: ids of
    those that came after training, in the order of their positions. attributes: the user's, as the model read
    them. trends: what trended. vectors: how often items had been put into the world's vector indexes.
    prepared: how large the table was when what new users are served from was made; 0: it was not used. gone:
    of what is not kept, because it was too much (rules) or moved meanwhile (catalog, vectors, trends).
    """

    how: How
    settings: str
    world: str
    context: str
    category: str = ""
    filter: str = ""
    rules: tuple[Rule, ...] = ()
    candidates: str = ""
    newer: tuple[str, ...] = ()
    attributes: tuple[float, ...] = ()
    trends: Trended | None = None
    vectors: int = 0
    prepared: int = 0
    gone: tuple[str, ...] = ()


class CutInputs(Struct, frozen=True, omit_defaults=True):
    """What the cutting of a slate from its pool read.

    user: version of the user's features. catalog: the catalog's. now_ms: the time. rules: the operator's that
    applied; None: the pool's own. model, world: where it was not cut in the pool's own world. trends: where
    trending items filled it up or took a place of their own. exclude: what the request left out. after: what
    the first page showed, where new items took places in it and this page goes on from there. gone: as in
    `Inputs`.
    """

    user: int
    catalog: int
    now_ms: int
    rules: tuple[Rule, ...] | None = None
    model: str | None = None
    world: str | None = None
    trends: Trended | None = None
    exclude: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class Watch:
    """Looks at what can change while a slate is made, before and after."""

    __slots__ = ("_columns", "_settings", "_snapshot", "_vectors", "_weights")

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._snapshot, self._settings = snapshot, settings
        self._columns: Columns = snapshot.table.columns
        self._vectors = snapshot.vector_changes
        self._weights = snapshot.trends.weights() if snapshot.trends is not None else None

    def trends(self, code: int = -1) -> Trended | None:
        """What trends, overall and in the category of this code. 10 µs."""
        trends = self._snapshot.trends
        if trends is None:
            return None
        most = self._settings.candidates.trending
        n = max(TREND, most)
        name = self._snapshot.table.category_name(code)
        overall = list(trends.top(None, n))
        of_category = list(trends.top(name, n)) if name is not None else []
        weights = trends.weights()
        listed = (*overall[:most], *of_category[:most])
        return Trended(
            overall, name, of_category, {item: weights[item] for item in listed if item in weights}
        )

    def moved(self) -> tuple[str, ...]:
        """What has changed since: a slate that read half of it before cannot be made again."""
        trends, found = self._snapshot.trends, []
        if self._snapshot.table.columns is not self._columns:
            found.append(CATALOG)
        if self._snapshot.vector_changes != self._vectors:
            found.append(VECTORS)
        if trends is not None and trends.weights() is not self._weights:
            found.append(TRENDS)
        return tuple(found)

    def inputs(
        self,
        how: How,
        settings: str,
        *,
        query: Query | None = None,
        category: str = "",
        code: int = -1,
        context: str,
        where: str = "",
        by: Applied,
        candidates: IntArray = NOTHING,
        explores: bool = False,
    ) -> Inputs:
        """What there is to keep. settings: their name. code: of the category asked for. candidates: positions
        that were scored, in any order. explores: whether the long tail has a part in it."""
        snapshot = self._snapshot
        if code < 0 and query is not None and len(query.items):
            code = int(self._columns.category[query.items[-1]])
        rules, gone = rules_of(by, snapshot), self.moved()
        if _is_long(rules):
            rules, gone = (), (*gone, RULES)
        positions = np.sort(candidates)
        n = len(snapshot.model.item_ids) if snapshot.model is not None else 0
        ids = snapshot.table.ids
        newer = positions[np.searchsorted(positions, n) :].tolist() if positions.max(initial=-1) >= n else []
        return Inputs(
            how=how,
            settings=settings,
            world=snapshot.world,
            context=context,
            category=category,
            filter=where,
            rules=rules,
            candidates=packed(positions),
            newer=tuple(ids[at] for at in newer),
            attributes=_row(query),
            trends=self.trends(code),
            vectors=self._vectors,
            prepared=snapshot.prepared.size if explores else 0,
            gone=gone,
        )

    def cut_inputs(
        self,
        *,
        user: int,
        now_ms: int,
        by: Applied,
        made: Inputs | None,
        exclude: Sequence[str],
        after: Sequence[str],
        code: int,
        reads_trends: bool,
    ) -> CutInputs:
        """The same of a slate that was cut. made: what its pool read."""
        rules: tuple[Rule, ...] | None = rules_of(by, self._snapshot)
        gone = tuple(name for name in self.moved() if name == CATALOG or (name == TRENDS and reads_trends))
        if made is not None and rules == made.rules and RULES not in made.gone:
            rules = None
        elif _is_long(rules or ()):
            rules, gone = (), (*gone, RULES)
        is_elsewhere = made is None or made.world != self._snapshot.world
        if len(exclude) > EXCLUDED_KEPT:
            exclude, gone = (), (*gone, EXCLUDED)
        return CutInputs(
            user=user,
            catalog=self._columns.version,
            now_ms=now_ms,
            rules=rules,
            model=self._snapshot.model_version if is_elsewhere else None,
            world=self._snapshot.world if is_elsewhere else None,
            trends=self.trends(code) if reads_trends else None,
            exclude=tuple(exclude),
            after=tuple(after),
            gone=gone,
        )


def _row(query: Query | None) -> tuple[float, ...]:
    return () if query is None or query.attributes is None else tuple(query.attributes.tolist())


def _is_long(rules: Sequence[Rule]) -> bool:
    return sum(len(rule.where) + len(rule.users) for rule in rules) > RULES_KEPT


def rules_of(by: Applied, snapshot: Snapshot) -> tuple[Rule, ...]:
    """The rules that applied, as the operator wrote them."""
    if not by.ids:
        return ()
    names = set(by.ids)
    return tuple(rule for rule in snapshot.rulebook.rules if rule.id in names)


def packed(positions: IntArray) -> str:
    """Ascending positions as text: the steps between them, two or four bytes each.

    >>> unpacked(packed(np.array([3, 70_000, 70_001], np.int32))).tolist()
    [3, 70000, 70001]
    """
    if not len(positions):
        return ""
    steps = positions.copy()
    steps[1:] -= positions[:-1]
    is_small = int(steps.max()) < 1 << 16
    return ("2" if is_small else "4") + b64encode(
        steps.astype("<u2" if is_small else "<u4").tobytes()
    ).decode()


def unpacked(text: str) -> IntArray:
    """The positions again. Raises ValueError when the text is none of `packed`."""
    if not text:
        return NOTHING
    steps = np.frombuffer(b64decode(text[1:]), "<u2" if text[0] == "2" else "<u4")
    return np.cumsum(steps.astype(np.int64)).astype(np.int32)


def kept_settings(settings: Settings) -> tuple[str, bytes]:
    """The name and the JSON of what slates depend on. 1.7 kB."""
    values: dict[str, Any] = {name: getattr(settings, name) for name in SECTIONS}
    for section, name in SINGLE:
        values[section] = {name: getattr(getattr(settings, section), name)}
    text = msgspec.json.encode(values)
    return sha256(text).hexdigest()[:12], text


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings again; those that no slate depends on have their defaults. Raises ValidationError where
    today's shortlist has others."""
    return msgspec.convert(values, Settings)
