"""The embedded database: one RocksDB per home that holds the event log and the features."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from shortlist.errors import ShortlistError
from shortlist.home import Home

# Log: "log" and "meta". Features: "features" (one state per user), "past" (older parts of histories),
# "marks" (bought, rated, disliked), "dedup", "checkpoint". One write-ahead log under all of them, so a
# crash leaves a prefix of everything: never features that are ahead of their log.
FAMILIES = ("log", "meta", "features", "past", "marks", "dedup", "checkpoint")

_MB = 1 << 20
STALL_S = 0.002


class DatabaseError(ShortlistError):
    """The embedded database cannot be opened, or refused a write."""


class SyncFailed(DatabaseError):
    """What was written may not be on the disk; a second try proves nothing, so start the process anew."""


class DatabaseOwned(DatabaseError):
    """Another process has the database open for writing; the message names it."""


class DatabaseMissing(DatabaseError):
    """There is no database in this home yet; import events or serve first."""


class Database:
    """One open RocksDB. Keys and values are bytes. Threads may share it."""

    def __init__(self, db: Rdict, path: Path, follows: Any = None) -> None:
        self.path = path
        self.is_reader = follows is not None
        self._db = db
        self._follows = follows  # the temporary folder of a reader
        self._options = WriteOptions()
        self._options.no_slowdown = True  # see `write`
        # Any: in raw mode a family is bytes in, bytes out, which the binding's own types do not know.
        self.families: dict[str, Any] = {name: db.get_column_family(name) for name in FAMILIES}
        self.handles: dict[str, Any] = {name: db.get_column_family_handle(name) for name in FAMILIES}

    def write(self, batch: WriteBatch, *, sync: bool = False) -> None:
        """Write a batch atomically; with `sync`, return only when it is on the disk.

        Without `sync` it survives a crash of this process but not of the machine.
        Raises DatabaseError with the engine's reason, SyncFailed when it may not be on the disk."""
        while True:
            try:
                self._db.write(batch, self._options)
                break
            except Exception as error:  # the binding knows one error type only
                # A write holds the GIL (about 1 µs per record), and would hold it while the engine waits for
                # its own flushes: so it is told not to wait, and we wait here.
                if "Write stall" not in str(error):
                    raise DatabaseError(f"{self.path}: write refused: {error}") from error
                time.sleep(STALL_S)
        if sync:
            self.sync()

    def sync(self) -> None:
        """Return when all that was written is on the disk. Other threads run meanwhile: unlike a write with
        the engine's own `sync`, this call lets go of the GIL. Raises SyncFailed."""
        try:
            self._db.flush_wal(True)
        except Exception as error:
            raise SyncFailed(f"{self.path}: the disk did not confirm a write: {error}") from error

    def scan(self, family: str, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a family in [start, end), in the order of keys."""
        # The engine keeps a bare pointer into `bounds`: dropped before the iteration ends, it stops anywhere.
        bounds = ReadOptions()
        bounds.set_iterate_upper_bound(end)
        yield from self.families[family].items(from_key=start, read_opt=bounds)

    def scan_prefix(self, family: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What begins with `prefix`, which must not end in 0xff: the rest of each key, and its value."""
        size = len(prefix)
        for key, value in self.scan(family, prefix, prefix[:-1] + bytes([prefix[-1] + 1])):
            yield key[size:], value

    def catch_up(self) -> None:
        """Let a reader see what the owner wrote since; nothing for the owner itself."""
        if not self.is_reader:
            return
        for attempt in range(5):
            try:
                self._db.try_catch_up_with_primary()
                return
            except Exception as error:  # the owner may delete a file between being listed and being read
                if attempt == 4:
                    raise DatabaseError(f"{self.path}: cannot follow its owner: {error}") from error
                time.sleep(0.02 * (attempt + 1))

    def flush(self) -> None:
        """Write what is in memory to table files: a following open has nothing to replay."""
        for family in self.families.values():
            family.flush()

    def close(self) -> None:
        """Close; the next open by anyone succeeds. Closing twice is harmless."""
        families, self.families, self.handles = self.families, {}, {}
        if not families:
            return
        for family in families.values():  # each holds the engine, and with it the lock
            family.close()
        self._db.close()
        if self._follows is not None:
            self._follows.cleanup()


def open_database(home: Home) -> Database:
    """Open the home's database as its one owner, making it where there is none.

    Raises DatabaseOwned naming the owner when another process has it, DatabaseError when it is damaged."""
    home.make()
    families = _families()
    try:
        db = Rdict(str(home.database), _options(), column_families=families)
    except Exception as error:
        if "lock" in str(error).lower():
            raise DatabaseOwned(f"{home.database} is in use by {_owner(home)}") from None
        raise DatabaseError(
            f"{home.database} does not open: {error}; restore the home from a copy, nothing was changed"
        ) from error
    return Database(db, home.database)


def open_reader(home: Home) -> Database:
    """Open the home's database to read, beside its owner or without one. `catch_up` shows what came since.

    Raises DatabaseMissing where there is none yet."""
    if not (home.database / "CURRENT").exists():
        raise DatabaseMissing(
            f"{home.database}: nothing here yet; run `shortlist import` or `shortlist serve` with "
            f"--home {home.path} first"
        )
    follows = tempfile.TemporaryDirectory(prefix="shortlist-reader-", ignore_cleanup_errors=True)
    try:
        db = Rdict(
            str(home.database),
            _options(),
            column_families=_families(),
            access_type=AccessType.secondary(follows.name),
        )
    except Exception as error:
        follows.cleanup()
        raise DatabaseError(f"{home.database} does not open for reading: {error}") from error
    reader = Database(db, home.database, follows)
    reader.catch_up()
    return reader


def _owner(home: Home) -> str:
    """Who runs in this home, for people."""
    with contextlib.suppress(OSError, msgspec.DecodeError, KeyError, TypeError):
        said: Mapping[str, Any] = msgspec.json.decode(home.server.read_bytes())
        return f"the server at {said['url']} (pid {said['pid']}); use its HTTP API, or stop it first"
    return "another process; wait for it to end (an import, perhaps), or stop it"


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    # A torn last record was never acknowledged and is dropped; damage anywhere else refuses to open.
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    # What is in memory is replayed after a crash: 64 MB take about 0.4 s, under the second an open may take.
    options.set_max_total_wal_size(64 * _MB)
    options.set_db_write_buffer_size(64 * _MB)
    options.set_max_background_jobs(2)
    options.set_max_open_files(
        -1
    )  # a reader keeps files that the owner deletes only while it holds them open
    options.set_keep_log_file_num(3)
    options.set_max_log_file_size(4 * _MB)
    options.set_stats_dump_period_sec(0)
    options.set_skip_stats_update_on_db_open(True)
    return options


def _families() -> dict[str, Options]:
    cache = Cache(64 * _MB)
    return {name: _family(name, cache) for name in FAMILIES}


def _family(name: str, cache: Cache) -> Options:
    options = Options(raw_mode=True)
    options.set_write_buffer_size(32 * _MB)
    # Stalls come late: a burst of imports may run some files ahead of compaction.
    options.set_max_write_buffer_number(4)
    options.set_level_zero_slowdown_writes_trigger(40)
    options.set_level_zero_stop_writes_trigger(60)
    options.set_compression_type(DBCompressionType.lz4())
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_format_version(5)
    if name in ("features", "past", "marks", "dedup"):  # read by key; a miss must not touch the disk
        table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    if name == "dedup":
        # Nearly all that is asked for there was never seen: 2.5 µs in a full memtable, 0.2 with a filter.
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.02)  # of 32 MB: 11 bits for each of its 450,000 keys
    return options
