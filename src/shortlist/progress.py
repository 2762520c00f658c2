"""How long work tells how far it is: the worker reports, the command line draws."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Report = Callable[[str, float], None]
"""Called with the name of the stage and the share of it that is done, in [0, 1]."""


def silent(stage: str, done: float) -> None:
    """Report to nobody."""


@contextmanager
def bars() -> Iterator[Report]:
    """Draw one bar per stage on the terminal's error stream; plain lines where it is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, done: float) -> None:
            if stage not in tasks:
                tasks[stage] = int(progress.add_task(stage, total=1.0))
            progress.update(tasks[stage], completed=done)  # type: ignore[arg-type]  # rich's TaskID is an int

        yield report
