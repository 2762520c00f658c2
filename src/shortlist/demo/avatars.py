"""Avatars of personas, drawn: emoji are boxes wherever no emoji font is installed."""

import hashlib
from urllib.parse import quote

from shortlist.demo.icons import icon_of

SKINS = ("#f6d3b8", "#e9b58f", "#c98d63", "#9c6644", "#6f4530")
HAIRS = ("#2b2320", "#5b3a21", "#a5632a", "#d6a756", "#8d8d93", "#7a2e2e")
# On a grid of 48 × 48 round a face of radius 10 at (24, 22): what frames it, from behind or on top.
STYLES = (
    "M13 22a11 12 0 0 1 22 0c-3-5-6-7-11-7s-8 2-11 7z",
    "M12 32V21a12 12 0 0 1 24 0v11h-4V20c-5 0-9-1-12-4-1 2-2 4-4 5v11z",
    "M14 20c-3-9 4-12 10-11 8-2 13 4 10 11-2-4-4-5-7-5-5 1-9 0-13 5z",
    "M24 6a4 4 0 1 1 .01 0M13 21a11 11 0 0 1 22 0c-6-4-16-4-22 0z",
)


def avatar(user_id: str, category: str = "") -> str:
    """A picture as a `data:` address, below 2 kB, the same for the same user.

    category: what the user likes best; its drawing stands for them. Without one it is a face."""
    seed = hashlib.sha256(user_id.encode("utf-8", "replace")).digest()
    inner = _drawing(category) if category else _face(seed)
    hue = seed[0] * 360 // 256
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">'
        f'<path fill="hsl({hue} 45% {34 if category else 78}%)" d="M0 0h48v48H0z"/>{inner}</svg>'
    )
    return "data:image/svg+xml," + quote(svg, safe=" ='/:,;()")


def _drawing(category: str) -> str:
    return (
        '<g transform="translate(9 9) scale(1.25)" fill="none" stroke="#fff" stroke-width="1.6" '
        f'stroke-linecap="round" stroke-linejoin="round"><path d="{icon_of(category)}"/></g>'
    )


def _face(seed: bytes) -> str:
    skin, hair = SKINS[seed[1] % len(SKINS)], HAIRS[seed[2] % len(HAIRS)]
    shirt = f"hsl({seed[3] * 360 // 256} 50% 42%)"
    return (
        f'<path fill="{shirt}" d="M7 48c0-10 7-14 17-14s17 4 17 14z"/>'
        f'<circle cx="24" cy="22" r="10" fill="{skin}"/>'
        f'<path fill="{hair}" d="{STYLES[seed[4] % len(STYLES)]}"/>'
        '<path fill="#222" d="M20 22a1.2 1.2 0 1 0 .01 0M28 22a1.2 1.2 0 1 0 .01 0"/>'
        '<path fill="none" stroke="#222" stroke-width="1.2" stroke-linecap="round" d="M21 27q3 2 6 0"/>'
    )
