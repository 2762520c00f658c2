"""Settings of the fold: a change is named, and folding anew is what a second implementation finds."""

import signal
import subprocess
import sys

import pytest
from msgspec import structs

from shortlist.events.log import EVENTS
from shortlist.features.processor import Processor
from shortlist.features.retention import retain
from shortlist.features.store import FoldChanged, RebuildUnfinished
from shortlist.features.verify import verify
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import FeatureSettings, LogSettings, Settings, WeightSettings
from tests.features.conftest import PARTITIONS, Opened, Room
from tests.features.made import DAY_MS, START_MS
from tests.features.test_verify import shopping

BEFORE = Settings(log=LogSettings(dedup_window=20))
NOW = Settings(
    log=LogSettings(dedup_window=3),
    features=FeatureSettings(
        history=40,
        session_gap_s=0.5,
        expire_days=1.0,
        affinity_half_life_days=0.1,
        fatigue_half_life_days=0.5,
    ),
    weights=WeightSettings(view=0.5),
)
INDIFFERENT = {"url", "batch", "trending_half_life_h"}  # of `features.*`: where, how and what else


def rebuilt(room: Room) -> int:
    """The command's two steps; how many events were folded anew."""
    room.store.restart(room.log)
    return Processor(room.log, room.store).fold_all()


def test_every_setting_of_features_is_declared_or_known_not_to_matter() -> None:
    declared = user_view(Settings()).declared
    names = {name.removeprefix("features.") for name in declared if name.startswith("features.")}
    assert names | INDIFFERENT == set(FeatureSettings.__struct_fields__)
    assert {f"weights.{name}" for name in WeightSettings.__struct_fields__} < set(declared)


def test_changed_settings_are_named_with_what_to_do(opened: Opened) -> None:
    with opened(BEFORE) as room:
        room.store.agree()
        room.store.agree()
    with opened(structs.replace(BEFORE, features=FeatureSettings(session_gap_s=900.0))) as room:
        with pytest.raises(FoldChanged, match="`shortlist rebuild`") as changed:
            room.store.agree()
        assert "features.session_gap_s = 1800 (now 900)" in str(changed.value)
        assert "history" not in str(changed.value)


def test_a_rebuild_is_what_the_second_implementation_finds(opened: Opened) -> None:
    with opened(BEFORE) as room:
        room.store.agree()
        room.append(*shopping(600))
        Processor(room.log, room.store).fold_all()
        room.store.checkpoint(0)
        room.store.delete("u3")
        room.append(*shopping(60, start=600))
        Processor(room.log, room.store).fold_all()
    with opened(NOW) as room:
        assert verify(room.log, room.store, NOW).differing > 0
        assert rebuilt(room) == 660
        room.store.agree()
        found = verify(room.log, room.store, NOW)
        assert (found.users, found.differing, found.differences) == (7, 0, [])
        room.append(*shopping(100, start=640))
        Processor(room.log, room.store).fold_all()
        assert verify(room.log, room.store, NOW).differing == 0


def test_a_truncated_log_is_folded_from_its_checkpoints(opened: Opened) -> None:
    clock = [START_MS]
    with opened(BEFORE, lambda: clock[0]) as room:
        room.append(*shopping(2_000))
        Processor(room.log, room.store).fold_all()
        clock[0] += 40 * DAY_MS
        assert retain(room.log, room.store, days=30, dedup_window=20, now_ms=clock[0], least=50) > 1_000
        room.append(*shopping(300, start=1_990))  # the first ten repeat what lies before the checkpoint
        Processor(room.log, room.store).fold_all()
    wider = structs.replace(NOW, log=LogSettings(dedup_window=15))
    with opened(wider, lambda: clock[0]) as room:
        assert rebuilt(room) == 300
        assert verify(room.log, room.store, wider).differences == []
    with opened(wider, lambda: clock[0]) as room:  # and again, from what the first one left
        assert rebuilt(room) == 300
        assert verify(room.log, room.store, wider).differences == []


KILLED = """
import os, pathlib, signal, sys
from shortlist.database import open_database
from shortlist.events.log import EVENTS
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import Settings

class Killing(RocksLog):
    def begins(self, topic):
        os.kill(os.getpid(), signal.SIGKILL)

database = open_database(Home(pathlib.Path(sys.argv[1])))
log = Killing(database, {EVENTS: int(sys.argv[2])})
RocksFeatures(database, user_view(Settings()), partitions=int(sys.argv[2]), dedup_window=20).restart(log)
"""


def test_a_rebuild_that_was_killed_says_to_run_it_again(home: Home, opened: Opened) -> None:
    with opened(BEFORE) as room:
        room.store.agree()
        room.append(*shopping(100))
        Processor(room.log, room.store).fold_all()
    words = [sys.executable, "-c", KILLED, str(home.path), str(PARTITIONS)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    with opened(BEFORE) as room:
        with pytest.raises(RebuildUnfinished, match="run `shortlist rebuild` again"):
            room.store.agree()
        assert rebuilt(room) == 100
        room.store.agree()
        assert verify(room.log, room.store, BEFORE).differing == 0


def test_killed_while_folding_anew_it_goes_on_at_the_next_start(opened: Opened) -> None:
    with opened(BEFORE) as room:
        room.append(*shopping(100))
        Processor(room.log, room.store).fold_all()
    with opened(NOW) as room:
        room.store.restart(room.log)  # and not one event more
    with opened(NOW) as room:
        room.store.agree()
        assert sum(room.log.ends(EVENTS)) == Processor(room.log, room.store).fold_all() == 100
        assert verify(room.log, room.store, NOW).differing == 0
