"""The commands: each is a file of its own, loaded when it is called, so that `--help` stays quick."""

import importlib
import sys
from typing import Any

import click

from shortlist import __version__
from shortlist.errors import ShortlistError

INTERRUPTED = 130  # the exit code after Ctrl-C: 128 and the signal's number

# Name → module and the line that `shortlist --help` shows, so that listing commands imports none of them.
COMMANDS = {
    "demo": ("demo", "Make a shop, train, serve: recommendations on screen in a minute."),
    "import": ("import_", "Bring events and items in from files."),
    "train": ("train", "Train models from the log and put the better one to work."),
    "serve": ("serve", "Answer requests."),
    "recommend": ("recommend", "Write recommendations for many users to a file."),
    "evaluate": ("evaluate", "Measure quality offline, against baselines."),
    "why": ("why", "Say why a user gets an item, or does not, or how one slate came about."),
    "replay": ("replay", "Make the last slates again from their records, and say whether they are the same."),
    "exploration": ("exploration", "Show what new items were promised, got, taught and cost."),
    "doctor": ("doctor", "Say why recommendations are empty or poor, and what to do."),
    "verify": ("verify", "Replay the log naively and count the users whose features differ."),
    "rebuild": ("rebuild", "Fold the log anew after settings of the features changed."),
    "rules": ("rules", "Pin, boost, bury, hide and filter items, and try out what that does."),
    "models": ("models", "List model versions, or go back to the one before."),
    "token": ("token", "Print a token for a user."),
    "settings": ("settings", "Print every setting with its meaning, value and origin."),
}


class Commands(click.Group):
    """Loads a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"shortlist.cli.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words name; suggests the nearest when there is none."""
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See 'shortlist --help'."
            raise click.UsageError(f"No command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C is one line, and the exit code that shells expect."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted. The same command starts again; what was finished is kept.", err=True)
            ctx.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of `shortlist --help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shortlist")
@click.option("--home", metavar="DIR", help="Folder with all state; may also stand after the command.")
def shortlist(home: str | None) -> None:
    """Real-time recommendations a team can own.

    \b
    Example:
      shortlist demo            a shop to click on, at http://127.0.0.1:8000
    """


def main(args: list[str] | None = None) -> Any:
    """Run a command; a known error is one line on stderr and exit code 1."""
    try:
        return shortlist.main(args=args, prog_name="shortlist", standalone_mode=True)
    except ShortlistError as error:
        click.echo(f"shortlist: {error}", err=True)
        sys.exit(1)
