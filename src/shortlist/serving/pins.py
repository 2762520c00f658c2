"""The operator's pins: which item stands at which place of a list, whatever its score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shortlist.arrays import BoolArray, IntArray
from shortlist.catalog.variants import barred
from shortlist.ranking.rules import Pin
from shortlist.serving.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Pinned:
    """What is pinned in a list. positions: the list, longer by what was not in it. places: place → index in
    it. rules: index → the rule that pinned it."""

    positions: IntArray
    places: dict[int, int]
    rules: dict[int, str]

    def only(self, kept: IntArray) -> "Pinned":
        """The same of a shorter list. kept: ascending indexes of what stays, everything pinned among them."""
        now = {index: place for place, index in enumerate(kept.tolist())}
        return Pinned(
            self.positions[kept],
            {place: now[index] for place, index in self.places.items()},
            {now[index]: rule for index, rule in self.rules.items()},
        )

    def within(self, size: int) -> dict[int, int]:
        """The places in a list of so many items, which may be fewer than a pin asks for."""
        return {min(place, size - 1): index for place, index in self.places.items()}


def pinned(pins: Sequence[Pin], positions: IntArray, mask: BoolArray, snapshot: Snapshot) -> Pinned:
    """The list with what is pinned in it.

    Each pin takes the best of its items that may come (mask): as the list ranks them, else the most popular,
    else the first of the catalog. A place that a more important pin has taken gives the next free one.
    """
    places: dict[int, int] = {}
    rules: dict[int, str] = {}
    free = mask.copy() if pins else mask
    for pin in pins:
        at = _best(pin, free, positions, snapshot)
        if at < 0:
            continue
        barred(free, np.array([at], np.int32), snapshot.table.columns)
        found = np.flatnonzero(positions == at)
        index = int(found[0]) if len(found) else len(positions)
        if not len(found):
            positions = np.append(positions, np.int32(at))
        place = pin.position
        while place in places:
            place += 1
        places[place], rules[index] = index, pin.rule_id
    return Pinned(positions, places, rules)


def beyond(
    pins: Sequence[Pin], size: int, positions: IntArray, mask: BoolArray, snapshot: Snapshot
) -> tuple[Pin, ...]:
    """The pins of a list whose places lie after its first `size`, counted from there; also one that was to
    stand before them and found its place taken."""
    whole = pinned(pins, positions, mask, snapshot)
    later = {whole.rules[index] for place, index in whole.places.items() if place >= size}
    return tuple(replace(pin, position=max(0, pin.position - size)) for pin in pins if pin.rule_id in later)


def _best(pin: Pin, free: BoolArray, positions: IntArray, snapshot: Snapshot) -> int:
    """The position of the item to pin; -1 where none may come."""
    may = free.copy()
    may[: len(pin.mask)] &= pin.mask[: len(may)]
    may[len(pin.mask) :] = False
    for order in (positions, snapshot.popular()):
        inside = order[order < len(may)]
        found = inside[may[inside]]
        if len(found):
            return int(found[0])
    rest = np.flatnonzero(may)
    return int(rest[0]) if len(rest) else -1
