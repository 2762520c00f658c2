"""The catalog as serving reads it: items by position, as arrays."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change

T = TypeVar("T", bound=np.generic)


@dataclass(slots=True, frozen=True)
class Columns:
    """The arrays of an `ItemTable` at one version: all of one length, never written after they are shown."""

    servable: BoolArray
    category: IntArray
    brand: IntArray
    price: FloatArray
    margin: FloatArray
    added_ms: NDArray[np.int64]
    group: IntArray | None
    version: int
    _worth: dict[float, BoolArray] = field(default_factory=dict, init=False, repr=False, compare=False)

    def worth(self, least: float) -> BoolArray:
        """(n,) servable, and with no margin below `least`; a missing one passes. Not to be written to."""
        found = self._worth.get(least)
        if found is None:  # once per version of the catalog: at 100k items it costs as much as a source
            found = self._worth[least] = self.servable & ~(self.margin < least)
        return found


class _Card(msgspec.Struct):
    """What a slate says of an item."""

    item_id: str
    title: str
    image: str
    price: float | None
    currency: str | None
    category: str | None
    brand: str | None


class ItemTable:
    """Items by position. Positions never move: new items are added at the end, deleted ones stay, unservable.

    ids: (n,) item ids. items: (n,) None where there is none (any more). fragments: (n,) what a slate says of
    an item, as the members of a JSON object without its braces. servable: (n,) exists, not hidden, in stock.
    category, brand: (n,) codes into `categories` and `brands`, -1 where missing. price, margin: (n,) NaN
    where missing. attributes: by name, how many items have it; 0: some had. added_ms: (n,). group: (n,) equal
    for items that stand for one (`Item.variant_of`); None while no item is a variant, so that nobody pays for
    it. version: the catalog version that it shows.

    Arrays are replaced, never written in place, so a reader that took one keeps a consistent view; one that
    combines several while another thread applies changes takes `columns` once. Lists only grow, and one entry
    is replaced at a time. One thread at a time may apply.
    """

    ids: list[str]
    items: list[Item | None]
    fragments: list[bytes]
    categories: list[str]
    brands: list[str]
    attributes: Counter[str]
    columns: Columns

    def __init__(self, items: Iterable[Item], version: int, order: Sequence[str] = ()) -> None:
        """order: ids that take the first positions (a model's own); those without an item are unservable."""
        self.ids = list(order)
        self._position = {item_id: position for position, item_id in enumerate(self.ids)}
        if len(self._position) != len(self.ids):
            raise ValueError(f"order: {len(self.ids) - len(self._position)} ids stand twice")
        self.items = [None] * len(self.ids)
        self.fragments = [b""] * len(self.ids)
        self.categories, self.brands, self.attributes = [], [], Counter()
        self._category_code: dict[str, int] = {}
        self._brand_code: dict[str, int] = {}
        self._leader: dict[int, int] = {}  # by position of a variant: the position of what it is a variant of
        for item in items:
            self._set(self._place(item.item_id), item)
        for position, fragment in enumerate(self.fragments):
            if not fragment:  # a model's own item that is gone, or the name that variants go by
                self._set(position, None)
        self.columns = self._columns_of(self.items, version)

    @property
    def servable(self) -> BoolArray:
        """(n,) whether the item may be in a slate at all."""
        return self.columns.servable

    @property
    def category(self) -> IntArray:
        """(n,) code of the primary category, -1 where missing."""
        return self.columns.category

    @property
    def brand(self) -> IntArray:
        """(n,) code of the brand, -1 where missing."""
        return self.columns.brand

    @property
    def price(self) -> FloatArray:
        """(n,) price, NaN where missing."""
        return self.columns.price

    @property
    def margin(self) -> FloatArray:
        """(n,) margin as a share of the price, NaN where missing."""
        return self.columns.margin

    @property
    def added_ms(self) -> NDArray[np.int64]:
        """(n,) when the item came in, ms since 1970; 0: unknown."""
        return self.columns.added_ms

    @property
    def group(self) -> IntArray | None:
        """(n,) equal for items that stand for one; None while no item is a variant."""
        return self.columns.group

    @property
    def version(self) -> int:
        """The catalog version that is shown."""
        return self.columns.version

    def __len__(self) -> int:
        return len(self.columns.servable)

    def position(self, item_id: str) -> int:
        """The position of an id, or -1."""
        return self._position.get(item_id, -1)

    def places(self, item_ids: Iterable[str]) -> IntArray:
        """The position of every id, in order; -1 for unknown ones."""
        return np.array([*map(self._position.get, item_ids, repeat(-1))], np.int32)

    def positions(self, item_ids: Iterable[str]) -> IntArray:
        """Positions of the ids that are known, in order; unknown ones are left out."""
        places = self.places(item_ids)
        return places[places >= 0]

    def category_code(self, category: str) -> int:
        """The code of a category, or -1."""
        return self._category_code.get(category, -1)

    def category_name(self, code: int) -> str | None:
        """The name of a category; None for -1 and for a code that no category has."""
        return self.categories[code] if 0 <= code < len(self.categories) else None

    def category_of(self, item_id: str) -> str | None:
        """The primary category of an item; None where the item or its category is unknown."""
        position = self._position.get(item_id, -1)
        item = self.items[position] if position >= 0 else None
        return item.category if item is not None else None

    def apply(
        self, changes: Sequence[Change], before_shown: Callable[[Columns], object] | None = None
    ) -> None:
        """Show later changes of the catalog. Costs a copy of the arrays: 1 ms at 100k items.

        before_shown: told of the columns before readers see them."""
        if not changes:
            return
        touched: dict[int, Item | None] = {}
        for change in changes:
            if change.item is None and change.item_id not in self._position:
                continue
            position = self._place(change.item_id)
            self._set(position, change.item)
            touched[position] = change.item
        for position in range(len(self.columns.servable), len(self.ids)):
            if position not in touched:  # the name that variants go by, which is no item itself
                self._set(position, None)
                touched[position] = None
        version = max(self.version, changes[-1].version)
        shown = self._columns_of(list(touched.values()), version)
        positions = np.fromiter(touched, np.int64, len(touched))
        now, size = self.columns, len(self.ids)

        def column(was: NDArray[T], new: NDArray[T]) -> NDArray[T]:
            grown = np.empty(size, was.dtype)
            grown[: len(was)] = was
            grown[positions] = new
            return grown

        columns = Columns(
            servable=column(now.servable, shown.servable),
            category=column(now.category, shown.category),
            brand=column(now.brand, shown.brand),
            price=column(now.price, shown.price),
            margin=column(now.margin, shown.margin),
            added_ms=column(now.added_ms, shown.added_ms),
            group=self._groups(),
            version=version,
        )
        if before_shown is not None:
            before_shown(columns)
        self.columns = columns

    def as_of(
        self, version: int, items: Mapping[str, Item | None], unknown: Collection[str] = ()
    ) -> "ItemTable":
        """A table of its own in which these items are what they were at `version`; positions stay.

        What came later has its place, unservable. unknown: ids that had no position yet. 5 ms at 100k
        items."""
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list | dict):
                setattr(twin, name, value.copy())
        twin.apply([Change(version, item_id, item) for item_id, item in items.items()])
        twin.columns = replace(twin.columns, version=version)
        for item_id in unknown:
            twin._position.pop(item_id, None)
        return twin

    def _place(self, item_id: str) -> int:
        position = self._position.get(item_id)
        if position is None:
            position = len(self.ids)
            self.ids.append(item_id)
            self.items.append(None)
            self.fragments.append(b"")
            self._position[item_id] = position
        return position

    def _set(self, position: int, item: Item | None) -> None:
        if item is not None and item.variant_of is not None:
            self._leader[position] = self._place(item.variant_of)
        else:
            self._leader.pop(position, None)
        was = self.items[position]
        if was is not None and was.attributes:
            self.attributes.subtract(was.attributes.keys())
        if item is not None and item.attributes:
            self.attributes.update(item.attributes.keys())
        self.items[position] = item
        self.fragments[position] = fragment_of(item or Item(item_id=self.ids[position]))

    def _groups(self) -> IntArray | None:
        if not self._leader:
            return None
        group = np.arange(len(self.ids), dtype=np.int32)
        group[list(self._leader)] = list(self._leader.values())
        return group

    def _columns_of(self, items: Sequence[Item | None], version: int) -> Columns:
        size, nan = len(items), float("nan")
        category, brand = self._category_code, self._brand_code
        return Columns(
            servable=np.fromiter((i is not None and i.is_servable for i in items), np.bool_, size),
            category=np.fromiter(
                (_code(category, self.categories, i.category if i else None) for i in items), np.int32, size
            ),
            brand=np.fromiter(
                (_code(brand, self.brands, i.brand if i else None) for i in items), np.int32, size
            ),
            price=np.fromiter(
                (nan if i is None or i.price is None else i.price for i in items), np.float32, size
            ),
            margin=np.fromiter(
                (nan if i is None or i.margin is None else i.margin for i in items), np.float32, size
            ),
            added_ms=np.fromiter((i.added_ms if i else 0 for i in items), np.int64, size),
            group=self._groups(),
            version=version,
        )


_encode = msgspec.json.Encoder().encode


def fragment_of(item: Item) -> bytes:
    """What a slate says of `item`: the members of a JSON object, without its braces.

    An item without an image gets the address of its generated picture.

    >>> fragment_of(Item(item_id="a", title="Kettle", price=20.0)).decode()[:47]
    '"item_id":"a","title":"Kettle","image":"/images'
    """
    card = _Card(
        item.item_id,
        item.title,
        item.image or f"/images/{quote(item.item_id, safe='')}.svg",
        item.price,
        item.currency,
        item.category,
        item.brand,
    )
    return _encode(card)[1:-1]


def _code(codes: dict[str, int], names: list[str], name: str | None) -> int:
    if name is None:
        return -1
    code = codes.get(name)
    if code is None:
        code = codes[name] = len(names)
        names.append(name)
    return code
