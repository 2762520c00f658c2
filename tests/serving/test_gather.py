"""Sources side by side: what a slow, broken or busy one costs."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import pytest

from shortlist.serving.gather import Gatherer


@pytest.fixture
def gatherer() -> Iterator[Gatherer]:
    made = Gatherer(0.03, in_flight=2)
    yield made
    made.close()


def work(number: int, turn: int = 0, *, of: int = 10) -> dict[str, Callable[[], tuple[int, int, int]]]:
    return {str(n): partial(lambda *parts: parts, number, turn, n) for n in range(of)}


def test_every_result_comes_back_under_its_name(gatherer: Gatherer) -> None:
    assert gatherer(work(7)) == ({str(n): (7, 0, n) for n in range(10)}, {})


def test_nothing_asked_is_nothing_found(gatherer: Gatherer) -> None:
    assert gatherer({}) == ({}, {})


def test_a_source_that_raises_is_named_as_failed(gatherer: Gatherer) -> None:
    found, missing = gatherer({"good": lambda: 1, "bad": lambda: 1 // 0})
    assert found == {"good": 1}
    assert missing == {"bad": "failed"}


def test_a_source_that_hangs_is_late_and_then_busy_until_it_comes_back(gatherer: Gatherer) -> None:
    let_go, done = threading.Event(), threading.Event()

    def hangs() -> int:
        let_go.wait(10)
        done.set()
        return 1

    began = perf_counter()
    assert gatherer({"stuck": hangs, "good": lambda: 2}) == ({"good": 2}, {"stuck": "late"})
    assert perf_counter() - began >= 0.03
    assert gatherer({"stuck": hangs, "good": lambda: 3}) == ({"good": 3}, {"stuck": "busy"})
    let_go.set()
    assert done.wait(10)
    for _ in range(1_000):  # its thread still has to say so
        found, missing = gatherer({"stuck": lambda: 4})
        if not missing:
            break
    assert found == {"stuck": 4}


def test_sources_that_all_hang_hold_up_a_slate_once_and_not_each(gatherer: Gatherer) -> None:
    let_go = threading.Event()
    began = perf_counter()
    found, missing = gatherer({f"stuck {n}": lambda: let_go.wait(10) for n in range(8)})
    assert found == {}
    assert set(missing.values()) == {"late"}
    assert len(missing) == 8
    assert perf_counter() - began < 8 * 0.03
    let_go.set()


def test_a_quick_source_behind_hanging_ones_is_not_lost() -> None:
    gatherer = Gatherer(1.0)
    let_go = threading.Event()

    def opens() -> bool:
        let_go.set()
        return True

    stuck: dict[str, Callable[[], bool]] = {f"stuck {n}": partial(let_go.wait, 10) for n in range(4)}
    found, missing = gatherer(stuck | {"quick": opens})
    assert found == dict.fromkeys([*stuck, "quick"], True)
    assert not missing
    gatherer.close()


def test_no_more_calls_of_a_source_run_than_allowed() -> None:
    gatherer = Gatherer(5.0, in_flight=2)
    let_go, running = threading.Event(), threading.Semaphore(0)

    def slow() -> int:
        running.release()
        let_go.wait(10)
        return 1

    results: list[tuple[dict[str, int], dict[str, str]]] = []
    threads = [threading.Thread(target=lambda: results.append(gatherer({"slow": slow}))) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert running.acquire(timeout=10)
    assert gatherer({"slow": slow}) == ({}, {"slow": "busy"})
    let_go.set()
    for thread in threads:
        thread.join()
    assert results == [({"slow": 1}, {}), ({"slow": 1}, {})]
    gatherer.close()


def test_many_requests_at_once_get_their_own_results() -> None:
    gatherer = Gatherer(5.0, in_flight=100)
    wrong: list[object] = []

    def ask(number: int) -> None:
        for turn in range(50):
            expected = {str(n): (number, turn, n) for n in range(5)}
            found = gatherer(work(number, turn, of=5))
            if found != (expected, {}):
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gatherer.close()
