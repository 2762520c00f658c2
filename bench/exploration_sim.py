"""New items in a shop of people with known tastes: who is promoted, who stops, and what finding out cost.

`python -m bench.exploration_sim [users] [visits each]`. The loop is the real one (serving, log, processor,
ledger) without HTTP; a second run with exploration off has the same visitors with the same luck.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench._closed_loop import PLACE, Run, closed_loop, simulated, world
from bench._server import report
from shortlist.coldstart.wilson import bounds
from shortlist.ops.logs import set_up
from shortlist.settings import ExplorationSettings, Settings

USERS, VISITS = 10_000, 4
LEVELS = (0.08, 0.06, 0.05, 0.03, 0.015, 0.01, 0.005, 0.0)


def main() -> None:
    set_up("warning")
    given = [int(number) for number in sys.argv[1:]]
    users, visits = [*given, *(USERS, VISITS)[len(given) :]]
    made = world(users, LEVELS)
    print(f"{users} users visit {visits} times each; {len(LEVELS)} new items")
    runs = {}
    for name, is_on in (("on", True), ("off", False)):
        settings = simulated(Settings(exploration=ExplorationSettings(enabled=is_on)))
        began = perf_counter()
        with TemporaryDirectory() as folder:
            runs[name] = asyncio.run(closed_loop(made, settings, Path(folder) / "home", visits))
        print(f"exploration {name}: {perf_counter() - began:.0f} s")
    on, off = runs["on"], runs["off"]
    cost, estimated, differing = told(on, off)
    lost = 1.0 - on.truth.total_chances / off.truth.total_chances
    print(
        f"clicks: {on.truth.total_clicks} with exploration, {off.truth.total_clicks} without ({-lost:+.2%})"
    )
    rows = on.ledger.rows
    verdicts = {i: d.verdict for i, row in rows.items() if (d := row.decision) is not None}
    good = [i for i, level in on.levels.items() if level > 0.03]
    bad = [i for i, level in on.levels.items() if level < 0.03]
    report(
        bench="exploration_sim",
        against="exploration off",
        users=users,
        visits=users * visits,
        good_promoted=sum(verdicts.get(i) == "promoted" for i in good),
        good=len(good),
        good_share=round(sum(on.shares[i] for i in good) / len(good), 3),
        bad_retired=sum(verdicts.get(i) == "retired" for i in bad),
        bad=len(bad),
        ledger_figures_that_differ=differing,
        most_per_user=max(on.truth.of_pair.values()),
        clicks_on=on.truth.total_clicks,
        clicks_off=off.truth.total_clicks,
        expected_clicks_lost_share=round(lost, 5),
        cost_true=round(cost, 1),
        cost_by_ledger=round(estimated, 1),
    )


def told(on: Run, off: Run) -> tuple[float, float, int]:
    """Print the ledger against the truth; the cost in clicks by both, and how many figures differ."""
    worth = off.truth.place_chances[PLACE] / off.truth.place_seen[PLACE]
    believed = on.ledger.place_ctr(PLACE)
    assert believed is not None
    print(f"the place is worth {worth:.2%} per impression, the panel says {believed:.2%}")
    print(
        "level   promised seen  clicks  CTR [95 %]              decision         at     share  cost (ledger)"
    )
    true = estimated = 0.0
    differing = 0
    for item_id, level in on.levels.items():
        row, truth = on.ledger.row(item_id), on.truth
        differing += sum(
            said != happened
            for said, happened in (
                (row.served, truth.served[item_id]),
                (row.impressions, truth.seen[item_id]),
                (row.clicks, truth.clicks[item_id]),
                (row.purchases, truth.purchases[item_id]),
            )
        )
        low, high = bounds(row.clicks, row.impressions)
        decision = row.decision
        cost = worth * row.impressions - truth.chances[item_id]
        by_ledger = (on.ledger.expected(row) or 0.0) - row.clicks
        true, estimated = true + cost, estimated + by_ledger
        learned = f"{row.clicks / max(1, row.impressions):.2%} [{low:.2%}, {high:.2%}]"
        verdict = f"{decision.verdict} ({decision.why})" if decision else "undecided"
        at = decision.impressions if decision else 0
        print(
            f"{level:6.2%} {row.served:8} {row.impressions:6} {row.clicks:6}  {learned:<22} "
            f"{verdict:<16} {at:6}  {on.shares[item_id]:6.1%}  {cost:6.1f} ({by_ledger:.1f})"
        )
    return true, estimated, differing


if __name__ == "__main__":
    main()
