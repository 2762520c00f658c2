"""Writes docs/settings.md from the declarations in settings.py; a test holds the page to them."""

import inspect
from pathlib import Path

import msgspec

from shortlist.settings import Settings, describe

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


def page() -> str:
    """The page's text."""
    lines = [
        "# Settings",
        "",
        "Made from `settings.py` by `scripts/settings_page.py`. Set them in `shortlist.toml` beside or in",
        "the home folder (`[cache]`, `ttl_s = 600`) or in the environment (`SHORTLIST_CACHE__TTL_S=600`).",
        "`shortlist settings` prints the values that hold and where each came from.",
    ]
    section = ""
    for row in describe(Settings()):
        name, key = row.name.split(".")
        if name != section:
            section = name
            said = next(f.type for f in msgspec.structs.fields(Settings) if f.name == name).__doc__
            lines += [
                "",
                f"## {name}",
                "",
                inspect.cleandoc(said or ""),
                "",
                "| setting | default | meaning |",
                "|---|---|---|",
            ]
        default = msgspec.json.encode(row.default).decode()
        lines.append(f"| `{key}` | `{default}` | {row.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
