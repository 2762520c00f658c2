"""Sources side by side: what a slow, broken or busy one costs."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from time import perf_counter

import pytest

from shortlist.ranking.chain import Done, Steps, Work
from shortlist.serving.gather import Gatherer


class Asked:
    """A gatherer, asked from a thread that waits for what comes."""

    def __init__(self, deadline_s: float, *, in_flight: int = 4) -> None:
        self.stuck: list[int] = []
        self.gatherer = Gatherer(deadline_s, in_flight=in_flight, on_stuck=self.stuck.append)

    def __call__(self, work: Work) -> Done:
        found: SimpleQueue[Done] = SimpleQueue()

        def steps() -> Steps[None]:
            found.put((yield work))

        threading.Thread(target=self.gatherer.carry, args=(steps(),), daemon=True).start()
        return found.get(timeout=10)


@pytest.fixture
def gatherer() -> Iterator[Asked]:
    made = Asked(0.03, in_flight=2)
    yield made
    made.gatherer.close()


def work(number: int, turn: int = 0, *, of: int = 10) -> dict[str, Callable[[], tuple[int, int, int]]]:
    return {str(n): partial(lambda *parts: parts, number, turn, n) for n in range(of)}


def test_every_result_comes_back_under_its_name(gatherer: Asked) -> None:
    assert gatherer(work(7)) == ({str(n): (7, 0, n) for n in range(10)}, {})


def test_nothing_asked_is_nothing_found(gatherer: Asked) -> None:
    assert gatherer({}) == ({}, {})


def test_a_source_that_raises_is_named_as_failed(gatherer: Asked) -> None:
    found, missing = gatherer({"good": lambda: 1, "bad": lambda: 1 // 0})
    assert found == {"good": 1}
    assert missing == {"bad": "failed"}


def test_a_source_that_hangs_is_late_and_then_busy_until_it_comes_back(gatherer: Asked) -> None:
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


def test_sources_that_all_hang_hold_up_a_slate_once_and_not_each(gatherer: Asked) -> None:
    let_go = threading.Event()
    began = perf_counter()
    found, missing = gatherer({f"stuck {n}": lambda: let_go.wait(10) for n in range(8)})
    assert found == {}
    assert set(missing.values()) == {"late"}
    assert len(missing) == 8
    assert perf_counter() - began < 8 * 0.03
    let_go.set()


def test_a_quick_source_behind_hanging_ones_is_not_lost() -> None:
    gatherer = Asked(1.0)
    let_go = threading.Event()

    def opens() -> bool:
        let_go.set()
        return True

    stuck: dict[str, Callable[[], bool]] = {f"stuck {n}": partial(let_go.wait, 10) for n in range(4)}
    found, missing = gatherer(stuck | {"quick": opens})
    assert found == dict.fromkeys([*stuck, "quick"], True)
    assert not missing
    gatherer.gatherer.close()


def test_no_more_calls_of_a_source_run_than_allowed() -> None:
    gatherer = Asked(5.0, in_flight=2)
    let_go, running = threading.Event(), threading.Semaphore(0)

    def slow() -> int:
        running.release()
        let_go.wait(10)
        return 1

    results: list[Done] = []
    threads = [threading.Thread(target=lambda: results.append(gatherer({"slow": slow}))) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert running.acquire(timeout=10)
    assert gatherer({"slow": slow}) == ({}, {"slow": "busy"})
    let_go.set()
    for thread in threads:
        thread.join()
    assert results == [({"slow": 1}, {}), ({"slow": 1}, {})]
    gatherer.gatherer.close()


def test_many_requests_at_once_get_their_own_results() -> None:
    gatherer = Asked(5.0, in_flight=100)
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
    gatherer.gatherer.close()


def test_quick_sources_and_all_steps_stay_on_the_thread_that_carries_them(gatherer: Asked) -> None:
    threads: list[int] = []

    def look() -> None:
        threads.append(threading.get_ident())

    def steps() -> Steps[None]:
        for _ in range(3):
            yield {"one": look, "two": look}
            look()

    gatherer.gatherer.carry(steps())
    assert threads == [threading.get_ident()] * 9


def test_a_thread_that_a_source_keeps_is_named_and_its_slate_goes_on_without_it() -> None:
    gatherer = Asked(0.3)  # time enough for the good one, whatever else the machine does
    let_go, carried = threading.Event(), threading.Event()
    found: SimpleQueue[tuple[Done, int]] = SimpleQueue()

    def steps() -> Steps[None]:
        done = yield {"stuck": partial(let_go.wait, 10), "good": lambda: 1}
        found.put((done, threading.get_ident()))

    def carry() -> None:
        gatherer.gatherer.carry(steps())
        carried.set()

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    done, finisher = found.get(timeout=10)
    assert done == ({"good": 1}, {"stuck": "late"})
    assert not carried.is_set()
    assert gatherer.stuck == [thread.ident] != [finisher]
    let_go.set()
    assert carried.wait(10)
    gatherer.gatherer.close()


def test_a_failure_of_the_steps_ends_neither_thread_nor_gatherer(gatherer: Asked) -> None:
    def steps() -> Steps[None]:
        yield {"good": lambda: 1}
        raise RuntimeError("in the steps")

    with pytest.raises(RuntimeError, match="in the steps"):
        gatherer.gatherer.carry(steps())
    assert gatherer({"good": lambda: 2}) == ({"good": 2}, {})


def test_two_calls_for_help_at_once_are_two_threads_work() -> None:
    gatherer = Gatherer(5.0, in_flight=4)

    def waits(let_go: threading.Event) -> None:
        let_go.wait(10)

    for _ in range(200):
        let_go, done = threading.Event(), threading.Event()
        gatherer._call_for_help(partial(waits, let_go))
        gatherer._call_for_help(done.set)  # must not wait for the one before
        assert done.wait(5)
        let_go.set()
    gatherer.close()
