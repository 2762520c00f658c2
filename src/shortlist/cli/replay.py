"""`shortlist replay`: the last slates made again from their records."""

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.home import Home

if TYPE_CHECKING:
    from shortlist.serving.remade import Replay

SHOWN = 10  # slates that differ which are told


@click.command()
@home_option
@click.option("--sample", type=click.IntRange(1, 100_000), default=1_000, help="How many of the last slates.")
@json_option
def command(home: Home, sample: int, as_json: bool) -> None:
    """Make the last slates again from what they were made from, bit for bit.

    Each is equal, or an input that is gone is named: a model that was deleted, events that left the log. Exit
    code 1 when one differs without such a reason, which is a fault. Beside a running server.

    \b
    Example:
      shortlist replay --sample 1000
    """
    from shortlist.app.beside import open_explainer
    from shortlist.ops import logs

    settings = load_settings(home.require())
    logs.set_up("warning")
    with open_explainer(settings, home) as explainer:
        traces = explainer.traces.last(sample)
        found = list(explainer.replayer.replays(traces))
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for line in told(found):
            click.echo(line)
    if any(replay.verdict == "differs" for replay in found):
        sys.exit(1)


def told(found: "list[Replay]") -> list[str]:
    """What came of it, a line each."""
    if not found:
        return ["no slates were served yet, or the server has not written them to the log"]
    verdicts = Counter(replay.verdict for replay in found)
    lines = [
        f"{len(found):,} slates: {verdicts['equal']:,} equal, {verdicts['named']:,} with an input gone, "
        f"{verdicts['differs']:,} differ"
    ]
    why: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for replay in found:
        for missing in replay.missing:
            why.setdefault(missing.input, missing.why)
            counts[missing.input] += 1
    lines += [f"  {name} ({count:,}): {why[name]}" for name, count in counts.most_common()]
    differ = [replay for replay in found if replay.verdict == "differs"]
    for replay in differ[:SHOWN]:
        lines.append(f"  {replay.request_id} differs:")
        for part, of in (("pool", replay.pool), ("slate", replay.slate)):
            lines += [
                f"    {part}, place {one.place}: was {one.was}, is {one.now}" for one in of.differences[:3]
            ]
    return lines
