"""Arrays of indexes at rest: one file with a checksum, swapped atomically for the one before.

magic, sha256 of all that follows, length of the header, header (JSON), the arrays one after the other
"""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from shortlist import files
from shortlist.arrays import Arrays
from shortlist.errors import ShortlistError

MAGIC = b"shortlist index 1\n"
_SUM = 32
_LENGTH = 8
_ALIGNED = 64  # FAISS and BLAS read aligned rows quicker


class IndexCorrupt(ShortlistError):
    """A saved index is damaged or none at all; it is built anew, nothing of it was used."""


class _Array(Struct):
    name: str
    dtype: str
    shape: tuple[int, ...]
    at: int  # from the end of the header


class _Header(Struct):
    key: str
    arrays: list[_Array]


def save(path: Path, key: str, arrays: Arrays) -> None:
    """Write `arrays` durably in place of what `path` holds: a reader finds the old file or the new, whole.

    key: what the arrays belong to, told again by `load`."""
    described, at = [], 0
    for name, array in arrays.items():
        described.append(_Array(name, array.dtype.str, array.shape, at))
        at += -(-array.nbytes // _ALIGNED) * _ALIGNED
    header = msgspec.json.encode(_Header(key, described))
    header += b" " * (-(len(MAGIC) + _SUM + _LENGTH + len(header)) % _ALIGNED)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replaced(path) as file:
        file.write(MAGIC + bytes(_SUM))
        digest = hashlib.sha256()
        for part in (len(header).to_bytes(_LENGTH, "little"), header):
            file.write(part)
            digest.update(part)
        for array in arrays.values():
            data: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)  # Any: a buffer, to bytes
            padding: Any = bytes(-array.nbytes % _ALIGNED)
            for piece in (data, padding):
                file.write(piece)
                digest.update(piece)
        file.seek(len(MAGIC))
        file.write(digest.digest())


def load(path: Path) -> tuple[str, Arrays]:
    """The key and the arrays of a file, mapped, not read into memory.

    Raises FileNotFoundError, and IndexCorrupt when the checksum fails."""
    with path.open("rb") as file:
        start = len(MAGIC) + _SUM
        if os.fstat(file.fileno()).st_size < start + _LENGTH:
            raise IndexCorrupt(f"{path} ends in the middle; it is built anew")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if data[: len(MAGIC)] != MAGIC:
        raise IndexCorrupt(f"{path} is no saved index; it is built anew")
    found = hashlib.sha256(data[start:]).digest()
    if found != data[len(MAGIC) : start]:
        raise IndexCorrupt(f"{path} fails its checksum; it is built anew")
    begin = start + _LENGTH
    end = begin + int.from_bytes(data[start:begin], "little")
    header = msgspec.json.decode(data[begin:end], type=_Header)
    return header.key, {array.name: _view(data, end, array) for array in header.arrays}


def _view(data: memoryview, end: int, array: _Array) -> NDArray[np.generic]:
    dtype = np.dtype(array.dtype)
    count = int(np.prod(array.shape))
    if not count:
        return np.empty(array.shape, dtype)
    return np.frombuffer(data, dtype, count, end + array.at).reshape(array.shape)
