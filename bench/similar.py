"""Items like one, through `Serving.similar` without HTTP, against the bare search of the same vector index.

Catalogs of 10k and 100k items; every question is about another item, and half of them come from users whose
purchases are left out.
"""

from time import perf_counter

import faiss
import numpy as np
import uvloop
from threadpoolctl import threadpool_limits

from bench._catalog import Fitted, shop
from bench._server import report
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.ops.logs import set_up
from shortlist.process import tune_interpreter
from shortlist.serving.similar import TOP
from shortlist.settings import Settings

WARM, MEASURED = 200, 2_000
SIZES = (10_000, 100_000)


def main() -> None:
    tune_interpreter()  # as `serve` does
    threadpool_limits(1)  # as `serve` does
    faiss.omp_set_num_threads(1)
    set_up("warning")
    figures: dict[str, float] = {}
    for size in SIZES:
        with shop(size, 200, Settings()) as fitted:
            figures |= measured(size, fitted)
    report(
        bench="similar",
        p50_ms=figures["p50_ms_100k"],
        p99_ms=figures["p99_ms_100k"],
        against="FAISS searched directly",
        **figures,
    )


def measured(size: int, fitted: Fitted) -> dict[str, float]:
    """Print and return the figures of one catalog."""
    asked = np.random.default_rng(5).integers(0, size, WARM + MEASURED).tolist()

    async def run() -> list[float]:
        times = []
        for number, item in enumerate(asked):
            user_id = fitted.users[number % len(fitted.users)] if number % 2 else None
            began = perf_counter()
            slate = await fitted.serving.similar(f"item-{item}", user_id=user_id)
            times.append((perf_counter() - began) * 1e3)
            assert len(slate.items) == 20
        return times[WARM:]

    times = uvloop.run(run())
    p50, p99 = np.percentile(times, [50, 99])
    source = fitted.model.sources["item_to_item"]
    assert isinstance(source, ItemToItem)
    bare = []
    for item in asked[WARM:]:
        began = perf_counter()
        source.index.search(source.index.rows(np.array([item]))[0], TOP)
        bare.append((perf_counter() - began) * 1e3)
    bare_p50, bare_p99 = np.percentile(bare, [50, 99])
    name = f"{size // 1000}k"
    print(f"{name} items: p50 {p50:.2f} ms, p99 {p99:.2f} ms; bare search {bare_p50:.2f}, {bare_p99:.2f} ms")
    return {
        f"p50_ms_{name}": round(float(p50), 3),
        f"p99_ms_{name}": round(float(p99), 3),
        f"against_p50_ms_{name}": round(float(bare_p50), 3),
        f"against_p99_ms_{name}": round(float(bare_p99), 3),
        f"ratio_{name}": round(float(bare_p50 / p50), 3),
    }


if __name__ == "__main__":
    main()
