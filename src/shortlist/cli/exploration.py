"""`shortlist exploration`: the ledger of new items."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.home import Home

if TYPE_CHECKING:
    from shortlist.coldstart.accounts import Account, Accounts

HEAD = (
    f"{'item':<28} {'status':<11} {'users':>6} {'promised':>8} {'delivered':>9} {'clicks':>6} {'bought':>6}  "
    f"{'CTR [bounds]':<23} {'cost':>8}  next"
)


@click.command()
@home_option
@click.option(
    "--all", "show_all", is_flag=True, help="Also items that became ordinary ones or left the shop."
)
@json_option
def command(home: Home, show_all: bool, as_json: bool) -> None:
    """Show what new items were promised, got, taught and cost.

    Read from the log as of now, beside a running server.

    \b
    Example:
      shortlist exploration
    """
    from shortlist.app.beside import accounts_of
    from shortlist.ops import logs

    settings = load_settings(home.require())
    logs.set_up("warning")
    found = asyncio.run(accounts_of(settings, home))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for line in told(found, show_all):
        click.echo(line)


def told(found: "Accounts", show_all: bool) -> list[str]:
    """The ledger in words, a line each."""
    if not found.enabled:
        return ["exploration is off (setting exploration.enabled): new items wait for the next training"]
    past = ("graduated", "gone")
    shown = [item for item in found.items if show_all or item.status not in past]
    left_out = len(found.items) - len(shown)
    lines = [HEAD, *map(_line, shown)] if shown else ["no new items since the last training"]
    if found.items:
        cost = "not known yet" if found.cost is None else f"{found.cost:+.1f}"
        lines.append(
            f"{found.promised:,} places promised, {found.delivered:,} seen, {found.clicks:,} clicks; "
            f"cost in clicks: {cost}"
        )
    lines.append(
        f"An item is judged at every {found.impressions:,} impressions against {found.ctr:.1%} clicks "
        f"({found.confidence:.0%} one-sided) and retires at {found.limit:,}."
    )
    if left_out:
        lines.append(f"{left_out} items of the past are not shown; --all shows them.")
    return lines


def _line(item: "Account") -> str:
    name = f"{item.item_id} {item.title or ''}".strip()
    name = name if len(name) <= 28 else name[:27] + "…"
    ctr = f"{item.ctr:.2%} [{item.ctr_low:.2%}, {item.ctr_high:.2%}]" if item.ctr is not None else ""
    cost = f"{item.cost:+.1f}" if item.cost is not None else "?"
    if item.decision is not None:
        after = f"{item.decision.verdict} at {item.decision.impressions:,} ({item.decision.why})"
    else:
        after = f"judged in {item.until_decision:,}" if item.until_decision is not None else ""
    return (
        f"{name:<28} {item.status:<11} {item.share:>6.0%} {item.promised:>8,} {item.delivered:>9,} "
        f"{item.clicks:>6,} {item.purchases:>6,}  {ctr:<23} {cost:>8}  {after}"
    ).rstrip()
