"""`shortlist serve`: answer requests."""

import click
import msgspec

from shortlist.cli.options import home_option, load_settings
from shortlist.home import Home


@click.command()
@home_option
@click.option("--host", help="Address to listen on (setting server.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (setting server.port).")
def command(home: Home, host: str | None, port: int | None) -> None:
    """Answer requests until SIGTERM or Ctrl-C: both loops in one process.

    \b
    Example:
      shortlist serve --port 8000
      curl -H "Authorization: Bearer $(shortlist token 42)" \\
           "http://127.0.0.1:8000/recommendations?user_id=42"
    """
    from shortlist.process import serve

    settings = load_settings(home)
    changed = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    server = msgspec.structs.replace(settings.server, **changed)
    serve(msgspec.structs.replace(settings, server=server), home, say=click.echo)
