"""Files that are there whole or not at all, also after a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Write what takes the place of `path` in one step: a reader finds the old file or the new.

    It is durable on leaving. What fails in between leaves the old one. One writer of a path at a time."""
    aside = path.with_name(f"{path.name}.new")
    with aside.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """`replaced` by `data`."""
    with replaced(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
