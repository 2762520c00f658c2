"""What was imported and how far, in the home folder: the reason why the same file twice changes nothing."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from shortlist import files
from shortlist.importing.found import Staged
from shortlist.importing.plan import Rows
from shortlist.importing.problem import ImportFailed


class Entry(Struct):
    """One import of one or more files. `ends`: where the log ended, per partition, when `done` of its events
    were durable: what it holds beyond may already contain the next ones."""

    files: dict[str, str]  # key → name
    total: int = 0
    done: int = 0
    ends: list[int] | None = None
    finished_ms: int = 0  # 0: not yet
    types: dict[str, str] = msgspec.field(default_factory=dict)  # digest of a file → type of its events


class Manifest:
    """Entries by the key of what they import, one small JSON file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entry(self, key: str) -> Entry | None:
        """The entry of a key, or None."""
        path = self._path(key)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Entry)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise ImportFailed(f"{path}: damaged ({error}); restore it or remove it") from None

    def save(self, key: str, entry: Entry) -> None:
        """Replace an entry; a crash leaves the one or the other."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(key)
        files.replace(path, msgspec.json.encode(entry))

    def finished(self) -> set[str]:
        """Keys of the files whose import is complete."""
        return {key for entry in self._entries() if entry.finished_ms for key in entry.files}

    def overlapping(self, entry: Entry) -> Entry | None:
        """An import under way that has any of the files of `entry`."""
        mine = set(entry.files)
        return next((e for e in self._entries() if not e.finished_ms and mine & set(e.files)), None)

    def types_of(self, key: str, digest: str) -> list[str]:
        """As which types the same content was imported otherwise than under `key`."""
        others = (entry for entry in self._entries() if key not in entry.files)
        return sorted({entry.types[digest] for entry in others if digest in entry.types})

    def _entries(self) -> list[Entry]:
        paths = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []
        return [entry for path in paths if (entry := self.entry(path.stem)) is not None]

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def key_of(rows: Rows, staged: Staged) -> str:
    """What a file's content means under its mapping: the same key, the same events or items."""
    meant = msgspec.json.encode([staged.digest, rows.meaning, rows.type])
    # 80 bits: no two files of one shop will meet; it stands in every event_id, so it is short.
    return hashlib.sha256(meant).hexdigest()[:20]


def key_of_all(keys: Sequence[str]) -> str:
    """The key of an import of several files."""
    return keys[0] if len(keys) == 1 else hashlib.sha256(" ".join(keys).encode()).hexdigest()[:20]
