"""The figures of one trial as a table for people."""

from rich.table import Table
from rich.text import Text

from shortlist.training.evaluate.run import Result
from shortlist.training.evaluate.targets import MUST, SHOULD
from shortlist.training.evaluate.trial import Trial


def drawn(trial: Trial, result: Result) -> Table:
    """One row per method, the targets below."""
    key = (trial.name, trial.protocol)
    title = f"{trial.name} · {trial.protocol} · {len(trial.cases)} cases · fitted in {result.fit_s:.0f} s"
    table = Table(title=title, title_justify="left", caption=_chosen(result), caption_justify="left")
    table.add_column("method")
    for name in trial.headline:
        table.add_column(name, justify="right")
    table.add_column("candidate recall", justify="right")
    table.add_column("ms", justify="right")
    previous = ""
    for line in result.lines:
        if previous and line.kind != previous:
            table.add_section()
        previous = line.kind
        values = [f"{line.figures[name]:.3f}" for name in trial.headline]
        recall = f"{line.recall:.3f}" if line.recall >= 0 else ""
        style = "bold" if line.kind == "chain" else ""
        table.add_row(Text(line.method, style), *values, recall, f"{line.ms:.1f}")
    for word, targets in (("must", MUST), ("should", SHOULD)):
        if key in targets:
            if word == "must":
                table.add_section()
            table.add_row(word, *(f"{value:.3f}" for value in targets[key]), "", "")
    return table


def _chosen(result: Result) -> str:
    params = result.params
    return (
        f"ALS λ {params['als.regularization']} α {params['als.confidence']}; ordered by the "
        f"{params['order']} ({params['ranker.trees']} trees)"
    )
