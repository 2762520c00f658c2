"""The learning curves as a picture."""

from collections.abc import Sequence

from bench._learning import KNOWN, Curve

WIDTH, HEIGHT, LEFT, TOP, GAP = 280, 200, 46, 44, 30
STYLES = {
    "popularity": ("#8a8f98", "2 4"),
    "ALS fold-in": ("#c2410c", "6 4"),
    "shortlist": ("#2563eb", ""),
    "shortlist, exploring": ("#0d9488", "1 3"),
}


def drawn(curves: Sequence[Curve]) -> str:
    """One panel per data set, a line per method; readable on a light and on a dark page."""
    width = LEFT + len(curves) * (WIDTH + LEFT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 78}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img" '
        'aria-label="NDCG@10 after the first interactions of people held out of training">',
        '<rect width="100%" height="100%" rx="6" fill="#ffffff"/><g fill="#1f2933">',
    ]
    for number, one in enumerate(curves):
        parts += _panel(one, LEFT + 10 + number * (WIDTH + LEFT + GAP))
    parts += _legend(TOP + HEIGHT + 58)
    return "\n".join([*parts, "</g></svg>"]) + "\n"


def _panel(one: Curve, x0: int) -> list[str]:
    highest = max(max(values) for values in one.lines.values()) * 1.1
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if highest / s <= 6)

    def x(known: int) -> float:
        return x0 + WIDTH * known / max(KNOWN)

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - value / highest)

    parts = [f'<text x="{x0}" y="{TOP - 20}" font-weight="600">{one.data}, {one.people} people</text>']
    for tick in range(int(highest / step) + 1):
        at = y(tick * step)
        parts.append(
            f'<path d="M{x0} {at:.1f}h{WIDTH}" stroke="#d8dce2" fill="none"/>'
            f'<text x="{x0 - 6}" y="{at + 4:.1f}" text-anchor="end">{tick * step:.2f}</text>'
        )
    parts += [
        f'<text x="{x(known):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{known}</text>'
        for known in KNOWN
    ]
    for method, values in one.lines.items():
        colour, dash = STYLES[method]
        points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in zip(KNOWN, values, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.2" '
            f'stroke-dasharray="{dash}" stroke-linecap="round"/>'
        )
        for n, value in zip(KNOWN, values, strict=True):
            parts.append(f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="2.6" fill="{colour}"/>')
    return parts


def _legend(at: int) -> list[str]:
    parts = [f'<text x="{LEFT + 10}" y="{at - 18}" fill="#5b6470">NDCG@10 by interactions so far</text>']
    left = LEFT + 10
    for method, (colour, dash) in STYLES.items():
        parts.append(
            f'<path d="M{left} {at}h26" stroke="{colour}" stroke-width="2.2" stroke-dasharray="{dash}"/>'
            f'<text x="{left + 32}" y="{at + 4}">{method}</text>'
        )
        left += 60 + 7 * len(method)
    return parts
