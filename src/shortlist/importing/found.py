"""Files as they lie there: in a folder, in a zip, compressed or not, in whichever encoding."""

import bz2
import codecs
import gzip
import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from shortlist.importing.encoding import codec_of, encoding_of
from shortlist.importing.problem import Unreadable
from shortlist.progress import Report

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES = (".gz", ".zst", ".bz2", ".zip")
CHUNK = 1 << 20
# Enough for the first lines of any table we know; the widest header seen in the wild is under 10 kB.
HEAD = 1 << 16


@dataclass(slots=True, frozen=True)
class Found:
    """One file that may hold events or items, possibly inside a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Its name in lower case, without folder and compression suffix: `ratings.csv`."""
        name = Path(self.member or self.path.name).name.lower()
        while name.endswith(SUFFIXES):
            name = name.rpartition(".")[0]
        return name

    @property
    def shown(self) -> str:
        """How messages name it."""
        return f"{self.path}:{self.member}" if self.member else str(self.path)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes, decompressed. Raises Unreadable."""
        with ExitStack() as stack:
            try:
                magic = stack.enter_context(self._raw()).read(4)
                raw = stack.enter_context(self._raw())
                stream = stack.enter_context(_decompressed(raw, magic))
            except (OSError, zipfile.BadZipFile, RuntimeError) as error:
                raise Unreadable(f"{self.shown}: {_why(error)}") from None
            yield stream

    def head(self) -> bytes:
        """Its first 64 kB, decompressed. Raises Unreadable."""
        with self.open() as stream:
            return next(_chunks(self, stream, HEAD), b"")

    def _raw(self) -> BinaryIO:
        if self.member:
            with zipfile.ZipFile(self.path) as archive:
                return cast(BinaryIO, archive.open(self.member))
        return self.path.open("rb")


@dataclass(slots=True, frozen=True)
class Staged:
    """A file ready for DuckDB: local, plain, in UTF-8. `digest`: SHA-256 of its content, so that the same
    content under another name or compression is recognised."""

    found: Found
    path: Path
    digest: str


def files_of(path: Path) -> list[Found]:
    """Every file that `path` (a file, a zip or a folder) holds, by name. Raises Unreadable."""
    if not path.exists():
        raise Unreadable(f"{path}: no such file or folder")
    if path.is_dir():
        inside = sorted(f for f in path.rglob("*") if f.is_file() and not f.name.startswith("."))
        return [found for file in inside for found in _members(file)]
    return _members(path)


def neighbours_of(path: Path) -> list[Found]:
    """The files that lie beside a file, by name; none for a folder. Nothing in them is looked at."""
    if not path.is_file():
        return []
    try:
        return [Found(other) for other in sorted(path.parent.iterdir()) if other != path and other.is_file()]
    except OSError:
        return []


def stage(found: Found, folder: Path, encoding: str, report: Report) -> Staged:
    """Bring `found` into a form that DuckDB reads in parallel: decompressed and in UTF-8, in `folder` if it
    was not so already.

    encoding: of text; "" is what `encoding_of` finds.
    Raises Unreadable naming the line that is not in the encoding, or that the file is empty or cut short.
    """
    size = found.path.stat().st_size or 1
    stage_name = f"reading {found.name}"
    with found.open() as stream:
        chunks = _chunks(found, stream, CHUNK)
        first = next(chunks, b"")
        if not first:
            raise Unreadable(f"{found.shown}: the file is empty")
        is_text = not first.startswith(b"PAR1")
        encoding = encoding_of(first[:HEAD], encoding, found.shown)
        is_utf8 = not is_text or codec_of(encoding) == "utf-8"
        is_plain = is_utf8 and not found.member and found.name == found.path.name.lower()
        target = folder / f"{len(list(folder.iterdir()))}-{_safe(found.name)}"
        digest = hashlib.sha256()
        decoder = codecs.getincrementaldecoder(encoding)() if is_text else None
        line, read = 1, 0
        with target.open("wb") if not is_plain else _nowhere() as out:
            for chunk in (piece for pieces in ((first,), chunks) for piece in pieces):
                if decoder is not None:
                    text = _decode(decoder, chunk, found, line, encoding)
                    line += chunk.count(b"\n")
                    chunk = chunk if is_utf8 else text.encode()
                digest.update(chunk)
                out.write(chunk)
                read += len(chunk)
                # Compressed size is all that is known beforehand; 0.9 waits for the end.
                report(stage_name, min(read / size, 0.9))
            if decoder is not None:
                _decode(decoder, b"", found, line, encoding, final=True)
    if is_plain:
        # A link, for DuckDB takes brackets and stars in a name for a pattern.
        target.symlink_to(found.path.absolute())
    report(stage_name, 1.0)
    return Staged(found, target, digest.hexdigest())


class _nowhere:  # noqa: N801  # a file that keeps nothing
    def __enter__(self) -> "_nowhere":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, data: bytes) -> int:
        return len(data)


def _members(file: Path) -> list[Found]:
    if file.suffix.lower() != ".zip":
        return [Found(file)]
    try:
        with zipfile.ZipFile(file) as archive:
            names = sorted(i.filename for i in archive.infolist() if not i.is_dir())
    except (OSError, zipfile.BadZipFile) as error:
        raise Unreadable(f"{file}: {_why(error)}") from None
    return [Found(file, name) for name in names if not Path(name).name.startswith((".", "__MACOSX"))]


def _decompressed(raw: BinaryIO, magic: bytes) -> BinaryIO:
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.open(raw))
    if magic.startswith(b"BZh"):
        return cast(BinaryIO, bz2.open(raw))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, zstd.open(raw))
    return raw


def _chunks(found: Found, stream: BinaryIO, size: int) -> Iterator[bytes]:
    try:
        while chunk := stream.read(size):
            yield chunk
    except (OSError, EOFError, zlib.error, zstd.ZstdError, zipfile.BadZipFile) as error:
        raise Unreadable(f"{found.shown}: cut short or damaged ({_why(error)})") from None


def _decode(
    decoder: codecs.IncrementalDecoder,
    chunk: bytes,
    found: Found,
    line: int,
    encoding: str,
    *,
    final: bool = False,
) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        at = line + error.object[: error.start].count(b"\n")
        byte = error.object[error.start]
        raise Unreadable(
            f"{found.shown}: line {at} is not {encoding} (byte 0x{byte:02x}); "
            "say which encoding it is, as in --encoding latin-1"
        ) from None


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[-60:]


def _why(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).rstrip(".")
