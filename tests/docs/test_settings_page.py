"""The settings page says what the code declares."""

import runpy
from pathlib import Path

from shortlist.settings import Settings, describe

ROOT = Path(__file__).parents[2]


def test_the_page_is_the_declarations() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "settings_page.py"))["page"]()
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == page, (
        "run: python scripts/settings_page.py"
    )


def test_every_setting_has_a_sentence() -> None:
    assert not [row.name for row in describe(Settings()) if not row.meaning.endswith(".")]
