"""A new user's slate: what is popular, or personal already, woven with what explores (flow 9)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from shortlist.arrays import BoolArray, IntArray
from shortlist.catalog.table import Columns
from shortlist.coldstart.long_tail import LongTail
from shortlist.settings import RuleSettings

MISFITS = 50  # explored items kept out by caps, after which the caps give way: a shop of one brand
LOOKED_AT = 8  # items of a category that are looked at for another brand and price than before


@dataclass(frozen=True, slots=True)
class Woven:
    """One place of the list: a position, and whether it explores."""

    position: int
    explores: bool


def woven(
    base: Sequence[int],
    tail: LongTail,
    *,
    share: float,
    limit: int,
    size: int,
    allowed: BoolArray,
    columns: Columns,
    rules: RuleSettings,
    chosen: Sequence[int] = (),
    seed: str,
) -> list[Woven]:
    """A list of `size` in which each `limit` places have round(share × limit) that explore, at places drawn.

    base: positions of the rest, best first; they keep their order. allowed: (table size,) what may come.
    chosen: category codes the user knows: others are explored first. What explores takes one item of each
    category in turn, of another brand and price than the one before where it can be, and keeps the caps of
    `rules` within each `limit`, so that cutting a slate changes nothing. Where one of the two runs out the
    other fills up. The same seed gives the same list.
    """
    rng = Random(seed)  # noqa: S311  # shuffles a list, guards nothing
    taken: set[int] = set()
    explorer = _explorer(tail, taken, allowed, columns, chosen, rng)
    rest = list(base)
    wanted = round(share * limit)
    found: list[Woven] = []
    held: list[int] = []  # explored items that a cap kept out of the block before
    while len(found) < size:
        rest = [position for position in rest if position not in taken]
        caps = _Caps(columns, rules)
        own = caps.taken(rest, limit - wanted)
        taken.update(own)
        others = caps.taken(held, wanted)
        while len(others) < wanted and len(held) < MISFITS and (position := next(explorer, None)) is not None:
            (others if caps.fits(position) else held).append(position)
        rest = [position for position in rest if position not in taken]
        # The caps give way before a slate is short, as they do when one is cut.
        others += _first(held, wanted - len(others))
        own += _first(rest, limit - len(own) - len(others))
        others += _first(held, limit - len(own) - len(others))
        taken.update(own)
        if not own and not others:
            break
        places = set(rng.sample(range(len(own) + len(others)), len(others)))
        mine, theirs = iter(own), iter(others)
        found += [
            Woven(next(theirs), True) if place in places else Woven(next(mine), False)
            for place in range(len(own) + len(others))
        ]
    return found[:size]


def _first(positions: list[int], count: int) -> list[int]:
    """The first `count`, taken out of `positions`."""
    count = max(0, count)
    first, positions[:] = positions[:count], positions[count:]
    return first


class _Caps:
    """Counts a block's categories and brands. An item without one is never capped."""

    def __init__(self, columns: Columns, rules: RuleSettings) -> None:
        self._category, self._brand = columns.category, columns.brand
        self._most_category = rules.max_per_category if rules.enabled else 0
        self._most_brand = rules.max_per_brand if rules.enabled else 0
        self._categories: dict[int, int] = {}
        self._brands: dict[int, int] = {}

    def fits(self, position: int) -> bool:
        """Whether the block may have it; counts it if so."""
        category, brand = int(self._category[position]), int(self._brand[position])
        in_category, in_brand = self._categories.get(category, 0), self._brands.get(brand, 0)
        if self._most_category and category >= 0 and in_category >= self._most_category:
            return False
        if self._most_brand and brand >= 0 and in_brand >= self._most_brand:
            return False
        self._categories[category], self._brands[brand] = in_category + 1, in_brand + 1
        return True

    def taken(self, positions: list[int], count: int) -> list[int]:
        """The first `count` that fit, taken out of `positions`."""
        fit: list[int] = []
        for position in positions:
            if len(fit) == count:
                break
            if self.fits(position):
                fit.append(position)
        of = set(fit)
        positions[:] = [position for position in positions if position not in of]
        return fit


def _explorer(
    tail: LongTail,
    taken: set[int],
    allowed: BoolArray,
    columns: Columns,
    chosen: Sequence[int],
    rng: Random,
) -> Iterator[int]:
    """What explores, in order: a category each in turn, the user's own last. What is taken meanwhile, here or
    by the caller, does not come."""
    numbers = list(range(len(tail.categories)))
    rng.shuffle(numbers)
    own = set(chosen)
    numbers.sort(key=lambda number: tail.categories[number] in own)
    queues: dict[int, list[int]] = {}
    brand_before, band_before = -1, -1
    while numbers:
        for number in list(numbers):
            queue = queues.get(number)
            if queue is None:
                queue = queues[number] = _turned(tail.items[number], allowed, rng)
            position = -1
            while queue and (position < 0 or position in taken):
                position = queue.pop(_unlike(queue, columns, tail.bands, brand_before, band_before))
            if position < 0 or position in taken:
                numbers.remove(number)
                continue
            taken.add(position)
            brand_before, band_before = int(columns.brand[position]), int(tail.bands[position])
            yield position


def _turned(items: IntArray, allowed: BoolArray, rng: Random) -> list[int]:
    """A category's items that may come, from a drawn one on; the list is a circle."""
    items = items[items < len(allowed)]
    queue: list[int] = items[allowed[items]].tolist()
    start = rng.randrange(len(queue)) if queue else 0
    return queue[start:] + queue[:start]


def _unlike(queue: list[int], columns: Columns, bands: IntArray, brand: int, band: int) -> int:
    """The index, among the first, of an item of another brand and price band; else another brand; else 0."""
    second = 0
    for index, position in enumerate(queue[:LOOKED_AT]):
        if columns.brand[position] != brand or brand < 0:
            if bands[position] != band or band < 0:
                return index
            second = second or index
    return second
