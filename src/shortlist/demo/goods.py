"""The made-up items and what is latent in them: likeness, popularity, their time, what goes together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.catalog.item import Item
from shortlist.demo.words import DEPARTMENTS, Department, Kind

ITEMS = 2_000
DIMENSIONS = 12
DAY_MS = 86_400_000
# Prices end as prices do.
ENDINGS = (0.99, 0.90, 0.95, 0.00, 0.50)


@dataclass(slots=True)
class Goods:
    """Items by number, and arrays over them.

    vectors: (items, DIMENSIONS) of length 1; near ones are alike. popularity: (items,) long-tailed, mean 1.
    members: numbers of the items of each department; place: (items,) where an item stands among them.
    partners: numbers of the items that go with each. level: (items,) 0 the cheapest of a kind, 1 the dearest.
    peak_ms, added_ms: (items,) when it is talked about, when it came in.
    """

    items: list[Item]
    vectors: NDArray[np.float64]
    popularity: NDArray[np.float64]
    department: NDArray[np.int64]
    kind: NDArray[np.int64]
    brand: NDArray[np.int64]
    level: NDArray[np.float64]
    peak_ms: NDArray[np.float64]
    added_ms: NDArray[np.float64]
    members: list[NDArray[np.int64]]
    place: NDArray[np.int64]
    partners: list[NDArray[np.int64]]
    kinds: list[str]

    def is_there(self, members: NDArray[np.int64], ts: int) -> NDArray[np.float64]:
        """(members,) 1 where the item was in the shop already."""
        return np.asarray(self.added_ms[members] <= ts, np.float64)

    def mood(self, members: NDArray[np.int64], ts: int) -> NDArray[np.float64]:
        """(members,) what the time makes of an item: nothing before it came, up to 5 times at its peak."""
        days = (ts - self.peak_ms[members]) / DAY_MS
        talk = 4.0 * np.exp(-0.5 * (days / 5.0) ** 2)
        return np.asarray(self.is_there(members, ts) * (1.0 + talk), np.float64)

    def talked_about(self, ts: int, rng: np.random.Generator) -> int:
        """An item that everybody looks at these days."""
        everything = np.arange(len(self.items))
        weights = self.popularity * (self.mood(everything, ts) - self.is_there(everything, ts) * 0.95)
        heap = np.cumsum(weights)
        return int(np.searchsorted(heap, rng.random() * heap[-1], side="right"))

    def is_same_brand(self, item: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """(others,) 1 where the brand is the item's own."""
        return np.asarray(self.brand[others] == self.brand[item], np.float64)


def make_goods(rng: np.random.Generator, end_ms: int) -> Goods:
    """About 2,000 items over all departments, a tenth of them new in the last three weeks."""
    kinds = [(d, k) for d, department in enumerate(DEPARTMENTS) for k in department.kinds]
    centres = _unit(rng.normal(size=(len(DEPARTMENTS), DIMENSIONS)))
    shifts = rng.normal(size=(len(kinds), DIMENSIONS)) / np.sqrt(DIMENSIONS)
    per_kind = rng.multinomial(ITEMS - 8 * len(kinds), np.full(len(kinds), 1 / len(kinds))) + 8
    items: list[Item] = []
    rows: list[tuple[int, int, int, float]] = []
    titles: set[str] = set()
    for number, ((d, kind), count) in enumerate(zip(kinds, per_kind, strict=True)):
        for _ in range(int(count)):
            item, brand, level = _item(rng, DEPARTMENTS[d], kind, titles, len(items), end_ms)
            items.append(item)
            rows.append((d, number, d * 10 + brand, level))
    department, kind_of, brand_of = (np.array(column) for column in list(zip(*rows, strict=True))[:3])
    vectors = centres[department] + 0.9 * shifts[kind_of] + rng.normal(size=(len(items), DIMENSIONS)) * 0.13
    added = np.array([item.added_ms for item in items], np.float64)
    members = [np.flatnonzero(department == d) for d in range(len(DEPARTMENTS))]
    place = np.zeros(len(items), np.int64)
    for group in members:
        place[group] = np.arange(len(group))
    names = [kind.name for _, kind in kinds]
    return Goods(
        items=items,
        vectors=_unit(vectors),
        popularity=_popularity(rng, len(items)),
        department=department,
        kind=kind_of,
        brand=brand_of,
        level=np.array([row[3] for row in rows]),
        peak_ms=np.maximum(added, end_ms - rng.uniform(-20, 110, len(items)) * DAY_MS),
        added_ms=added,
        members=members,
        place=place,
        partners=_partners(rng, kinds, kind_of, names),
        kinds=names,
    )


def _item(
    rng: np.random.Generator, department: Department, kind: Kind, titles: set[str], number: int, end_ms: int
) -> tuple[Item, int, float]:
    brand = int(rng.choice(len(department.brands), p=_zipf(len(department.brands))))
    level = float(np.clip(0.55 * rng.random() + 0.45 * (brand + 0.5) / len(department.brands), 0, 1))
    thing = kind.things[int(rng.integers(len(kind.things)))]
    title = _title(rng, department, thing, brand, titles)
    low, high = kind.price
    price = _price(rng, low * (high / low) ** level)
    traits = [kind.traits[i] for i in rng.permutation(len(kind.traits))[:2]]
    is_new = rng.random() < 0.1
    age = rng.uniform(0.5, 21) if is_new else rng.uniform(80, 700)
    stock = 0 if rng.random() < 0.04 else int(rng.integers(3, 160))
    # One in sixteen is sold at next to nothing: the rule on margins has something to do.
    margin = rng.uniform(0.0, 0.045) if rng.random() < 0.06 else department.margin * rng.uniform(0.6, 1.4)
    item = Item(
        item_id=f"p{number + 1:04}",
        title=title,
        description=_description(department, kind, thing, traits, level),
        categories=(department.name, kind.name),
        brand=department.brands[brand],
        price=price,
        currency="EUR",
        margin=round(float(margin), 3),
        stock=stock,
        added_ms=int(end_ms - age * DAY_MS),
        attributes={"style": _style(level)},
    )
    return item, brand, level


def _title(rng: np.random.Generator, department: Department, thing: str, brand: int, titles: set[str]) -> str:
    """A title that no other item has: brand, line and thing; numbered when the words run out."""
    for edition in range(1, 100):
        line = department.lines[int(rng.integers(len(department.lines)))]
        if department.name == "Books":
            title = f"{line} {thing}" if edition < 12 else f"{line} {thing}, volume {edition - 10}"
        else:
            title = f"{department.brands[brand]} {line} {thing}"
            title += "" if edition < 12 else f" {edition - 10}"
        if title not in titles:
            titles.add(title)
            return title
    raise AssertionError("more items than titles")


def _description(department: Department, kind: Kind, thing: str, traits: list[str], level: float) -> str:
    praise = ("Honest and simple", "Made well", "As good as it gets")[min(int(level * 3), 2)]
    noun = "A book" if department.name == "Books" else thing
    return f"{praise}: {', '.join(traits)}. {noun} from our {kind.name.lower()} shelf."


def _style(level: float) -> str:
    return ("budget", "classic", "premium")[min(int(level * 3), 2)]


def _price(rng: np.random.Generator, about: float) -> float:
    about *= float(rng.uniform(0.9, 1.1))
    whole = int(about) if about < 100 else int(about / 5) * 5 + 4
    ending = ENDINGS[int(rng.choice(len(ENDINGS), p=[0.5, 0.2, 0.1, 0.1, 0.1]))]
    return round(max(whole, 1) + ending, 2)


def _zipf(n: int) -> NDArray[np.float64]:
    weights = 1.0 / (np.arange(n) + 2.0)
    return np.asarray(weights / weights.sum(), np.float64)


def _popularity(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Log-normal, sigma 1.1: the top tenth of the items gets about half of the looks."""
    drawn = rng.lognormal(0.0, 1.1, n)
    return np.asarray(drawn / drawn.mean(), np.float64)


def _partners(
    rng: np.random.Generator, kinds: list[tuple[int, Kind]], kind_of: NDArray[np.int64], names: list[str]
) -> list[NDArray[np.int64]]:
    """For each item up to six of the kinds that go with its own, always the same six."""
    along = [[names.index(name) for name in kind.goes_with] for _, kind in kinds]
    found = []
    for kind in kind_of:
        pool = np.flatnonzero(np.isin(kind_of, along[int(kind)]))
        found.append(rng.permutation(pool)[:6] if len(pool) else pool)
    return found


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float64)
