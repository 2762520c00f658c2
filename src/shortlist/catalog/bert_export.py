"""From a Hugging Face BERT folder to a network that ONNX Runtime reads, once per model.

keras-hub loads the folder and exports it in a process of its own: TensorFlow takes a gigabyte of memory and
stays out of training and serving.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shortlist.catalog.encoder import EncoderError

NETWORK, TOKENIZER = "network.onnx", "tokenizer.json"
NEEDS = ("keras_hub", "tensorflow", "tf2onnx", "safetensors", "tokenizers")
SOURCES = ("config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "tokenizer_config.json")
EXPORT_S = 900.0  # a base model takes two minutes on two slow cores


class BertMissing(EncoderError):
    """A library that BERT needs is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(
            f"BERT needs {library}, which is not installed: pip install 'shortlist[bert]' to train with "
            "catalog.bert_folder, 'shortlist[bert-serving]' where its network is only run"
        )


def exported(folder: Path, encoders: Path) -> Path:
    """The folder with the network and its tokenizer, made on the first call for this model.

    folder: config.json, model.safetensors and tokenizer.json or vocab.txt. encoders: where to keep them, one
    folder each, named by the checksum of its sources.
    Raises EncoderError naming what is missing in the folder, BertMissing naming the extra.
    """
    for needed in (("config.json",), ("model.safetensors",), ("tokenizer.json", "vocab.txt")):
        if not any((folder / name).is_file() for name in needed):
            raise EncoderError(
                f"catalog.bert_folder: {folder} has no {' or '.join(needed)}; it must be a BERT model folder "
                "as Hugging Face has them, with its weights as safetensors"
            )
    made = encoders / _digest(folder)
    if (made / NETWORK).exists():
        return made
    for library in NEEDS:
        if importlib.util.find_spec(library) is None:
            raise BertMissing(library)
    encoders.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=encoders, prefix="export-") as temporary:
        _run(folder, Path(temporary))
        write_tokenizer(folder, Path(temporary) / TOKENIZER)
        ready = Path(temporary) / "ready"
        ready.mkdir()
        for name in (NETWORK, TOKENIZER):
            (Path(temporary) / name).rename(ready / name)
        if not made.exists():
            ready.rename(made)
    return made


def _run(folder: Path, to: Path) -> None:
    environ = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        subprocess.run(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-W", "ignore", "-m", __name__, str(folder), str(to / NETWORK)],
            env=environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=EXPORT_S,
        )
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise EncoderError(f"catalog.bert_folder: {folder} cannot be exported ({why[0]})") from None
    except subprocess.TimeoutExpired:
        raise EncoderError(
            f"catalog.bert_folder: the export of {folder} took over {EXPORT_S:.0f} s"
        ) from None


def write_tokenizer(folder: Path, path: Path) -> None:
    """The folder's tokenizer as one file; of an older folder, made from its vocabulary."""
    if (folder / "tokenizer.json").is_file():
        shutil.copyfile(folder / "tokenizer.json", path)
        return
    from tokenizers import BertWordPieceTokenizer

    notes = folder / "tokenizer_config.json"
    lower = bool(json.loads(notes.read_text()).get("do_lower_case", True)) if notes.is_file() else True
    tokenizer: Any = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lower)
    tokenizer.save(str(path))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def export(folder: str, path: str) -> None:
    """Load with keras-hub and write ONNX: token_ids, padding_mask, segment_ids → (batch, tokens, size)."""
    import keras
    import keras_hub
    import numpy as np

    backbone: Any = keras_hub.models.BertBackbone.from_preset(folder)
    network: Any = keras.Model(backbone.input, backbone.output["sequence_output"])
    network(
        {name: np.ones((1, 4), np.int32) for name in backbone.input}
    )  # a model never called has no shapes
    network.export(path, format="onnx", verbose=False)


if __name__ == "__main__":
    export(*sys.argv[1:])
