"""Reading requests: ids come through as they were written, everything else is named."""

from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from shortlist.gateway.reading import (
    AnyId,
    BadRequest,
    NotJson,
    an_id,
    parse_body,
    parse_query,
    path_id,
    require_json,
)


class Asked(Struct, frozen=True):
    user_id: Annotated[str, Meta(min_length=1)]
    limit: Annotated[int, Meta(ge=1)] | None = None
    exclude: list[str] = []


class Sent(Struct, frozen=True, forbid_unknown_fields=True):
    item_id: AnyId
    price: float | None = None


PRINTABLE = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200)


@settings(max_examples=100, deadline=None)
@given(PRINTABLE, st.lists(PRINTABLE, max_size=4))
def test_any_printable_text_comes_through_a_query(user_id: str, exclude: list[str]) -> None:
    query = urlencode({"user_id": user_id, "exclude": exclude}, doseq=True).encode()
    assert parse_query(query, Asked) == Asked(user_id=user_id, exclude=exclude)


@settings(max_examples=100, deadline=None)
@given(PRINTABLE)
def test_any_printable_id_comes_through_a_path(item_id: str) -> None:
    assert path_id(quote(item_id, safe=""), "item_id") == item_id


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (b"", "user_id: is missing; it must be text that is not empty"),
        (b"user_id=", "user_id: must be text that is not empty, not empty text"),
        (b"user_id=a&user_id=b", "user_id: stands twice"),
        (b"user_id=a&limt=3", "did you mean limit"),
        (b"user_id=a&zzz=3", "known here: user_id, limit, exclude"),
        (b"user_id=a&limit=0", 'limit: must be a whole number of at least 1, not "0"'),
        (b"user_id=a&limit=ten", 'limit: must be a whole number of at least 1, not "ten"'),
        (b"user_id=a&limit=1e9999", "limit: "),
        (b"user_id=%ff", "user_id: is not UTF-8"),
        (b"user_id=%ed%a0%80", "user_id: is not UTF-8"),
        (b"user_id=a&" + b"exclude=x&" * 1001, "at most 1000"),
    ],
)
def test_a_bad_query_is_named(query: bytes, why: str) -> None:
    with pytest.raises(BadRequest) as bad:
        parse_query(query, Asked)
    assert why in str(bad.value)


@pytest.mark.parametrize(
    ("value", "id_"), [("007", "007"), (7, "7"), (7.5, "7.5"), ("a b", "a b"), ("☕" * 341, "☕" * 341)]
)
def test_ids_are_text_and_numbers_become_it(value: str | float, id_: str) -> None:
    assert an_id(value, "x") == id_


@pytest.mark.parametrize(
    "value", ["", "a\nb", "a\rb", "\0", "a\x7f", "a\x85b", "\ud800", "☕" * 342, "x" * 1025]
)
def test_what_no_id_may_be_is_refused_with_its_field(value: str) -> None:
    with pytest.raises(BadRequest) as bad:
        an_id(value, "items[3]")
    assert bad.value.field == "items[3]"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"{", "no JSON"),
        (b"[]", "the body must be an object, not an empty list"),
        (b"{}", "item_id: is missing; it must be text of 1 to 1024 characters or a number"),
        (b'{"item_id":"a","price":"5"}', 'price: must be a number, not "5"'),
        (b'{"item_id":"a","prize":5}', "prize: there is no such field; did you mean price?"),
        (b'{"item_id":"a","price":NaN}', "no JSON"),
        (b'{"item_id":"a","price":1e400}', "price: is a number too large to be read"),
        (b'{"item_id":"\\ud800"}', "no JSON"),
        (b'{"item_id":"\xff"}', "not UTF-8"),
        (b'{"item_id":true}', "item_id: must be text of 1 to 1024 characters or a number, not true"),
    ],
)
def test_a_bad_body_is_named(body: bytes, why: str) -> None:
    with pytest.raises(BadRequest) as bad:
        parse_body(body, msgspec.json.Decoder(Sent))
    assert why in str(bad.value)


def test_deep_json_is_refused() -> None:
    with pytest.raises(BadRequest, match="deep"):
        parse_body(b"[" * 100_000, msgspec.json.Decoder())


@pytest.mark.parametrize("kind", [None, "application/json", "application/json; charset=utf-8", "a/x+json"])
def test_json_is_read(kind: str | None) -> None:
    require_json(kind)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_other_kinds_are_not(kind: str) -> None:
    with pytest.raises(NotJson, match="application/json"):
        require_json(kind)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a":1}{"b":2}', "the body is no JSON: "),
        (b'{"a":NaN}', "the body is no JSON: "),
        (b"[1", "the body is no JSON: "),
        (b'["\xff"]', "the body is not UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "the body is nested too deeply"),
        (b"[1e999]", "the body must be an object"),
    ],
)
def test_a_body_of_another_kind_may_be_no_json_further_on(body: bytes, said: str) -> None:
    class Asked(Struct, forbid_unknown_fields=True):
        b: int = 0

    with pytest.raises(BadRequest) as refused:
        parse_body(body, msgspec.json.Decoder(Asked))
    assert said in str(refused.value)
