"""What can go wrong with a whole import, and what an import did."""

import msgspec
from msgspec import Struct

from shortlist.errors import ShortlistError


class ImportFailed(ShortlistError):
    """The import stopped; what was written before stays, and the same command goes on from there."""


class Unreadable(ImportFailed):
    """A file cannot be read: it is not there, empty, cut short, or not in the encoding said."""


class FormatUnknown(ImportFailed):
    """No format fits the file and no mapping was given."""


class ColumnUnknown(ImportFailed):
    """A mapping names a column that the file does not have."""


class Example(Struct, frozen=True):
    """One refused row, for a person to look at. `line` counts from 1."""

    file: str
    line: int
    reason: str
    value: str


class Outcome(Struct):
    """What an import did. Counts are of this run; `earlier` counts what an interrupted run had written."""

    format: str = ""
    events: int = 0
    types: list[str] = msgspec.field(default_factory=list)  # of events, the most frequent first
    earlier: int = 0
    items: int = 0  # from item files or rows that say something of them
    bare_items: int = 0  # seen in events alone
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    examples: list[Example] = msgspec.field(default_factory=list)
    unchanged: list[str] = msgspec.field(default_factory=list)  # files whose content had been imported before

    remarks: list[str] = msgspec.field(default_factory=list)  # what a person should look at

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count rows refused for a reason."""
        self.refused[reason] = self.refused.get(reason, 0) + count
