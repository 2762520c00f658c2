"""MovieLens ratings: 100k (`u.data`), 1M and 10M (`ratings.dat`), latest, 20M and later (`ratings.csv`)."""

from collections.abc import Sequence

from shortlist.importing.found import Found
from shortlist.importing.layout import Layout, literal, look
from shortlist.importing.plan import Plan, Rows

# The flags of u.item, in the order of u.genre.
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RATINGS = ("user_id", "item_id", "rating", "ts")
MOVIES = ("item_id", "title", "genres")


def movielens(given: Sequence[Found], beside: Sequence[Found]) -> Plan | None:
    """MovieLens in any of its forms; movies are taken from beside the ratings."""
    files = {found.name: found for found in (*beside, *given)}
    names = {found.name for found in given}
    if "u.data" in names:
        return Plan("MovieLens 100k", (_ratings(files["u.data"], "\t"),), _items_100k(files.get("u.item")))
    if "ratings.dat" in names:
        return Plan("MovieLens", (_ratings(files["ratings.dat"], "::"),), _items_dat(files.get("movies.dat")))
    if "ratings.csv" in names and _has(files["ratings.csv"], "userId", "movieId", "rating"):
        found = files["ratings.csv"]
        layout = look(found)
        ts = {"ts": layout.text("timestamp")} if layout.has("timestamp") else {}
        fields = {"user_id": "userId", "item_id": "movieId", "rating": "rating"}
        rows = Rows(found, layout, {f: layout.text(c) for f, c in fields.items()} | ts, type="rating")
        return Plan("MovieLens", (rows,), _items_csv(files.get("movies.csv")))
    if "movies.csv" in names and _has(files["movies.csv"], *("movieId", "title", "genres")):
        return Plan("MovieLens movies", (), _items_csv(files["movies.csv"]))
    return None


def _ratings(found: Found, delimiter: str) -> Rows:
    layout = Layout("delimited", RATINGS, delimiter, quote="")
    return Rows(found, layout, {name: layout.text(name) for name in RATINGS}, type="rating")


def _items_100k(found: Found | None) -> tuple[Rows, ...]:
    if found is None:
        return ()
    columns = ("item_id", "title", "released", "video_released", "url", *GENRES)
    layout = Layout("delimited", columns, "|", quote="")
    chosen = ", ".join(f"if({layout.text(genre)} = '1', {literal(genre)}, NULL)" for genre in GENRES[1:])
    fields = {"item_id": layout.text("item_id"), "title": layout.text("title")}
    fields["categories"] = f"concat_ws('|', {chosen})"
    return (Rows(found, layout, fields, encoding="latin-1"),)


def _items_dat(found: Found | None) -> tuple[Rows, ...]:
    if found is None:
        return ()
    layout = Layout("delimited", MOVIES, "::", quote="")
    # 1M is in Latin-1, 10M in UTF-8: what the first lines are not, the file is not.
    try:
        found.head().rpartition(b"\n")[0].decode()
        encoding = ""
    except UnicodeDecodeError:
        encoding = "latin-1"
    return (Rows(found, layout, _movie(layout, *MOVIES), encoding=encoding),)


def _items_csv(found: Found | None) -> tuple[Rows, ...]:
    if found is None:
        return ()
    layout = look(found)
    return (Rows(found, layout, _movie(layout, "movieId", "title", "genres")),)


def _movie(layout: Layout, item_id: str, title: str, genres: str) -> dict[str, str]:
    return {
        "item_id": layout.text(item_id),
        "title": layout.text(title),
        "categories": f"nullif({layout.text(genres)}, '(no genres listed)')",
    }


def _has(found: Found, *columns: str) -> bool:
    return set(columns) <= set(look(found).columns)
