"""A plan: which files hold events and items, and the SQL by which their rows become either."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shortlist.importing.found import Found
from shortlist.importing.layout import Layout


@dataclass(slots=True, frozen=True)
class Rows:
    """One file read for one purpose. `fields`: field → SQL of its value as text, over the file's columns.

    type: of every event where no field says it. latest: SQL of a number; of several rows with one item_id
    the value at the highest counts (the last row, where nothing is said). where: SQL of the rows meant.
    keep_rest: whether the columns that no field reads become attributes of the item.
    encoding: of the text; "" as usual. meaning: the format's name or the mapping told; with the content of
    the file it says whether an import is a repetition, so it outlives changes to the SQL.
    """

    found: Found
    layout: Layout
    fields: Mapping[str, str]
    type: str = "view"
    latest: str = ""
    where: str = ""
    keep_rest: bool = False
    encoding: str = ""
    meaning: str = ""

    @property
    def type_said(self) -> str:
        """The type of the events, for a person."""
        return "the types that its rows say" if "type" in self.fields else self.type


@dataclass(slots=True, frozen=True)
class Plan:
    """What to import, and under which name the report speaks of it.

    items: what the files say of items for themselves; replaces what the catalog holds.
    seen: what event rows say of their items in passing; only for items that the catalog knows nothing of.
    """

    format: str
    events: tuple[Rows, ...] = ()
    items: tuple[Rows, ...] = ()
    seen: tuple[Rows, ...] = field(default=())
