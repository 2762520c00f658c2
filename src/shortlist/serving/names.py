"""Categories and attributes that requests and rules name: whether items have them, and what to say if not.

A request may ask for what some item had, hidden and sold-out ones included, since the table was made (at the
start, and at each training): the list of a category whose last item was deleted is empty, and no mistake of
the caller's. A rule is told of what no item has now.
"""

import json

import numpy as np

from shortlist.catalog.item import FOR_SERVICES
from shortlist.catalog.rule import Rule
from shortlist.catalog.table import ItemTable
from shortlist.ranking.conditions import OF_ITEMS, key_of, names_in, parse
from shortlist.refusal import MOST_SHOWN, near
from shortlist.serving.slate import AskInvalid


def are_known(table: ItemTable, category: str, where: str) -> bool:
    """Whether items have or had the category, and every attribute of the filter; empty: none is asked for.

    where: one that can be read. For the event loop: 1 µs."""
    if category and table.category_code(category) < 0:
        return False
    return not where or all(_is_known(name, table) for name in names_in(parse(where)))


def unknown(table: ItemTable, category: str, where: str, is_shop: bool) -> AskInvalid | None:
    """Why a request is refused that asks for what is not known, with the nearest names that are; None: all of
    it is known, an item with it came in a moment ago.

    20 ms at 10,000 names: not for the event loop. is_shop: whether it may hear of what the shop keeps to
    itself."""
    if category and table.category_code(category) < 0:
        return AskInvalid(f"category: {_no_category(category, table)}")
    names = sorted(names_in(parse(where))) if where else []
    name = next((name for name in names if not _is_known(name, table)), None)
    return AskInvalid(f"filter: {_no_attribute(name, table, is_shop)}") if name is not None else None


def warnings(rule: Rule, table: ItemTable) -> tuple[str, ...]:
    """What a rule names that no item has now, each with the nearest names that some have."""
    names = sorted(name for name in names_in(parse(rule.where)) if not _is_had(name, table))
    return (
        *(f"where: {_no_attribute(name, table, is_shop=True)}" for name in names),
        *(f"categories: {_no_category(name, table)}" for name in rule.categories if not _has(name, table)),
    )


def _is_known(name: str, table: ItemTable) -> bool:
    return name in OF_ITEMS or key_of(name) in table.attributes


def _is_had(name: str, table: ItemTable) -> bool:
    return name in OF_ITEMS or table.attributes[key_of(name)] > 0


def _has(category: str, table: ItemTable) -> bool:
    code = table.category_code(category)
    return code >= 0 and bool((table.category == code).any())


def _no_category(category: str, table: ItemTable) -> str:
    """Only what may be shown is named: a category may be secret until its items are."""
    columns = table.columns
    counts = np.bincount(columns.category[columns.servable & (columns.category >= 0)])
    largest = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    known = [table.categories[code] for code in largest.tolist()]
    return f"no item has the category {_shown(category)}; {near(category, known)}"


def _no_attribute(name: str, table: ItemTable, is_shop: bool) -> str:
    fields = OF_ITEMS if is_shop else OF_ITEMS - FOR_SERVICES
    attributes = [key for key, count in table.attributes.most_common() if count > 0]
    key = key_of(name)
    return f"no item has an attribute {_shown(key)}; {near(key, [*sorted(fields), *attributes])}"


def _shown(name: str) -> str:
    """In quotes, and not longer than a message should be."""
    return json.dumps(name if len(name) <= MOST_SHOWN else name[:MOST_SHOWN] + "…", ensure_ascii=False)
