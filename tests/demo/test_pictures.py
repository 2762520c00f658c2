from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.demo.icons import ICONS
from shortlist.demo.pictures import picture
from shortlist.demo.words import DEPARTMENTS

TEXT = st.text(max_size=200)
ALLOWED = {"svg", "defs", "linearGradient", "stop", "path", "g", "circle", "text"}


@settings(max_examples=100, deadline=None)
@given(item_id=st.text(min_size=1, max_size=50), title=TEXT, category=TEXT, brand=TEXT)
@example(item_id="1", title="</text><script>alert(1)</script>", category='"onload="x', brand="]]>&lt;")
@example(item_id="\x00", title="\x1b\ud800\ufffe", category="a\nb", brand="🦊" * 100)
def test_a_picture_is_small_well_formed_and_holds_no_foreign_element(
    item_id: str, title: str, category: str, brand: str
) -> None:
    svg = picture(Item(item_id=item_id, title=title, categories=(category,), brand=brand))
    assert len(svg) < 3_000
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in ALLOWED
        assert not any(name.lower().startswith("on") or "href" in name for name in element.attrib)


def test_the_same_item_has_the_same_picture_whatever_it_costs() -> None:
    item = Item(item_id="p1", title="Kettle", categories=("Kitchen",), brand="Oro")
    dearer = Item(
        item_id="p1", title="Kettle", categories=("Kitchen", "Tea"), brand="Oro", price=9.0, stock=0
    )
    assert picture(item) == picture(item) == picture(dearer)
    assert picture(item) != picture(Item(item_id="p2", title="Kettle", categories=("Kitchen",), brand="Oro"))


def test_a_picture_says_brand_and_initials() -> None:
    svg = picture(Item(item_id="p1", title="Oro Velvet kettle", brand="Oro")).decode()
    assert ">Oro<" in svg
    assert ">VK<" in svg


def test_every_department_has_a_drawing() -> None:
    assert {department.name for department in DEPARTMENTS} == set(ICONS)


@pytest.mark.parametrize("item", [Item(item_id="x"), Item(item_id="é" * 512)])
def test_an_item_of_which_only_the_id_is_known_has_one_too(item: Item) -> None:
    assert picture(item).startswith(b"<svg")
