"""What a newcomer runs needs nothing that only people at work have installed."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest

LOCKS = Path(__file__).parents[1] / "requirements"
# Refuses to import what is named first, then runs the command that follows.
GUARDED = """
import sys
class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}: it is no part of the base install")
refused = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refuses())
from shortlist.cli import main
sys.argv = ["shortlist", *sys.argv[2:]]
main()
"""


def named(lock: str) -> set[str]:
    """Distributions of a lock, as it spells them."""
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", (LOCKS / lock).read_text(encoding="utf-8"), re.MULTILINE))


def modules_of_others() -> set[str]:
    """Modules at the top whose distributions are all missing from the base lock."""
    base = named("base.lock") | {"shortlist", "pip", "setuptools"}
    return {
        module
        for module, owners in packages_distributions().items()
        if module.isidentifier() and not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & base
    }


def guarded(*command: str) -> None:
    others = ",".join(sorted(modules_of_others()))
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, others, *command], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2_000:]


def test_what_the_tests_need_is_told_apart() -> None:
    assert {"pyarrow", "sklearn", "pytest", "hypothesis"} <= modules_of_others()
    assert not {"numpy", "duckdb", "onnx", "shortlist"} & modules_of_others()


@pytest.mark.slow
def test_import_train_and_recommend_need_the_base_install_alone(tmp_path: Path) -> None:
    home, events, items = tmp_path / "home", tmp_path / "events.csv", tmp_path / "items.csv"
    rng = np.random.default_rng(5)
    rows = [
        f"u{user},i{(user % 5) * 8 + int(item)},view,{1_700_000_000 + 5_000 * user + 60 * step}"
        for user in range(120)
        for step, item in enumerate(rng.integers(0, 8, 8))
    ]
    events.write_text("user_id,item_id,type,ts\n" + "\n".join(rows), encoding="utf-8")
    items.write_text(
        "item_id,title,category\n" + "\n".join(f"i{n},lamp {n} of brass,c{n // 8}" for n in range(40)),
        encoding="utf-8",
    )
    guarded("import", str(events), "--items", str(items), "--home", str(home))
    guarded("train", "--home", str(home))
    for name in ("recs.parquet", "recs.csv", "recs.jsonl"):
        out = tmp_path / name
        guarded("recommend", "--users", "all", "--limit", "3", "--out", str(out), "--home", str(home))
        assert out.stat().st_size > 0
    guarded("doctor", "--home", str(home))
