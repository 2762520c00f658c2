"""`shortlist token`: a token for a user, signed with the home's own key."""

import re
import time

import click

from shortlist.cli.options import home_option, load_settings
from shortlist.gateway.auth import token_for
from shortlist.gateway.keys import signing_secret
from shortlist.gateway.reading import an_id
from shortlist.home import Home

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _ttl(ctx: click.Context, param: click.Parameter, value: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value)
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"{value!r} is no time; write 90s, 15m, 12h or 30d")
    return float(match[1]) * UNITS_S[match[2] or "s"]


@click.command()
@home_option
@click.argument("user")
@click.option("--admin", "scope", flag_value="admin", default=None, help="May do everything.")
@click.option("--service", "scope", flag_value="service", help="A backend: may speak for any user.")
@click.option(
    "--ttl", default="12h", callback=_ttl, metavar="TIME", help="How long it holds: 90s, 15m, 12h, 30d."
)
def command(home: Home, user: str, scope: str | None, ttl: float) -> None:
    """Print a token for USER.

    \b
    Example:
      curl -H "Authorization: Bearer $(shortlist token 42)" \\
           "http://127.0.0.1:8000/recommendations?user_id=42"
    """
    settings = load_settings(home)
    secret = signing_secret(home, settings)
    scopes = [scope] if scope else []
    subject = an_id(user, "USER")
    click.echo(
        token_for(secret, subject, scopes=scopes, ttl_s=ttl, now_s=time.time(), settings=settings.auth)
    )
