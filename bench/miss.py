"""A miss through `Serving.recommend`, without HTTP: catalogs of 10k and 100k items, all sources, the ranker.

Against the two engines that no miss can do without, called directly: one FAISS search and one ONNX Runtime
run over as many rows. Every user asks once, so that nothing comes from a cache.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from time import perf_counter, process_time
from typing import Any

import faiss
import numpy as np
import uvloop
from threadpoolctl import threadpool_limits

from bench._catalog import Fitted, shop
from bench._server import report
from shortlist.ops.logs import set_up
from shortlist.process import tune_interpreter
from shortlist.serving import fallback, recommend
from shortlist.serving.slate import Ask
from shortlist.settings import Settings

WARM, MEASURED = 100, 1_000
SIZES = (10_000, 100_000)


def main() -> None:
    tune_interpreter()
    threadpool_limits(1)  # as `serve` does: a product on two threads takes longer beside other work
    faiss.omp_set_num_threads(1)
    set_up("warning")
    figures: dict[str, float] = {}
    for size in SIZES:
        with shop(size, WARM + 2 * MEASURED, Settings()) as fitted:
            figures |= measured(size, fitted)
    report(
        bench="miss",
        p50_ms=figures["p50_ms_100k"],
        p99_ms=figures["p99_ms_100k"],
        against="ONNX Runtime + FAISS called directly",
        **figures,
    )


def measured(size: int, fitted: Fitted) -> dict[str, float]:
    """Print one catalog's table and return its figures."""
    users = iter(fitted.users)

    async def ask(count: int) -> tuple[list[float], dict[str, int]]:
        times, tiers = [], defaultdict[str, int](int)
        for _ in range(count):
            user_id = next(users)
            began = perf_counter()
            slate = await fitted.serving.recommend(Ask(user_id=user_id))
            times.append((perf_counter() - began) * 1e3)
            tiers["missing a source" if slate.missing else slate.tier] += 1
        return times, dict(tiers)

    async def run() -> tuple[list[float], dict[str, int], float, dict[str, float], float]:
        await ask(WARM)
        cpu = process_time()
        times, tiers = await ask(MEASURED)
        cpu = (process_time() - cpu) / MEASURED * 1e3
        spent = timed(fitted)
        with_timers, _ = await ask(MEASURED)
        return (
            times,
            tiers,
            cpu,
            {k: v / MEASURED * 1e3 for k, v in spent.items()},
            float(np.mean(with_timers)),
        )

    times, tiers, cpu, spent, mean = uvloop.run(run())
    p50, p99 = np.percentile(times, [50, 99])
    direct = np.median([called_directly(fitted) for _ in range(200)]) * 1e3
    name = f"{size // 1000}k"
    print(f"\n{name} items, {MEASURED} misses: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {cpu:.2f} ms of CPU each")
    print(f"FAISS and ONNX Runtime called directly: {direct:.2f} ms; answered by {tiers}")
    print("where the time goes (mean, with timers on)")
    for what, ms in sorted(spent.items(), key=lambda row: -row[1]):
        print(f"  {what:<38} {ms:6.3f} ms {ms / mean:6.1%}")
    return {
        f"p50_ms_{name}": round(float(p50), 3),
        f"p99_ms_{name}": round(float(p99), 3),
        f"cpu_ms_{name}": round(cpu, 3),
        f"against_ms_{name}": round(float(direct), 3),
        f"ratio_{name}": round(float(direct / p50), 3),
    }


def called_directly(fitted: Fitted) -> float:
    """Seconds for one search of the item-to-item index and one run of the ranker over 400 rows."""
    model = fitted.model
    index: Any = model.sources["item_to_item"]
    session: Any = model.ranker
    rng = np.random.default_rng()
    rows = rng.random((400, len(session.feature_names)), np.float32)
    vector = index.index.rows(rng.integers(0, len(index.index), 1))[0]
    began = perf_counter()
    index.index.search(vector, 50)
    session._session.run(None, {session._input: rows})
    return perf_counter() - began


def timed(fitted: Fitted) -> dict[str, float]:
    """Put timers around the parts of a miss; seconds by part, growing as misses come."""
    spent: dict[str, float] = defaultdict(float)

    def around(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                spent[name] += perf_counter() - began

        return wrapped

    def put(owner: Any, attribute: str, name: str) -> None:
        setattr(owner, attribute, around(getattr(owner, attribute), name))

    own: Any = fitted.serving
    chain: Any = own._snapshot.chain
    put(own._recommender.features, "read", "read features")
    put(recommend, "known_of", "what must not come")
    put(recommend, "query_of", "make the query")
    put(recommend, "allowed", "mask of the catalog")
    put(chain, "_merged", "merge")
    put(chain, "features", "features of the ranker")
    put(chain.ranker, "score", "ONNX Runtime")
    put(recommend, "reasons", "reasons")
    put(fallback, "others", "fill up")
    put(own._answers, "hot", "ready body")
    put(own._answers, "answer", "answer and log (event loop)")
    for source in chain.sources:
        put(source, "candidates", f"  candidates of {source.name}")
        put(source, "score", f"  scores of {source.name}")
        if getattr(source, "signal_names", ()):
            put(source, "signals", f"  signals of {source.name}")
    return spent


if __name__ == "__main__":
    main()
