"""A whole evaluation, small: the same questions to every method, and a table of the answers."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from shortlist.progress import silent
from shortlist.ranking.scorer_onnx import OnnxScorer
from shortlist.settings import Settings, TrainingSettings
from shortlist.training.cases import Case
from shortlist.training.evaluate.baselines import baselines
from shortlist.training.evaluate.datasets import READERS, DataMissing, trials
from shortlist.training.evaluate.run import Line, run
from shortlist.training.evaluate.table import drawn
from shortlist.training.evaluate.trial import Trial
from tests.training.made import items, orderly, walks

SETTINGS = Settings(training=TrainingSettings(factors=8, content_dim=8, threads=1))


@pytest.fixture(scope="module")
def trial() -> Trial:
    whole = orderly(90, 16, 30)
    data = walks(whole[:, :-1], n_items=30)
    cases = []
    for user in range(90):
        past = whole[user, :-1]
        n = len(past)
        cases.append(
            Case(
                past, np.arange(n, dtype=np.float64) + 1.7e9, np.ones(n, np.float32), np.zeros(n, np.int32),
                np.zeros(n, np.bool_), relevant=whole[user, -1:],
            )
        )  # fmt: skip
    return Trial(
        "orderly", "LOO", data, items(30), cases, ("HR@5", "NDCG@5"), (5,), excludes_seen=False, repeats=True
    )


@pytest.fixture(scope="module")
def lines(trial: Trial) -> dict[str, Line]:
    (result,) = run([trial], SETTINGS, OnnxScorer, silent, cases=60)
    with StringIO() as page:
        Console(width=100, file=page).print(drawn(trial, result))
        assert "plain ALS" in page.getvalue()
    return {line.method: line for line in result.lines}


def test_every_baseline_scores_items_that_nobody_took_too(trial: Trial) -> None:
    more = replace(trial.data, item_ids=[*trial.data.item_ids, "x", "y"])
    wide = replace(trial, data=more, items=items(32))
    als = {"regularization": 1.0, "confidence": 10.0}
    for method in baselines(wide, SETTINGS.training, als):
        assert method.scores(trial.cases[0]).shape == (32,), method.name


def test_every_method_is_asked_the_same(lines: dict[str, Line]) -> None:
    assert {line.cases for line in lines.values()} == {60}
    for method in (
        "popularity",
        "plain ALS",
        "tuned ALS",
        "item-kNN",
        "EASE",
        "own purchases",
        "transitions",
    ):
        assert method in lines


def test_what_knows_the_order_beats_what_does_not(lines: dict[str, Line]) -> None:
    ours = lines["shortlist, rules off"].figures["HR@5"]
    assert ours > 0.8  # nine of ten steps are foreseeable
    assert ours > lines["plain ALS"].figures["HR@5"]
    assert lines["shortlist, rules off"].recall >= ours


def test_rules_cost_what_they_cost(lines: dict[str, Line]) -> None:
    on, off = lines["shortlist, rules on"].figures, lines["shortlist, rules off"].figures
    assert on["HR@5"] <= off["HR@5"] + 0.05


def test_a_folder_without_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"expected folders named ncf-ml-1m"):
        trials(tmp_path)


def test_a_data_set_that_there_is_not_is_told_from_a_folder_without_any(tmp_path: Path) -> None:
    for name in ("ml-100k", "online-retail"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataMissing, match=r"no data set is called nosuch; .* ml-100k, online-retail$"):
        trials(tmp_path, "nosuch")
    assert len(trials(tmp_path, "retail")) == 1


@pytest.mark.data
@pytest.mark.parametrize("name", ["ml-100k", "yoochoose-100k", "online-retail", "ml-latest-small"])
def test_public_data_is_read_as_it_is_described(data: Path, name: str) -> None:
    if not (data / name).is_dir():
        pytest.skip(f"no {name} in {data}")
    for trial in READERS[name](data / name):
        assert (np.diff(trial.data.ts_s) >= 0).all()
        assert len(trial.cases) > 20
        for case in trial.cases[:50]:
            assert len(case.relevant)
            assert (case.relevant < len(trial.items)).all()
            if trial.protocol != "SESS-unseen" and trial.excludes_seen:
                assert not np.isin(case.relevant, case.items).any()


@pytest.mark.data
def test_the_ncf_split_has_the_counts_that_are_published(data: Path) -> None:
    sampled, full = READERS["ncf-ml-1m"](data / "ncf-ml-1m")
    assert len(full.data.users) == 994_169
    assert len(full.cases) == len(sampled.cases) == 6_040
    sizes = [len(case.among) for case in sampled.cases if case.among is not None]
    assert set(sizes) <= set(range(80, 101))  # NCF's negatives repeat now and then
