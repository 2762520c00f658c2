import asyncio
from pathlib import Path

import msgspec
import pytest

from shortlist.app.catalog import catalog
from shortlist.cli.import_ import bring, past
from shortlist.demo.load import Demo, load, read_demo
from shortlist.home import Home
from shortlist.importing.importer import Request
from shortlist.importing.problem import Outcome
from shortlist.progress import silent
from shortlist.settings import Settings


class Loader:
    """Loads into a home and counts what was imported."""

    def __init__(self, home: Home) -> None:
        self.home, self.settings = home, Settings()
        self.requests: list[Request] = []

    def load(self, data: Path | None = None, now_ms: int = 1_760_000_000_000) -> Demo:
        return load(
            self.home,
            data,
            silent,
            bring=self.bring,
            past=lambda: past(self.settings, self.home),
            now_ms=lambda: now_ms,
        )

    def bring(self, request: Request) -> Outcome:
        self.requests.append(request)
        return asyncio.run(bring(self.settings, self.home, request, silent))


@pytest.mark.slow
def test_the_made_up_shop_comes_in_by_the_import_and_once(home: Home) -> None:
    loader = Loader(home)
    demo = loader.load()
    assert demo.personas[0].user_id == "weekend-cyclist"
    mine = [e for e in past(loader.settings, home) if e.user_id == "weekend-cyclist"]
    assert len(mine) > 40
    assert all(e.category for e in mine)

    async def count() -> int:
        async with catalog(loader.settings, home) as items:
            return len([item async for item in items.all()])

    assert asyncio.run(count()) == 2_000
    assert loader.load(now_ms=1_770_000_000_000) == demo
    assert len(loader.requests) == 1, "what is there is kept"
    home.demo.unlink()
    assert loader.load(now_ms=1_770_000_000_000) == demo, "an interrupted demo goes on with the same shop"
    assert max(e.ts for e in past(loader.settings, home)) <= 1_760_000_000_000


def test_real_data_gets_personas_of_its_own_users(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "ml-tiny"
    folder.mkdir()
    genres = ["Drama", "Horror", "Western"]
    movies = [f"{n},Film {n},{genres[n % 3]}" for n in range(90)]
    ratings = [f"{user},{3 * n + user},4.0,{1_200_000_000 + n}" for user in range(3) for n in range(30)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *movies]))
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *ratings]))
    demo = Loader(home).load(folder)
    assert {p.name for p in demo.personas} == {"User 0 · Drama", "User 1 · Horror", "User 2 · Western"}
    assert read_demo(home) == demo
    assert msgspec.json.decode(home.demo.read_bytes())["source"] == str(folder)
