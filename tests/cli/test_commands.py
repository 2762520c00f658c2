"""What all commands share, and what `serve` and `demo` say."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from shortlist.cli import shortlist
from shortlist.cli.serve import _framed
from shortlist.home import Home
from shortlist.process import greeting


def test_home_may_stand_before_the_command(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("user_id,item_id\nu,x\n")
    before, after = tmp_path / "before", tmp_path / "after"
    for words in (["--home", before, "import", file], ["--home", before, "import", file, "--home", after]):
        done = CliRunner().invoke(shortlist, [str(word) for word in words])
        assert done.exit_code == 0, done.output
    assert before.is_dir()
    assert after.is_dir()  # the nearer one wins


def test_a_home_without_a_model_is_greeted_with_what_to_do_first(home: Home) -> None:
    said = "\n".join(greeting("http://127.0.0.1:8000", home, Path("x.log")))
    assert said.startswith("shortlist serves at http://127.0.0.1:8000 ")
    assert "its log: x.log" in said
    assert "`shortlist import PATH`" in said
    assert "`shortlist train`" in said


def test_a_trained_home_is_greeted_with_its_address_alone(trained_home: Home) -> None:
    assert greeting("http://127.0.0.1:8000", trained_home, None) == [
        "shortlist serves at http://127.0.0.1:8000 (Ctrl-C ends)"
    ]


def test_what_must_not_get_lost_is_framed(capsys: pytest.CaptureFixture[str]) -> None:
    _framed(["one line", "two"])
    assert capsys.readouterr().out.splitlines() == [
        "┌──────────┐",
        "│ one line │",
        "│ two      │",
        "└──────────┘",
    ]
