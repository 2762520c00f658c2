"""Where the state of one shop lives: one folder, safe to copy while the server is stopped."""

import os
from pathlib import Path

from shortlist.errors import ShortlistError

NAME = ".shortlist"


class HomeUnusable(ShortlistError):
    """The folder for all state cannot be made."""


class HomeMissing(ShortlistError):
    """There is no folder with state where a command looked for one."""


class Home:
    """The paths below one home folder. Making one touches nothing on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.database = self.path / "db"  # RocksDB: event log and features
        self.catalog = self.path / "catalog.sqlite"
        self.trending = self.path / "trending.msgpack"  # a checkpoint; made anew from the log if lost
        self.exploration = self.path / "exploration.msgpack"  # likewise: the ledger of new items
        self.models = self.path / "models"
        self.encoders = self.path / "encoders"  # networks that BERT folders were exported to, by checksum
        self.indexes = self.path / "indexes"  # with items that came after training; built anew if lost
        self.keys = self.path / "keys"
        self.server = self.path / "server.json"  # who owns the home: pid and address of a running `serve`
        self.demo = self.path / "demo.json"  # personas of the storefront

    def make(self) -> "Home":
        """Create the folder, readable by its owner alone (it holds keys and what people did).

        Raises HomeUnusable."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HomeUnusable(
                f"cannot make the folder {self.path}: {error.strerror}; choose another with --home"
            ) from None
        return self

    def require(self) -> "Home":
        """Raises HomeMissing unless the folder is there."""
        if not self.path.is_dir():
            raise HomeMissing(
                f"no shop at {self.path} (the folder is what --home or SHORTLIST_HOME say, else the nearest "
                f"{NAME} from here upwards); make one with `shortlist demo` or `shortlist import PATH`"
            )
        return self


def find_home(named: str | None = None) -> Home:
    """`named`, else SHORTLIST_HOME, else the nearest `.shortlist` upwards, else `.shortlist` here."""
    if chosen := named or os.environ.get("SHORTLIST_HOME"):
        return Home(Path(chosen))
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / NAME).is_dir():
            return Home(folder / NAME)
    return Home(here / NAME)
