from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from shortlist.demo.avatars import STYLES, avatar
from shortlist.demo.icons import ICONS
from shortlist.demo.personas import ROLES, choose


@pytest.mark.parametrize("user_id", ["1", "☕ 42", "\ud800<script>\x00", "x" * 1_000])
def test_an_avatar_is_a_small_well_formed_picture_without_the_users_words(user_id: str) -> None:
    for category in ("", "Cycling", "</svg><script>"):
        address = avatar(user_id, category)
        kind, _, svg = address.partition(",")
        assert kind == "data:image/svg+xml"
        assert len(address) < 2_000
        assert address.isascii()
        assert '"' not in address
        assert "#" not in svg  # would end the address
        assert ElementTree.fromstring(unquote(svg)).tag.endswith("svg")
        assert "script" not in unquote(svg)


def test_the_same_user_keeps_a_face_and_others_have_others() -> None:
    assert avatar("7") == avatar("7")
    assert len({avatar(str(n)) for n in range(100)}) > 90
    assert len({style for style in STYLES for n in range(100) if style in unquote(avatar(str(n)))}) == len(
        STYLES
    )


def test_every_persona_is_drawn() -> None:
    assert all(ICONS[role] for role in ("Cycling", "Coffee"))
    made_up = [role.persona.avatar for role in ROLES]
    real = [persona.avatar for persona in choose({f"u{n}": 40 for n in range(9)}, {})]
    assert len({*made_up, *real}) == len(made_up) + len(real)
    assert all(address.startswith("data:image/svg+xml,") for address in (*made_up, *real))
