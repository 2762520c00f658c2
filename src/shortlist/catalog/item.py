"""The item: what can be recommended."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from shortlist.events.event import Id

# Fields that the shop keeps to itself. No filter of a user's may ask for them either: an answer to
# `margin > 0.3` is the margin, told bit by bit.
FOR_SERVICES = frozenset({"margin"})

Name = Annotated[str, Meta(max_length=500)]


class Item(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One item. Everything but its id may be missing: rules then pass it and pages show its id."""

    item_id: Id
    title: Annotated[str, Meta(max_length=2_000)] = ""
    description: Annotated[str, Meta(max_length=50_000)] = ""
    # The first is the primary one: caps and affinity use it.
    categories: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    brand: Name | None = None
    price: Annotated[float, Meta(ge=0)] | None = None
    currency: Name | None = None
    margin: float | None = None  # share of the price, 0.25 = a quarter
    stock: Annotated[int, Meta(ge=0)] | None = None  # None: not tracked, always in stock
    image: Annotated[str, Meta(max_length=10_000)] | None = None
    hidden: bool = False
    added_ms: int = 0
    attributes: dict[str, Any] = {}  # as much as `catalog.attributes` lets pass
    # The item (or just the name) that this one is a size or colour of: a slate shows one of them, and who
    # bought one has bought them all. One step: a variant of a variant belongs to what it names itself.
    variant_of: Id | None = None

    @property
    def category(self) -> str | None:
        """The primary category."""
        return self.categories[0] if self.categories else None

    @property
    def is_described(self) -> bool:
        """Whether a person could tell what it is: an item that only events speak of has an id alone."""
        return bool(self.title or self.categories)

    @property
    def is_servable(self) -> bool:
        """Whether it may be in a slate at all."""
        return not self.hidden and (self.stock is None or self.stock > 0)
