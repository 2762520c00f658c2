"""A stretch of the log with holes in it."""

import asyncio

from shortlist.database import Database
from shortlist.events.log import EVENTS, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.events.scan import scan


def test_damage_and_what_is_gone_cost_their_own_records_alone(database: Database) -> None:
    log = RocksLog(database, {EVENTS: 1})
    asyncio.run(log.append(EVENTS, [Record("u", b"%d" % n) for n in range(12)]))
    entries = database.families["log"]
    keys = list(entries.keys())
    entries[keys[4]] = entries[keys[5]]
    log.truncate(EVENTS, 0, 2)
    for at_once in (1, 3, 100):
        found = [stored.offset for stored in scan(log, EVENTS, 0, 0, 10, at_once=at_once)]
        assert found == [2, 3, 5, 6, 7, 8, 9]
    assert not list(scan(log, EVENTS, 0, 12, 12))
    log.close()
