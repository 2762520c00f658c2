"""Why an item came: the code, the words, and the past item it leans on."""

import numpy as np
import pytest
from tests.serving.conftest import catalog

from shortlist.candidates.past import query_from
from shortlist.catalog.table import ItemTable
from shortlist.models.model import Model
from shortlist.serving.reasons import WORDS, reasons, words

TABLE = ItemTable(catalog(), 1)


def why(
    model: Model, past: str, item: str, raw: dict[str, float], **fields: object
) -> tuple[str, str, list[str]]:
    """The reason of one item beside another, after a past."""
    at = [TABLE.position(item_id) for item_id in past.split()]
    query = query_from(at, range(len(at)), [1.0] * len(at), [0] * len(at), now_s=100.0)
    positions = np.array([TABLE.position(item), TABLE.position("t3")], np.int32)
    # the other item gets half of everything, so that this one's scores are the largest
    scores = {name: np.array([value, value / 2], np.float32) for name, value in raw.items()}
    types = dict.fromkeys(past.split(), str(fields.get("last_type", "view")))
    codes, of_what, spoken = reasons(
        query,
        positions,
        scores,
        table=TABLE,
        sources=model.sources,
        weights={},
        last_type=types,
        own_categories=[TABLE.category_code(str(fields.get("own", "")))],
    )
    return codes[0], of_what[0], list(spoken[0])


def test_an_item_leans_on_the_past_item_it_goes_with(model: Model) -> None:
    assert why(model, "c0 l1 b0", "l2", {"transitions": 3.0}) == ("viewed", "l1", ["transitions"])


@pytest.mark.parametrize(
    ("type_", "code"), [("purchase", "bought"), ("cart", "carted"), ("like", "liked"), ("click", "viewed")]
)
def test_the_words_say_what_was_done_with_it(model: Model, type_: str, code: str) -> None:
    assert why(model, "l1", "l2", {"transitions": 3.0}, last_type=type_)[0] == code


def test_the_strongest_source_decides_and_others_are_named_behind_it(model: Model) -> None:
    code, _, sources = why(model, "l1", "l2", {"popular": 9.0, "transitions": 1.0})
    assert (code, sources) == ("viewed", ["transitions", "popular"])


def test_popular_items_of_ones_own_categories_say_so(model: Model) -> None:
    assert why(model, "", "k0", {"popular": 4.0})[:2] == ("popular", "")
    assert why(model, "", "k0", {"popular": 4.0}, own="Kettles")[:2] == ("popular_category", "Kettles")


def test_what_trends_says_so(model: Model) -> None:
    assert why(model, "c0", "t0", {"trending": 1.0})[0] == "trending"


def test_without_anything_to_lean_on_it_is_taste(model: Model) -> None:
    assert why(model, "t3", "l9", {"als": 1.0}) == ("taste", "", ["als"])


def test_an_item_is_no_reason_for_itself(model: Model) -> None:
    assert why(model, "l1", "l1", {"transitions": 1.0})[1] != "l1"


@pytest.mark.parametrize("code", WORDS)
def test_every_reason_has_words(code: str) -> None:
    assert words(code, "k1", TABLE)
    assert "{" not in words(code, "", TABLE)
    assert words("viewed", "k1", TABLE) == "Because you viewed Kettle 1"
    assert words("viewed", "gone", TABLE) == "Because you viewed gone"
