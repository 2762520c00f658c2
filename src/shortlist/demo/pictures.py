"""A picture for every item: drawn from its id, title, category and brand, so that no shop is without."""

import colorsys
import hashlib
from html import escape

from shortlist.catalog.item import Item
from shortlist.demo.icons import icon_of

# Departments that we know get hues as far from each other as fifteen can be; others get one by their name.
HUES = {
    "Cycling": 205, "Coffee": 24, "Garden": 128, "Gaming": 268, "Baby": 340, "Kitchen": 12,
    "Outdoor": 158, "Fitness": 222, "Books": 42, "Music": 292, "Photography": 192, "Pets": 34,
    "Home office": 240, "Care": 318, "Arts & crafts": 356,
}  # fmt: skip


def picture(item: Item) -> bytes:
    """An SVG of 400 × 300, below 3 kB, the same for the same item. Text in it is escaped and shortened.

    >>> picture(Item(item_id="1", title="<script>")).count(b"<script>")
    0
    """
    category, title = item.category or "", _plain(item.title or item.item_id)
    seed = hashlib.sha256(item.item_id.encode("utf-8", "replace")).digest()
    hue = HUES.get(category, hashlib.sha256(category.encode("utf-8", "replace")).digest()[0] * 360 // 256)
    hue += seed[0] % 25 - 12
    light, dark = _colour(hue, 0.62, 0.62), _colour(hue + 28 + seed[1] % 24, 0.58, 0.36)
    glow = _colour(hue - 30, 0.75, 0.78)
    turn = seed[2] % 360
    size = 4.6 + seed[3] / 256  # times 24: the drawing fills about half of the height
    brand = _cut(_plain(item.brand or ""), 26)
    spots = ((seed[4 + n] * 400 // 256, seed[8 + n] * 300 // 256, 40 + seed[12 + n] // 3) for n in range(3))
    shapes = "".join(f'<circle cx="{x}" cy="{y}" r="{r}"/>' for x, y, r in spots)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300" role="img" '
        f'aria-label="{escape(_cut(title, 80))}">'
        f'<defs><linearGradient id="b" gradientTransform="rotate({turn} .5 .5)">'
        f'<stop stop-color="{light}"/><stop offset="1" stop-color="{dark}"/></linearGradient></defs>'
        '<path fill="url(#b)" d="M0 0h400v300H0z"/>'
        f'<g fill="{glow}" opacity=".18">{shapes}</g>'
        f'<g transform="translate({200 - 12 * size:.1f} {138 - 12 * size:.1f}) scale({size:.2f})" '
        'fill="none" stroke="#fff" stroke-width="1.25" stroke-linecap="round" stroke-linejoin="round" '
        'opacity=".94">'
        f'<path d="{icon_of(category)}"/></g>'
        '<g fill="#fff" font-family="system-ui,sans-serif">'
        f'<text x="20" y="280" font-size="15" opacity=".85">{escape(brand)}</text>'
        '<text x="380" y="282" font-size="26" font-weight="700" text-anchor="end" opacity=".9">'
        f"{escape(_initials(title, brand))}</text></g></svg>"
    ).encode()


def _colour(hue: float, saturation: float, lightness: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(hue % 360 / 360, lightness, saturation)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _initials(title: str, brand: str) -> str:
    """Two letters of what the title says beyond the brand."""
    words = [word for word in title.removeprefix(brand).split() if word[0].isalnum()] or title.split()
    return "".join(word[0] for word in words[:2]).upper()[:3]


def _plain(text: str) -> str:
    """`text` without what XML cannot hold, in one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
