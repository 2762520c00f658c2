"""`shortlist rebuild`: fold the log anew after settings of the features changed."""

import time

import click

from shortlist.cli.options import home_option, load_settings
from shortlist.home import Home


@click.command()
@home_option
def command(home: Home) -> None:
    """Throw the features away and fold the log anew, with the settings of today.

    Needed when a setting that features depend on changes (features.session_gap_s, features.history,
    weights.*, log.dedup_window …): other commands then say so. Stop the server first. Where old events were
    dropped from the log (log.retention_days) it begins at the checkpoint that stands for them.

    Interrupted, it is run again, or the next start folds what is left.

    \b
    Example:
      SHORTLIST_FEATURES__SESSION_GAP_S=900 shortlist rebuild
    """
    from shortlist.app.loop import processor, to_rebuild
    from shortlist.progress import bars

    settings = load_settings(home.require())
    started = time.perf_counter()
    with to_rebuild(settings, home) as loop, bars() as report:
        home.trending.unlink(missing_ok=True)  # counted by the old settings; made anew from the log
        starts = loop.features.restart(loop.log)
        folded = processor(settings, loop).fold_all(report)
    click.echo(f"{folded:,} events folded anew in {time.perf_counter() - started:.1f} s")
    if kept := sum(start > 0 for start in starts):
        click.echo(
            f"{kept} of {len(starts)} partitions begin at a checkpoint: what lies before it is no longer in "
            "the log and stays as it was folded then"
        )
    click.echo("`shortlist verify` compares the result with a second replay")
