"""The threads that compute slates."""

import threading

from shortlist.serving.workers import Workers


def test_urgent_work_goes_before_background_work() -> None:
    workers = Workers("test", 1)
    let_go, done = threading.Event(), threading.Event()
    order: list[str] = []
    workers.submit(lambda: void(let_go.wait(10)))
    workers.submit_background(lambda: order.append("background"))
    workers.submit_background(lambda: done.set())
    workers.submit(lambda: order.append("urgent"))
    let_go.set()
    assert done.wait(10)
    assert order == ["urgent", "background"]
    workers.close()


def test_background_work_leaves_a_thread_for_urgent_work() -> None:
    workers = Workers("test", 2)
    let_go, done, ran = threading.Event(), threading.Event(), threading.Semaphore(0)

    def long() -> None:
        let_go.wait(10)
        ran.release()

    for _ in range(5):
        assert workers.submit_background(long)
    workers.submit(done.set)
    assert done.wait(10)
    let_go.set()
    assert all(ran.acquire(timeout=10) for _ in range(5))
    workers.close()


def test_too_much_background_work_is_refused() -> None:
    workers = Workers("test", 1, background=2)
    let_go = threading.Event()
    started = threading.Event()

    def blocks() -> None:
        started.set()
        let_go.wait(10)

    workers.submit(blocks)
    assert started.wait(10)
    assert [workers.submit_background(let_go.set) for _ in range(3)] == [True, True, False]
    let_go.set()
    workers.close()


def test_work_that_raises_costs_no_thread() -> None:
    workers = Workers("test", 1)
    done = threading.Event()
    workers.submit(lambda: void(1 // 0))
    workers.submit(done.set)
    assert done.wait(10)
    workers.close()


def void(_: object) -> None:
    """For a lambda whose value nobody wants."""


def test_a_thread_that_is_kept_is_replaced_and_ends_when_it_comes_back() -> None:
    workers = Workers("test", 1)
    kept, let_go, done, again = (threading.Event() for _ in range(4))
    ids: list[int] = []

    def keeps() -> None:
        ids.append(threading.get_ident())
        kept.set()
        let_go.wait(10)

    assert workers.submit_background(keeps)
    assert kept.wait(10)
    workers.replace(threading.get_ident())  # no thread of theirs: nothing changes
    workers.replace(ids[0])
    workers.replace(ids[0])
    assert workers.submit_background(done.set)
    assert done.wait(10)
    let_go.set()
    while len(workers._threads) > 1:
        threading.Event().wait(0.001)

    def says() -> None:
        ids.append(threading.get_ident())
        again.set()

    workers.submit(says)
    assert again.wait(10)
    assert ids[1] != ids[0]
    workers.close()
