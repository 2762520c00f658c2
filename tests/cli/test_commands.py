"""What all commands share, and what `serve` and `demo` say."""

import json
import signal
import subprocess
import sys
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


@pytest.mark.server
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_server_that_is_ended_says_how_to_start_again(home: Home, how: signal.Signals, code: int) -> None:
    words = [sys.executable, "-m", "shortlist", "--home", str(home.path), "serve", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        next(line for line in server.stdout if "serves at" in line)
        server.send_signal(how)
        said, log = server.communicate(timeout=60)
    assert f"Again: the same command, or shortlist serve --home {home.path}" in said
    assert (server.returncode, "Traceback" in log) == (code, False)


def test_an_interrupted_command_is_one_line_and_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shortlist.cli.settings.settings.load", interrupted)
    done = CliRunner().invoke(shortlist, ["settings"])
    assert (done.exit_code, done.output.strip()) == (
        130,
        "Interrupted. The same command starts again; what was finished is kept.",
    )


def test_the_doctor_tells_programs_the_same_as_people(trained_home: Home) -> None:
    said, as_json = (
        CliRunner().invoke(shortlist, ["--home", str(trained_home.path), "doctor", *more])
        for more in ([], ["--json"])
    )
    findings = json.loads(as_json.output)
    assert said.exit_code == as_json.exit_code
    assert [one["said"] in said.output for one in findings] == [True] * len(findings)
