"""Which version serves: one small file, so that a server can watch it without opening the registry.

`serving.json` is replaced in one step; paths in it are relative, so that a copied home works where it lands.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from shortlist import files
from shortlist.models.registry import ModelCorrupt

NAME = "serving.json"
REMEMBERED = 100  # versions that rollback can walk back over


class Pointer(Struct, frozen=True):
    """What serves.

    path: its folder, relative to the folder of models. previous: what served before, newest last, once each.
    """

    version: str
    path: str
    previous: list[str] = []

    def moved_to(self, version: str, path: str) -> "Pointer":
        """The pointer after promoting `version`: what served until now becomes the last of `previous`."""
        if version == self.version:
            return self
        before = [v for v in (*self.previous, self.version) if v != version]
        return Pointer(version=version, path=path, previous=before[-REMEMBERED:])


def read(models: Path) -> Pointer | None:
    """The pointer in a folder of models; None before the first promotion. Raises ModelCorrupt."""
    path = models / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise ModelCorrupt(
            f"{path} cannot be read ({error}); delete it and promote a version: `shortlist models promote V`"
        ) from None


def write(models: Path, pointer: Pointer) -> None:
    """Replace the pointer in one step: a reader sees the old one or the new one, also after a power cut."""
    files.replace(models / NAME, msgspec.json.encode(pointer))
