"""Which column means what: as told by `--map`, else guessed from the names that data sets use."""

import difflib
import textwrap
from collections.abc import Mapping, Sequence

from shortlist.importing.layout import Layout
from shortlist.importing.problem import ColumnUnknown

# Field → names of columns that mean it, the more telling first; compared without case, `_`, `-` and spaces.
EVENT_NAMES: dict[str, tuple[str, ...]] = {
    "user_id": (
        "userid",
        "user",
        "visitorid",
        "customerid",
        "uid",
        "memberid",
        "personid",
        "client",
        "customer",
    ),
    "item_id": (
        "itemid",
        "item",
        "productid",
        "product",
        "movieid",
        "sku",
        "articleid",
        "asin",
        "stockcode",
        "iid",
    ),
    "ts": ("ts", "timestamp", "time", "eventtime", "datetime", "date", "createdat", "unixtime", "pos"),
    "type": ("type", "eventtype", "event", "action", "behavior", "behaviour"),
    "rating": ("rating", "stars", "score"),
    "price": ("price", "unitprice"),
    "currency": ("currency",),
    "quantity": ("quantity", "qty"),
    "session_id": ("sessionid", "session", "usersession"),
}
ITEM_NAMES: dict[str, tuple[str, ...]] = {
    "item_id": ("itemid", "item", "productid", "sku", "movieid", "articleid", "asin", "stockcode", "id"),
    "title": ("title", "name", "productname", "itemname", "producttitle"),
    "description": ("description", "text", "summary", "overview"),
    "categories": (
        "categories",
        "category",
        "genres",
        "genre",
        "categorycode",
        "categoryname",
        "producttype",
    ),
    "brand": ("brand", "manufacturer", "vendor", "publisher", "author"),
    "price": ("price", "unitprice", "listprice"),
    "currency": ("currency",),
    "margin": ("margin",),
    "stock": ("stock", "inventory", "quantityinstock"),
    "image": ("image", "imageurl", "picture", "thumbnail", "img"),
    "hidden": ("hidden",),
    "variant_of": ("variantof", "parentid", "parentasin", "itemgroupid", "groupid"),
    "added_ms": ("addedms", "addedat", "created", "createdat", "releasedate"),
}


def parse_map(text: str, fields: Sequence[str]) -> dict[str, str]:
    """The mapping in `field=column,field=column`. Raises ColumnUnknown for a field that there is not.

    >>> parse_map("user_id=user, item_id=item", ["user_id", "item_id"])
    {'user_id': 'user', 'item_id': 'item'}
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise ColumnUnknown(f"mapping {part!r}: write field=column, as in item_id=sku")
        if field not in fields and column in fields:
            raise ColumnUnknown(
                f"mapping {part!r} is the wrong way round: the field comes first, write {column}={field}"
            )
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
            raise ColumnUnknown(f"mapping {part!r}: no field {field!r}; {hint}")
        mapping[field] = column
    return mapping


def fit_mapping(
    layout: Layout,
    told: Mapping[str, str],
    names: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    file: str,
    *,
    option: str,
) -> dict[str, str]:
    """Field → column of `layout`: what was told, and guesses for the rest. option: what tells more of it.

    Raises ColumnUnknown for a column that is not there (naming the nearest), or when a needed field has none.
    """
    for field, column in told.items():
        if not layout.has(column):
            hint = _nearest(column, layout)
            if layout.has(field) and column in names:
                hint = f"is it the wrong way round? The field comes first: {column}={field}"
            raise ColumnUnknown(f"{file}: no column {column!r} for {field}; {hint}")
    plain = {_plain(column): column for column in reversed(layout.columns)}
    taken = set(told.values())
    mapping = dict(told)
    for field, guesses in names.items():
        if field not in mapping:
            found = next((plain[g] for g in guesses if g in plain and plain[g] not in taken), None)
            if found is not None:
                mapping[field] = found
                taken.add(found)
    for field in needed:
        if field not in mapping:
            shown = textwrap.shorten(", ".join(layout.columns[:30]), 400, placeholder=" …")
            raise ColumnUnknown(
                f"{file}: no column looks like {field}; say which one, as in {option} {field}=COLUMN "
                f"(columns: {shown})"
            )
    return mapping


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", "_- "))


def _nearest(column: str, layout: Layout) -> str:
    lower = {name.lower(): name for name in layout.columns}
    near = difflib.get_close_matches(column.lower(), lower, n=1, cutoff=0.5)
    if near:
        return f"did you mean {lower[near[0]]!r}?"
    return f"there are {', '.join(layout.columns[:30])}"
