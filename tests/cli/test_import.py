import asyncio
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shortlist.app.catalog import catalog
from shortlist.app.loop import followed
from shortlist.catalog.item import Item
from shortlist.cli.import_ import command, past
from shortlist.errors import ShortlistError
from shortlist.events.event import Event, EventType
from shortlist.home import Home
from shortlist.importing.destination_http import ServerApi
from shortlist.importing.problem import ImportFailed
from shortlist.settings import Settings


def run(home: Home, *words: str) -> Result:
    return CliRunner().invoke(command, ["--home", str(home.path), *words])


def written(folder: Path, name: str, *lines: str) -> str:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_help_has_examples_that_parse() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    assert "shortlist import ml-latest-small" in text
    for name in re.findall(r"(--[a-z-]+)", text.split("Examples:")[1].split("Options:")[0]):
        assert name in text.split("Options:")[1]


def test_an_import_says_what_came_in_and_what_was_refused(home: Home, tmp_path: Path) -> None:
    log = written(tmp_path, "log.csv", "user,item,when", "a,x,1600000000", ",x,1600000001", "b,y,never")
    result = run(home, log, "--map", "user_id=user,item_id=item,ts=when", "--type", "view")
    assert result.exit_code == 0, result.output
    assert "log.csv: 1 events (view), 0 items" in result.output
    assert "1 items are known by their id alone" in result.output
    assert "2 rows refused:" in result.output
    assert "user_id is missing" in result.output
    assert "line 4: b, y, never" in result.output
    assert [event.user_id for event in past(Settings(), home)] == ["a"]


def test_the_second_time_says_that_nothing_changed(home: Home, tmp_path: Path) -> None:
    log = written(tmp_path, "log.csv", "user_id,item_id", "a,x")
    run(home, log)
    result = run(home, log)
    assert "imported before, nothing changed" in result.output
    assert len(list(past(Settings(), home))) == 1


def test_the_same_content_as_another_type_is_warned_of(home: Home, tmp_path: Path) -> None:
    log = written(tmp_path, "log.csv", "user_id,item_id", "a,x")
    assert "warning" not in run(home, log).output
    result = run(home, log, "--type", "purchase")
    assert "log.csv: 1 events (purchase), 0 items" in result.output
    assert "log.csv was imported before as view, and now once more, as purchase: both" in result.output
    assert {event.type for event in past(Settings(), home)} == {EventType.VIEW, EventType.PURCHASE}
    again = run(home, log, "--type", "purchase")
    assert "nothing changed" in again.output
    assert "warning" not in again.output


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["nowhere.csv"], "no such file"),
        (["{log}", "--map", "user_id=usr,item_id=item"], "no column 'usr' for user_id; did you mean 'user'"),
        (["{log}", "--map", "usr_id=user"], "no field 'usr_id'; did you mean user_id"),
        (["{log}", "--map", "user_id"], "write field=column"),
        (["{empty}"], "the file is empty"),
        (
            ["--items", "{log}", "--map-items", "item_id=itme"],
            "no column 'itme' for item_id; did you mean 'item'",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    home: Home, tmp_path: Path, words: list[str], match: str
) -> None:
    files = {"log": written(tmp_path, "log.csv", "user,item", "a,x"), "empty": written(tmp_path, "empty.csv")}
    result = run(home, *(word.format(**files) for word in words))
    assert isinstance(result.exception, ShortlistError)
    assert re.search(match, str(result.exception))
    assert "\n" not in str(result.exception)


def test_nothing_to_import_is_a_mistake_of_use(home: Home) -> None:
    result = run(home)
    assert (result.exit_code, "name a PATH" in result.output) == (2, True)


@pytest.mark.slow
def test_a_full_disk_is_said_in_one_line_and_the_next_try_goes_on(home: Home, tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: the kernel refuses to write more, as it would then."""
    log = written(tmp_path, "log.csv", "user_id,item_id", *(f"user-{n},item-{n}" for n in range(20_000)))
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))\n"
        "from shortlist.cli import main\n"
        f"main(['import', '--home', {str(home.path)!r}, {log!r}])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    said = [line for line in ended.stderr.splitlines() if line.startswith("shortlist: ")]
    assert len(said) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert run(home, log).exit_code == 0
    assert len({event.event_id for event in past(Settings(), home)}) == 20_000
    assert len(list(past(Settings(), home))) == 20_000


# --- beside a server -----------------------------------------------------------------------------------


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that answers POST /events as it was told to, and keeps what came."""

    told: list[tuple[int, Any]]
    came: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append((self.path, self.headers["Authorization"], json.loads(body)))
        status, answer = self.told.pop(0) if self.told else (202, {"accepted": 1, "refused": []})
        self.send_response(status)
        data = json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@contextmanager
def answering(*told: tuple[int, Any]) -> Iterator[tuple[str, list[Any]]]:
    came: list[Any] = []
    handler = type("Told", (Answers,), {"told": list(told), "came": came})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", came
        finally:
            server.shutdown()
            thread.join()


def events(count: int, ts: int = 1_600_000_000_000) -> list[Event]:
    return [
        Event(event_id=f"k-{n}", user_id="a", type=EventType.VIEW, item_id="x", ts=ts + n)
        for n in range(count)
    ]


def sent(home: Home, url: str, batch: list[Event]) -> None:
    async def main() -> None:
        settings = Settings()
        async with catalog(settings, home) as items:
            with followed(settings, home) as loop:
                to = ServerApi(url, lambda: "t", items, loop.log, sleep=lambda _: None)
                await to.append(batch)
                to.close()

    asyncio.run(main())


@pytest.fixture
def used(home: Home, tmp_path: Path) -> Home:
    """A home with a log."""
    run(home, written(tmp_path, "first.csv", "user_id,item_id", "a,x"))
    return home


def test_events_go_to_the_server_by_the_thousand_with_their_ids(used: Home) -> None:
    with answering() as (url, came):
        sent(used, url, events(2_500))
    assert [len(body) for _, _, body in came] == [1_000, 1_000, 500]
    assert {(path, token) for path, token, _ in came} == {("/events", "Bearer t")}
    assert came[2][2][-1]["event_id"] == "k-2499"
    assert came[0][2][0]["ts"] == 1_600_000_000_000


def test_positions_are_sent_as_seconds_for_the_server_takes_small_numbers_so(used: Home) -> None:
    with answering() as (url, came):
        sent(used, url, events(1, ts=5_000))
    assert came[0][2][0]["ts"] == 5.0


def test_a_busy_server_is_asked_again(used: Home) -> None:
    with answering((503, {"detail": "full"}), (429, {}), (202, {"accepted": 3, "refused": []})) as (
        url,
        came,
    ):
        sent(used, url, events(3))
    assert len(came) == 3


def test_a_server_that_refuses_ends_the_import(used: Home) -> None:
    with answering((401, {"detail": "no key"})) as (url, _), pytest.raises(ImportFailed, match="401: no key"):
        sent(used, url, events(1))
    refused = {"accepted": 0, "refused": [{"index": 0, "field": "ts", "error": "is odd"}]}
    with (
        answering((202, refused)) as (url, _),
        pytest.raises(ImportFailed, match=r"refused 1 events.*ts is odd"),
    ):
        sent(used, url, events(1))


def test_the_file_that_a_dead_server_left_is_passed_over(home: Home, tmp_path: Path) -> None:
    with answering() as (url, _):
        pass
    for pid in (os.getpid(), 2**22 + 1):
        home.server.write_text(json.dumps({"pid": pid, "url": url}))
        log = written(tmp_path, f"{pid}.csv", "user_id,item_id", f"u{pid},x")
        assert run(home, log).exit_code == 0
    assert len(list(past(Settings(), home))) == 2


@pytest.mark.server
def test_beside_a_running_server_the_events_are_folded_by_it(home: Home, tmp_path: Path) -> None:
    items = written(tmp_path, "items.csv", "item_id,title,category", "x,Kettle,Kitchen")
    rows = [f"u{n % 9},{'xyz'[n % 3]},{1_600_000_000 + n}" for n in range(2_300)]
    log = written(tmp_path, "log.csv", "user_id,item_id,ts", *rows)
    words = [sys.executable, "-m", "shortlist", "serve", "--home", str(home.path), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if "http://" in line:
                break
        result = run(home, log, "--items", items)
        assert result.exit_code == 0, result.output
        assert "2,300 events (view), 1 items" in result.output
        again = run(home, log, "--items", items)
        assert "nothing changed" in again.output
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    found = list(past(Settings(), home))
    assert len(found) == len({e.event_id for e in found}) == 2_300
    assert {e.category for e in found if e.item_id == "x"} == {"Kitchen"}

    async def main() -> list[Item | None]:
        async with catalog(Settings(), home) as store:
            return await store.get(["x", "y"])

    assert asyncio.run(main()) == [
        Item(item_id="x", title="Kettle", categories=("Kitchen",)),
        Item(item_id="y"),
    ]
    with followed(Settings(), home) as loop:
        assert loop.features.read(["u0"], 1_700_000_000_000)[0].interaction_count == 256
