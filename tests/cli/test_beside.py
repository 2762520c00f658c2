"""Training, rolling back and batches beside a running server: the server follows, and both say the same."""

import asyncio
import csv
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from tests.cli.conftest import fill

from shortlist import settings as settings_tree
from shortlist.app.loop import owned, processor
from shortlist.cli import shortlist
from shortlist.home import Home

pytestmark = pytest.mark.server

# What only a server has: a live count of what trends, and slates that explore.
ALIKE = """
[candidates]
trending = 0
[coldstart]
explores = "off"
[exploration]
enabled = false
[rules]
trending_boost = 0.0
"""
USERS = [f"u{n}" for n in range(18)]
PATIENCE_S = 30.0


def run(home: Home, *words: str) -> str:
    done = CliRunner().invoke(shortlist, ["--home", str(home.path), *words])
    if done.exception:
        raise AssertionError(done.output) from done.exception
    return done.output


@pytest.fixture
def asked(home: Home) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A server over a trained shop; asks it for somebody's slate."""
    home.make()
    (home.path / "shortlist.toml").write_text(ALIKE)
    asyncio.run(fill(home))
    settings = settings_tree.load(home.path, {})[0]
    with owned(settings, home) as loop:
        processor(settings, loop).fold_all()
    run(home, "train")
    words = [sys.executable, "-m", "shortlist", "serve", "--home", str(home.path), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        url = next(found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line)))
        token = run(home, "token", "bench", "--service").strip()

        def ask(user: str) -> dict[str, Any]:
            answer = httpx.get(
                f"{url}/recommendations?user_id={user}", headers={"authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        yield ask
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def until_served_by(version: str, ask: Callable[[str], dict[str, Any]]) -> None:
    end = time.monotonic() + PATIENCE_S
    while ask("u3")["model"]["version"] != version:
        assert time.monotonic() < end, f"version {version} does not come"
        time.sleep(0.05)


def test_a_running_server_follows_training_and_rollback_and_batches_say_what_it_says(
    home: Home, asked: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    assert asked("u3")["model"]["version"] == "1"
    run(home, "train")
    until_served_by("2", asked)
    assert asked("u3")["tier"] in ("fresh", "cache")

    served = {user: [i["item_id"] for i in asked(user)["recommendations"]] for user in USERS}
    batch = defaultdict[str, list[str]](list)
    run(home, "recommend", "--users", "all", "--include-seen", "--out", str(tmp_path / "r.csv"))
    with (tmp_path / "r.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            batch[row["user"]].append(row["item"])
    assert {user: batch[user] for user in USERS} == served

    run(home, "models", "rollback")
    until_served_by("1", asked)
