"""A trained model at rest: a folder of plain arrays, an ONNX file and a manifest with a checksum of each.

    manifest.json           what is here, sha256 of every other file; written last: a folder with one is whole
    items.json              the model's item ids, by position
    als/factors.npy …       the arrays of each source
    encoder/…               the arrays of the text encoder
    ranker.onnx             only where a ranker was trained

Nothing is pickled: reading a model runs no code from it.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.arrays import Arrays
from shortlist.files import sync_folder
from shortlist.models.registry import ModelCorrupt

MANIFEST = "manifest.json"
ITEMS = "items.json"
RANKER = "ranker.onnx"
ENCODER = "encoder"  # no source may be called so
FORMAT = 1  # raised when an older shortlist can no longer read what this one writes

_NAME = re.compile(r"[a-z][a-z0-9_]*")  # of sources and arrays: they become file names


class Artifact(Struct, frozen=True, kw_only=True):
    """Everything of a trained model but its version, as plain data.

    sources: arrays by source name. encoder: those of the text encoder, if any. ranker: ONNX bytes, with what
    is needed beside them in `ranker_info`.
    user_codes: how users' attributes become numbers. blend: how the first stage is blended.
    data_end_s: event time of the newest interaction trained on.
    """

    trained_ms: int
    data_end_s: float
    item_ids: list[str]
    sources: dict[str, Arrays]
    encoder: Arrays = {}
    ranker: bytes | None = None
    ranker_info: dict[str, Any] = {}
    user_codes: list[dict[str, Any]] = []
    blend: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}


class Manifest(Struct, frozen=True, kw_only=True):
    """`manifest.json`: all of an artifact that is small, and the checksums of the rest."""

    format: int
    trained_ms: int
    data_end_s: float
    items: int
    sources: dict[str, list[str]]  # names of its arrays, by source
    encoder: list[str] = []
    has_ranker: bool
    ranker_info: dict[str, Any]
    user_codes: list[dict[str, Any]] = []
    blend: dict[str, Any]
    metrics: dict[str, float]
    params: dict[str, str]
    files: dict[str, str]  # sha256 by path below the folder


def save(artifact: Artifact, folder: Path) -> None:
    """Write an artifact to a new folder, durably, the manifest last.

    Raises ValueError when a source or array has a name that is no identifier, or holds objects;
    FileExistsError when the folder is there already.
    """
    folder.mkdir(parents=True)
    files: dict[str, str] = {}
    encoder = {ENCODER: artifact.encoder} if artifact.encoder else {}
    for source, arrays in {**artifact.sources, **encoder}.items():
        (folder / _checked(source)).mkdir()
        for name, array in arrays.items():
            path = folder / source / f"{_checked(name)}.npy"
            with path.open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                _sync(file.fileno())
            files[f"{source}/{name}.npy"] = _sha256(path)
        sync_folder(folder / source)
    files[ITEMS] = _put(folder / ITEMS, msgspec.json.encode(artifact.item_ids))
    if artifact.ranker is not None:
        files[RANKER] = _put(folder / RANKER, artifact.ranker)
    manifest = Manifest(
        format=FORMAT,
        trained_ms=artifact.trained_ms,
        data_end_s=artifact.data_end_s,
        items=len(artifact.item_ids),
        sources={source: list(arrays) for source, arrays in artifact.sources.items()},
        encoder=list(artifact.encoder),
        has_ranker=artifact.ranker is not None,
        ranker_info=artifact.ranker_info,
        user_codes=artifact.user_codes,
        blend=artifact.blend,
        metrics=artifact.metrics,
        params=artifact.params,
        files=files,
    )
    _put(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    sync_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artifact folder. Raises ModelCorrupt naming the file."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ModelCorrupt(f"{path} is missing: no whole model is here; roll back or train again") from None
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise ModelCorrupt(f"{path} cannot be read ({error}); roll back or train again") from None
    if manifest.format > FORMAT:
        raise ModelCorrupt(
            f"{path} has format {manifest.format}, this shortlist reads up to {FORMAT}: "
            "upgrade it or train again"
        )
    return manifest


def load(folder: Path) -> Artifact:
    """Read an artifact, every file checked against its sha256; arrays are mapped, not read into memory.

    Raises ModelCorrupt naming the file that is missing or differs.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        _verify(folder, name, expected)
    try:
        sources = {
            source: {name: _mapped(folder, f"{source}/{name}.npy", manifest) for name in names}
            for source, names in manifest.sources.items()
        }
        return Artifact(
            trained_ms=manifest.trained_ms,
            data_end_s=manifest.data_end_s,
            item_ids=msgspec.json.decode(_bytes(folder, ITEMS, manifest), type=list[str]),
            sources=sources,
            encoder={name: _mapped(folder, f"{ENCODER}/{name}.npy", manifest) for name in manifest.encoder},
            ranker=_bytes(folder, RANKER, manifest) if manifest.has_ranker else None,
            ranker_info=manifest.ranker_info,
            user_codes=manifest.user_codes,
            blend=manifest.blend,
            metrics=manifest.metrics,
            params=manifest.params,
        )
    except (msgspec.DecodeError, OSError, ValueError) as error:
        raise ModelCorrupt(f"{folder}: {error}; roll back or train again") from None


def _mapped(folder: Path, name: str, manifest: Manifest) -> np.ndarray[Any, Any]:
    _listed(folder, name, manifest)
    array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    # A plain view: np.memmap's own subclass costs every slice of it 10 µs in Python.
    return np.asarray(array)


def _bytes(folder: Path, name: str, manifest: Manifest) -> bytes:
    _listed(folder, name, manifest)
    return (folder / name).read_bytes()


def _listed(folder: Path, name: str, manifest: Manifest) -> None:
    if name not in manifest.files:
        raise ModelCorrupt(f"{folder / MANIFEST} names no checksum of {name}; roll back or train again")


def _verify(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelCorrupt(f"{folder / MANIFEST} names {name}, outside its folder; train again")
    try:
        found = _sha256(path)
    except OSError as error:
        raise ModelCorrupt(f"{path} cannot be read ({error.strerror}); roll back or train again") from None
    if found != expected:
        raise ModelCorrupt(
            f"{path} fails its checksum (sha256 {found[:12]}…, the manifest says {expected[:12]}…); "
            "roll back or train again"
        )


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a file of a model: use a-z, 0-9 and _")
    return name


def _put(path: Path, data: bytes) -> str:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        _sync(file.fileno())
    return hashlib.sha256(data).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)
