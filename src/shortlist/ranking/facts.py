"""What conditions compare, as columns over a table's items: made when first asked for, then kept up."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter, is_
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, IntArray
from shortlist.catalog.item import Item
from shortlist.catalog.table import Columns, ItemTable
from shortlist.ranking.conditions import (
    All,
    Among,
    Compare,
    Condition,
    Missing,
    Not,
    Some,
    is_missing,
    key_of,
    names_in,
    test_of,
)

# Columns, and masks of requests' filters, that are kept: about 0.5 MB each at 100k items; 13 MB where every
# item has a value of its own, which stays the item's (16 kB of attributes at most, `catalog.attributes`).
KEPT = 64
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

Stamp = tuple[int, int]  # a state of the catalog: its version and the table's size
PLAIN = {str, int, float, type(None)}
At = slice | IntArray  # which positions: all, or those that changed
EVERYTHING = slice(None)
NOBODY: IntArray = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Step:
    """What the last refresh did: positions changed between two states of the catalog."""

    before: "Stamp"
    after: "Stamp"
    changed: IntArray


class _Codes(dict[Any, int]):
    """Value → code, the next one for a value never seen; code 0 is missing."""

    def __init__(self) -> None:
        self.different: list[Any] = [None]

    def __missing__(self, key: Any) -> int:
        value = key.value if isinstance(key, _Flag) else key
        code = self[key] = 0 if is_missing(value) else len(self.different)
        if code:
            self.different.append(value)
        return code


@dataclass(frozen=True, slots=True)
class _Flag:
    """True or False as a key: True itself is the same key as 1."""

    value: bool


class _Coded:
    """A column of few different values: (n,) codes of them, 0 where missing."""

    def __init__(self, read: Callable[[Sequence[Item | None]], list[Any]]) -> None:
        self._read = read
        self._codes = _Codes()
        self.codes: IntArray = NOBODY

    def set(self, items: Sequence[Item | None], changed: IntArray | None) -> None:
        """Read `changed` positions of `items` again (None: all)."""
        if changed is None:
            self.codes = self._coded(items)
            return
        codes = np.zeros(len(items), np.int32)
        codes[: len(self.codes)] = self.codes
        codes[changed] = self._coded([items[position] for position in changed.tolist()])
        self.codes = codes

    def _coded(self, items: Sequence[Item | None]) -> IntArray:
        values = self._read(items)
        kinds = set(map(type, values))
        if not kinds <= PLAIN:
            if kinds <= PLAIN | {list}:
                values = [tuple(value) if type(value) is list else value for value in values]
            else:
                values = list(map(_hashable, values))
        try:
            return self._numbered(values)
        except TypeError:  # a list of lists or objects
            return self._numbered(list(map(_hashable, values)))

    def _numbered(self, values: list[Any]) -> IntArray:
        return np.fromiter(map(self._codes.__getitem__, values), np.int32, len(values))

    def passes(self, test: Callable[[Any], bool], at: At) -> BoolArray:
        """Whether each value passes; each different value is asked once."""
        codes = self.codes[at]
        values = self._codes.different
        if isinstance(at, slice):
            flags = np.fromiter(map(test, values), np.bool_, len(values))
            return _taken(flags, codes)
        different, inverse = np.unique(codes, return_inverse=True)
        flags = np.array([test(values[code]) for code in different.tolist()], np.bool_)
        return _taken(flags, inverse)


class Facts:
    """The columns of one table. Thread-safe; whoever applies changes to the table calls `refresh` before they
    are shown."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._columns: OrderedDict[str, _Coded] = OrderedDict()
        self._masks: dict[tuple[Condition, Stamp, int], BoolArray] = {}
        self._lock = RLock()
        self._seen: list[Item | None] = []
        self._stamp = (-1, 0)
        self.last = Step(self._stamp, self._stamp, NOBODY)

    def refresh(self, columns: Columns) -> None:
        """Bring every column to the version of `columns`; never back. 100k items cost 4 ms to look at."""
        with self._lock:
            stamp = stamp_of(columns)
            if stamp <= self._stamp:  # of somebody who took them before the last change
                return
            size = len(columns.servable)
            items = self._table.items[:size]
            seen = self._seen
            is_same = np.fromiter(map(is_, items, seen), np.bool_, min(size, len(seen)))
            positions = np.r_[np.flatnonzero(~is_same), len(seen) : size].astype(np.int32)
            for column in self._columns.values():
                column.set(items, positions)
            self._seen = items
            self.last = Step(self._stamp, stamp, positions)
            self._stamp = stamp

    def mask(self, condition: Condition, columns: Columns, now_ms: int, at: At = EVERYTHING) -> BoolArray:
        """(positions asked for,) whether the condition holds for each item; of older columns, as of now.

        now_ms: what `age_days` counts to, in full hours."""
        with self._lock:
            self.refresh(columns)
            return self._mask(condition, columns, now_ms // HOUR_MS * HOUR_MS, at)

    def kept_mask(self, condition: Condition, columns: Columns, now_ms: int) -> BoolArray:
        """The same of all items for a request's own filter, which comes again for the next page.

        One that is ready waits for nobody: not for other masks that are being made, nor for a refresh."""
        key = _key(condition, columns, now_ms)
        if (ready := self._masks.get(key)) is not None:
            return ready
        with self._lock:
            found = self._masks.get(key)
            if found is None:
                found = self._masks[key] = self.mask(condition, columns, now_ms)
                if len(self._masks) > KEPT:  # the one made first
                    del self._masks[next(iter(self._masks))]
            return found

    def has_mask(self, condition: Condition, columns: Columns, now_ms: int) -> bool:
        """Whether `kept_mask` is ready, so that it may be asked for on the event loop."""
        return _key(condition, columns, now_ms) in self._masks

    def _mask(self, condition: Condition, columns: Columns, now_ms: int, at: At) -> BoolArray:
        match condition:
            case Not(part):
                return ~self._mask(part, columns, now_ms, at)
            case All(parts) | Some(parts):
                found, *more = (self._mask(part, columns, now_ms, at) for part in parts)
                for mask in more:
                    found = found & mask if isinstance(condition, All) else found | mask
                return found
        numbers = self._numbers(condition.name, columns, now_ms)
        if numbers is not None:
            return _compared(condition, numbers[at])
        if condition.name == "item_id" and isinstance(condition, Among):
            if not isinstance(at, slice):
                passes, ids = test_of(condition), self._table.ids
                return np.array([passes(ids[position]) for position in at.tolist()], np.bool_)
            found = np.zeros(len(columns.servable), np.bool_)
            places = self._table.positions(value.text for value in condition.values)
            found[places[places < len(found)]] = True
            return found
        test = is_missing if isinstance(condition, Missing) else test_of(condition)
        if condition.name in ("category", "brand"):
            is_brand = condition.name == "brand"
            names = self._table.brands if is_brand else self._table.categories
            # Code -1, missing, takes the last flag.
            flags = np.array([*map(test, names), test(None)], np.bool_)
            return _taken(flags, (columns.brand if is_brand else columns.category)[at])
        mask = self._column(condition.name).passes(test, at)
        return mask[: len(columns.servable)] if isinstance(at, slice) else mask

    def _numbers(self, name: str, columns: Columns, now_ms: int) -> NDArray[Any] | None:
        """(n,) a column of numbers that the table has, NaN where missing."""
        match name:
            case "price":
                return columns.price
            case "margin":
                return columns.margin
            case "added" | "age_days":
                added = np.where(columns.added_ms > 0, columns.added_ms, np.nan)
                return added if name == "added" else (now_ms - added) / DAY_MS
        return None

    def _column(self, name: str) -> _Coded:
        column = self._columns.get(name)
        if column is None:
            column = _Coded(_reader(name))
            column.set(self._seen, None)
            self._columns[name] = column
            if len(self._columns) > KEPT:
                self._columns.popitem(last=False)
        else:
            self._columns.move_to_end(name)
        return column


def stamp_of(columns: Columns) -> Stamp:
    """Which state of the catalog these are."""
    return columns.version, len(columns.servable)


def _key(condition: Condition, columns: Columns, now_ms: int) -> tuple[Condition, Stamp, int]:
    hour = now_ms // HOUR_MS if "age_days" in names_in(condition) else 0
    return condition, stamp_of(columns), hour


def _taken(flags: BoolArray, codes: NDArray[Any]) -> BoolArray:
    found: BoolArray = flags[codes]
    return found


def _compared(condition: Compare | Among | Missing, values: NDArray[Any]) -> BoolArray:
    if isinstance(condition, Missing):
        found: BoolArray = np.isnan(values)
    elif isinstance(condition, Among):
        found = np.zeros(len(values), np.bool_)
        for value in condition.values:
            if value.number is not None:
                found |= values == value.number
    else:
        number = condition.value.number
        assert number is not None  # the reader makes sure
        match condition.op:
            case "<":
                found = values < number
            case "<=":
                found = values <= number
            case ">":
                found = values > number
            case _:
                found = values >= number
    return found


def _reader(name: str) -> Callable[[Sequence[Item | None]], list[Any]]:
    if name == "stock":
        return lambda items: [item and item.stock for item in items]
    if name in ("item_id", "title", "categories", "currency"):
        field = attrgetter(name)
        return lambda items: [(item and field(item)) or None for item in items]
    key = key_of(name)
    return lambda items: [item and item.attributes.get(key) for item in items]


def _hashable(value: Any) -> Any:
    if isinstance(value, bool):
        return _Flag(value)
    if isinstance(value, list | tuple):
        return tuple(member for member in value if isinstance(member, str | int | float))
    return value if isinstance(value, str | int | float) else None
