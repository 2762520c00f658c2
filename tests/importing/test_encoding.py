import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.importing.encoding import WIDE, encoding_of
from shortlist.importing.problem import Unreadable

WRITTEN = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=30)


@pytest.mark.parametrize("encoding", WIDE)
@given(st.lists(WRITTEN, min_size=1, max_size=20))
def test_lines_of_any_script_say_which_wide_encoding_they_are_in(encoding: str, rows: list[str]) -> None:
    text = "user_id,item_id\n" + "".join(f"{row},x\n" for row in rows)
    assert encoding_of(text.encode(encoding)) == encoding


@given(st.lists(WRITTEN, min_size=1, max_size=20))
def test_utf_8_is_taken_for_nothing_else(rows: list[str]) -> None:
    assert encoding_of("\n".join(rows).encode()) == "utf-8"


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("encoding", WIDE)
def test_a_head_may_end_within_a_character(encoding: str, cut: int) -> None:
    assert encoding_of("a,b\nслово,🥕".encode(encoding)[:-cut]) == encoding


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float64])
def test_numbers_are_no_text(kind: type) -> None:
    assert encoding_of(np.arange(5_000, dtype=kind).tobytes()) == "utf-8"


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "undefined"])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(Unreadable, match=f"no encoding '{encoding}'; try utf-8"):
        encoding_of(b"a,b", encoding)
