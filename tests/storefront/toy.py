"""A toy recommender behind the real HTTP contract: enough to drive the page before, and beside, the real one.

It keeps every event, answers slates by the categories and items a user touched, and can be told to refuse,
stall or fail, which the real server cannot be asked to do.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shortlist.storefront import assets

Json = dict[str, Any]
OPENAPI = Path(__file__).with_name("openapi.json")

NAMES = {
    "Cameras": "Rangefinder 35, Field Camera, Pocket Zoom, Tripod No. 4, Street Lens 50, Film Scanner",
    "Coffee": "Pour-Over Kettle, Hand Grinder, Espresso Cup Set, Moka Pot, Cold Brew Jar, Scale 0.1 g",
    "Outdoor": "Ridge Tent, Down Jacket, Trail Runner, Enamel Mug, Headlamp 400, Dry Bag 20 l",
    "Books": "The Long Walk, Notes on Salt, A Field Guide, Paper Rooms, Northern Lights, Slow Cities",
    "Audio": "Open Headphones, Turntable One, Desk Speakers, Field Recorder, Tube Amp, Studio Mic",
    "Garden": "Pruning Shears, Watering Can, Seed Box, Herb Planter, Rain Gauge, Compost Bin",
}
BRANDS = ["Halden", "Mori", "Northfold", "Oakline", "Tern"]
XSS = '<img src=x onerror="window.pwned=1"><b>bold</b>'


def products() -> list[Json]:
    """36 products of a small shop, one of them with a title that tries to be markup."""
    rows = []
    for c, (category, names) in enumerate(NAMES.items()):
        for n, name in enumerate(names.split(", ")):
            rows.append(
                {
                    "item_id": f"{category.lower()}-{n}",
                    "title": name,
                    "description": f"{name}: made to be used for a long time, and mended when it breaks. "
                    "Comes in a plain box without a manual, because it needs none.",
                    "categories": [category],
                    "category": category,
                    "brand": BRANDS[(c + n) % len(BRANDS)],
                    "price": round(12 + 17.3 * ((c * 7 + n * 5) % 11), 2),
                    "currency": "EUR",
                    "stock": 3 if n == 1 else 40,
                    "image": None,
                    "attributes": {"made in": "Portugal", "warranty": "5 years"},
                }
            )
    rows[7]["title"] = XSS
    return rows


def movies() -> list[Json]:
    """A catalog without prices, brands, descriptions or pictures."""
    genres = ["Drama", "Comedy", "Thriller", "Animation"]
    rows = []
    for n in range(1, 41):
        genre = genres[n % 4]
        title = f"Movie Number {n} ({1960 + n})"
        rows.append({"item_id": str(n), "title": title, "categories": [genre, "Film"], "category": genre})
    return rows


class Toy:
    """The toy's whole state; tests look into it and turn its switches."""

    def __init__(self, items: list[Json]) -> None:
        self.items = {item["item_id"]: item for item in items}
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Back to the start: no events, no faults."""
        with self.lock:
            self.events: list[Json] = []
            self.batches: list[list[Json]] = []
            self.tokens: dict[str, str] = {}
            self.requests: list[str] = []
            self.seen: set[str] = set()
            self.answered: dict[str, Json] = {}  # surveys, by user
            self.refuse_item: str | None = None
            self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}  # by path, one request each
            self.delay_s = 0.0
            self.tier = "fresh"
            self.model: str | None = "2026-11-24.3"

    def fail(self, path: str, status: int, *, times: int = 1, **headers: str) -> None:
        """Answer the next `times` requests of `path` with `status`."""
        with self.lock:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            self.answers[path] = [(status, named)] * times

    def of(self, kind: str) -> list[Json]:
        """The events of one type, as received, each once."""
        with self.lock:
            return [event for event in self.events if event["type"] == kind]

    def past(self, user: str) -> list[Json]:
        return [e for e in self.events if e["user_id"] == user and e["type"] != "impression"]

    def take(self, batch: list[Json]) -> Json:
        with self.lock:
            self.batches.append(batch)
            refused = []
            for index, event in enumerate(batch):
                if event["item_id"] == self.refuse_item:
                    refused.append({"index": index, "field": "item_id", "error": "is not an id"})
                elif event["event_id"] not in self.seen:
                    self.seen.add(event["event_id"])
                    self.events.append(event)
            return {"accepted": len(batch) - len(refused), "refused": refused}

    def slate(self, user: str, category: str | None, page: int, exclude: str | None = None) -> Json:
        with self.lock:
            past = self.past(user)
        taken = {e["item_id"] for e in past if e["type"] in ("purchase", "dislike")}
        touched = [
            self.items[e["item_id"]] for e in past if e["item_id"] in self.items and e["type"] != "dislike"
        ]
        likes = Counter(item["category"] for item in touched[-8:])
        last = touched[-1] if touched else None
        taken.add(exclude)
        pool = [
            i for i in self.items.values() if i["item_id"] not in taken and category in (None, i["category"])
        ]

        def score(item: Json) -> float:
            base = 0.3 - 0.001 * ((hash_of(item["item_id"] + user)) % 97)
            return base + 0.12 * likes[item["category"]] - (0.2 if last and item is last else 0)

        ranked = sorted(pool, key=lambda item: -score(item))
        answers = self.answered.get(user)
        explored = max(0, 7 - len(past)) if answers is not None and len(past) < 10 else 0
        start = (page - 1) * 10
        rows = []
        for position, item in enumerate(ranked[start : start + 10], start):
            reason, code, sources = "Popular right now", "popular", ["popular"]
            if last and item["category"] == last["category"]:
                reason, code = f"Because you viewed {last['title']}", "viewed"
                sources = ["item_to_item", "transitions", "als"]
            elif likes:
                reason, code, sources = (
                    f"Popular in {item['category']}",
                    "popular_category",
                    ["als", "trending"],
                )
            if position >= 10 - explored and position < 10:
                reason, code, sources = f"Something different: {item['category']}", "variety", ["variety"]
            why = {"reason": reason, "reason_code": code, "sources": sources}
            rows.append(shown(item) | {"position": position, "score": round(score(item), 4)} | why)
        counted = [e for e in past if e["type"] != "dislike"]
        return {
            "request_id": f"req-{user}-{len(past)}-{category}-{page}",
            "user_id": user,
            "tier": "onboarding" if explored else self.tier if past else "popular",
            "recommendations": rows,
            "page": page,
            "next_page": page + 1 if start + 10 < len(ranked) else None,
            "model": {"version": self.model, "age_s": 5400.0 if self.model else None},
            "features": {
                "age_ms": 1200,
                "version": len(past) + (answers is not None),
                "interaction_count": len(counted),
            },
            "missing_sources": {},
            "took_ms": 1.7,
        }

    def survey(self, user: str) -> Json:
        counts = Counter(item["category"] for item in self.items.values())
        first = {item["category"]: item for item in reversed(list(self.items.values()))}
        pictures = {
            name: item.get("image") or f"/images/{item['item_id']}.svg" for name, item in first.items()
        }
        categories = [
            {"category": name, "items": count, "image": pictures[name]}
            for name, count in counts.most_common()
        ]
        return {
            "request_id": "survey-1",
            "user_id": user,
            "choose": 3,
            "categories": categories,
            "items": [shown(item) for item in list(first.values())[:5]],
            "stars": [1, 5],
        }

    def user(self, user: str) -> Json:
        with self.lock:
            past = self.past(user)
            answers = self.answered.get(user)
        items = [e["item_id"] for e in past if e["type"] != "dislike"]
        likes = Counter(self.items[i]["category"] for i in items if i in self.items)
        return {
            "user_id": user,
            "last_5": items[-5:],
            "history": [{"item_id": i, "title": self.items[i]["title"]} for i in items if i in self.items],
            "counts": Counter(e["type"] for e in past) + Counter(preferences=int(answers is not None)),
            "preferred": (answers or {}).get("categories", []),
            "stars": (answers or {}).get("ratings", {}),
            "interaction_count": len(items),
            "affinity": dict(likes.most_common(5)),
            "session": None,
        }


def hash_of(text: str) -> int:
    return sum(ord(c) * (n + 7) for n, c in enumerate(text))


def shown(item: Json) -> Json:
    names = ("item_id", "title", "image", "price", "currency", "category", "brand")
    return {name: item.get(name) for name in names}


def drawing(item_id: str) -> bytes:
    hue = hash_of(item_id) * 37 % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300">'
        f'<rect width="400" height="300" fill="hsl({hue} 45% 82%)"/>'
        f'<circle cx="{120 + hue % 90}" cy="150" r="84" fill="hsl({(hue + 40) % 360} 55% 62%)"/>'
        f'<rect x="190" y="{90 + hue % 40}" width="99" height="120" fill="hsl({(hue + 190) % 360} 45% 52%)"/>'
        "</svg>"
    ).encode()


PERSONAS = [
    {"user_id": "ada", "name": "Ada", "blurb": "Photographs cities, drinks too much coffee."},
    {"user_id": "bo", "name": "Bo Lindgren", "blurb": "Tents, trails and enamel mugs."},
    {"user_id": "chi", "name": "Chi", "blurb": "Records birds, grows tomatoes."},
    {"user_id": "dev", "name": "Dev", "blurb": "Reads everything twice."},
]


class Handler(BaseHTTPRequestHandler):
    """One request; `toy` is set by `serving`."""

    toy: Toy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        toy = self.toy
        with toy.lock:
            toy.requests.append(f"{self.command} {self.path}")
            planned = toy.answers.get(url.path)
            fault = planned.pop(0) if planned else None
        if fault is not None:
            if fault[0] == 0:  # the connection breaks
                self.close_connection = True
                return
            self.problem(fault[0], "Told to fail", fault[1])
        elif asset := assets().get(url.path):
            self.send(200, asset.body, asset.headers)
        elif url.path.startswith("/images/"):
            self.send(200, drawing(unquote(url.path)[8:-4]), {"content-type": "image/svg+xml"})
        else:
            if toy.delay_s:
                time.sleep(toy.delay_s)
            self.api(url.path, {k: v[-1] for k, v in parse_qs(url.query).items()}, body)

    def api(self, path: str, query: dict[str, str], body: bytes) -> None:
        toy = self.toy
        if path == "/personas":
            return self.json(200, PERSONAS)
        if path == "/docs/openapi.json":
            return self.json(200, json.loads(OPENAPI.read_text()))
        if path == "/dev/token":
            user = str(json.loads(body)["user_id"])
            with toy.lock:
                value = f"token-{len(toy.tokens)}"
                toy.tokens[value] = user
            return self.json(200, {"token": value})
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        with toy.lock:
            subject = toy.tokens.get(bearer)
        if subject is None:
            return self.problem(401, "No valid token", {"www-authenticate": "Bearer"})
        if path == "/events":
            batch = json.loads(body)
            batch = batch if isinstance(batch, list) else [batch]
            if any(event["user_id"] != subject for event in batch):
                return self.problem(403, "Not your user", {})
            said = toy.take(batch)
            return self.json(202 if said["accepted"] else 400, said)
        if path == "/onboarding":
            return self.json(200, toy.survey(subject))
        if path == "/onboarding/submit":
            answers = json.loads(body)
            with toy.lock:
                toy.answered[answers["user_id"]] = answers
            return self.json(202, {"user_id": answers["user_id"], "event_id": "e"})
        if path == "/recommendations":
            page = int(query.get("page", 1))
            return self.json(
                200, toy.slate(query["user_id"], query.get("category"), page, query.get("exclude"))
            )
        if path == "/similar":
            item = toy.items.get(query["item_id"])
            category = item["category"] if item else None
            near = [i for i in toy.items.values() if i is not item and i["category"] == category]
            rows = [shown(i) | {"position": n, "sources": ["item_to_item"]} for n, i in enumerate(near)]
            return self.json(200, {"request_id": "sim-1", "recommendations": rows, "took_ms": 0.8})
        if path == "/categories":
            counts = Counter(i["category"] for i in toy.items.values())
            rows = [{"category": name, "items": count} for name, count in sorted(counts.items())]
            return self.json(200, {"categories": rows})
        if path.startswith("/users/"):
            return self.json(200, toy.user(unquote(path[7:])))
        if path.startswith("/items/") and (item := toy.items.get(unquote(path[7:]))):
            return self.json(200, item)
        return self.problem(404, "Not found", {})

    def json(self, status: int, value: Any) -> None:
        self.send(status, json.dumps(value).encode(), {"content-type": "application/json"})

    def problem(self, status: int, title: str, headers: dict[str, str]) -> None:
        value = {"type": "/problems/toy", "title": title, "status": status, "detail": ""}
        self.send(status, json.dumps(value).encode(), {"content-type": "application/problem+json"} | headers)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(toy: Toy) -> Iterator[str]:
    """Serve `toy` on a free port of loopback; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"toy": toy}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with serving(Toy(movies() if "movies" in sys.argv else products())) as address:
        print(address, flush=True)  # noqa: T201
        threading.Event().wait()
