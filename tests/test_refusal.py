"""What is refused is said in the words of whoever wrote it, never in Python's."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from shortlist.refusal import UNKNOWN, near, refusal


class Step(Struct, forbid_unknown_fields=True):
    item_id: str


class Asked(Struct, forbid_unknown_fields=True):
    mode: Literal["slow", "fast"] = "slow"
    many: Annotated[list[int | Step], Meta(min_length=1, max_length=2)] = msgspec.field(default_factory=list)
    pair: tuple[int, int] = (1, 2)
    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    flag: bool = False
    code: Annotated[str, Meta(pattern="^[a-z]+$")] | None = None
    when: datetime | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"mode": "quick"}, "mode", 'must be one of fast, slow, not "quick"'),
        ({"many": []}, "many", "must be a list of 1 to 2, not an empty list"),
        ({"many": [1, 2, 3]}, "many", "must be a list of 1 to 2, not a list of 3"),
        ({"many": [1, "a"]}, "many[1]", 'must be a whole number or an object, not "a"'),
        ({"many": [{}]}, "many[0].item_id", "is missing; it must be text"),
        ({"many": [{"itemid": "a"}]}, "many[0].itemid", "there is no such field; did you mean item_id?"),
        ({"pair": [1]}, "pair", "must be a list of 2, not a list of 1"),
        ({"share": 0}, "share", "must be a number above 0 and of at most 1, not 0"),
        ({"share": {}}, "share", "must be a number above 0 and of at most 1, not an object"),
        ({"code": "a b"}, "code", 'must be text that matches ^[a-z]+$, not "a b"'),
        ({"when": 0}, "when", "must be a time such as 2026-11-27T00:00:00Z, not 0"),
        ({"when": "soon"}, "when", 'must be a time such as 2026-11-27T00:00:00Z, not "soon"'),
        ({"flag": 1}, "flag", "must be true or false, not 1"),
        ({"counts": {"a": "b"}}, "counts[...]", "must be a whole number"),
        ({"mode": "x" * 70}, "mode", "must be one of fast, slow, not 70 characters of text"),
        ([], "", "the body must be an object, not an empty list"),
    ],
)
def test_a_refusal_names_the_field_what_it_must_be_and_what_came(given: Any, field: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as bad:
        msgspec.json.decode(msgspec.json.encode(given), type=Asked)
    assert refusal(bad.value, Asked, given, whole="the body") == (field, said)


def test_a_value_that_should_not_be_repeated_is_not() -> None:
    with pytest.raises(msgspec.ValidationError) as bad:
        msgspec.convert({"flag": "secret"}, Asked)
    assert refusal(bad.value, Asked, UNKNOWN, whole="it") == ("flag", "must be true or false")


def test_the_nearest_name_is_told_or_the_first_of_all_of_them() -> None:
    assert near("COFFEE", ["Tea", "Coffee", "coffee"]) == "did you mean Coffee?"
    assert near("x", []) == "known here: none"
    names = [f"name {n}" for n in range(1_017)]
    assert near("?", names).endswith("name 13, name 14 and 1,002 more")


def test_words_of_a_check_of_our_own_come_through() -> None:
    error = msgspec.ValidationError("the two do not fit - at `$.pair`")
    assert refusal(error, Asked, {}, whole="it") == ("pair", "is refused: the two do not fit")
