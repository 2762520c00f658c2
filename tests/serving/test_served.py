"""What was served reaches the log, whichever threads say so."""

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.serving.conftest import Shop

from shortlist.serving.on_loop import OnLoop
from shortlist.serving.served import Served


def test_threads_together_lose_no_slate(shop: Shop) -> None:
    served, before = Served(shop.log, shop.settings, OnLoop()), sys.getswitchinterval()

    def serve(thread: int) -> None:
        for number in range(3_000):
            served.slate(f"{thread}-{number}", 0, b',"user_id":"u"}')

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(serve, range(4)))
    finally:
        sys.setswitchinterval(before)
    served.flush()
    shop.log.close()
    assert sorted(slate["request_id"] for slate in shop.served()) == sorted(
        f"{thread}-{number}" for thread in range(4) for number in range(3_000)
    )
