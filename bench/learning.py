"""What the first interactions of somebody new teach: NDCG@10 after 0, 1, 3, 5 and 10 of them, on public data.

No model knows them. Where times are times they are asked window by window, each of models of what came before
it (a rolling origin), so that there are enough of them. Measured against popularity and ALS fold-in alone,
exploration off, rules off; and once more exploring, which is the price of learning about them. `--svg FILE`
draws it.
"""

import argparse
import os
import time
from pathlib import Path

from bench._learning import DATA, KNOWN, Curve, curve
from bench._learning_svg import drawn
from bench._server import report
from shortlist.ops.logs import set_up
from shortlist.progress import silent

FOLDER = os.environ.get("SHORTLIST_DATA", "../shared/data")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svg", type=Path, help="draw the curves here")
    parser.add_argument("--only", default="", help="part of a data set's name")
    chosen = parser.parse_args()
    set_up("warning")
    curves: list[Curve] = []
    for name in DATA:
        if chosen.only in name and (Path(FOLDER) / name).is_dir():
            began = time.perf_counter()
            curves.append(curve(Path(FOLDER), name, silent))
            told(curves[-1], time.perf_counter() - began)
    if chosen.svg is not None and curves:
        chosen.svg.write_text(drawn(curves), encoding="utf-8")
    report(
        bench="learning",
        against="popularity at 0, ALS fold-in from 1 on",
        **{f"{c.data}_{n}": round(c.lines["shortlist"][at], 4) for c in curves for at, n in enumerate(KNOWN)},
        **{
            f"{c.data}_{n}_against": round(c.lines["ALS fold-in" if n else "popularity"][at], 4)
            for c in curves
            for at, n in enumerate(KNOWN)
        },
    )


def told(one: Curve, seconds: float) -> None:
    """Print a curve as a table."""
    print(
        f"{one.data}: {one.people} people in {one.windows} windows, NDCG@10 after so many interactions "
        f"({seconds:.0f} s)"
    )
    print(f"  {'':22}" + "".join(f"{n:>16}" for n in KNOWN))
    for method, values in one.lines.items():
        print(f"  {method:22}" + "".join(f"{value:16.4f}" for value in values))
    for other, ahead in (("popularity", one.of_popular), ("ALS", one.of_als)):
        print(f"  {f'ahead of {other}':22}" + "".join(f"{a.mean:+9.4f} ±{a.margin:.4f}" for a in ahead))


if __name__ == "__main__":
    main()
