"""The storefront's files by the path they are served under, with headers that keep them safe and fresh."""

import hashlib
import html
import re
from functools import cache
from pathlib import Path

from msgspec import Struct

STATIC = Path(__file__).parent / "static"
PARTS = STATIC.parent / "parts"  # of several pages; each stands in a line of its own
PART = re.compile(r"\{\{part ([a-z-]+)\}\}\n")

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

# No inline script or style, no eval, no HTML made from strings (trusted types without any policy):
# a title that holds markup can only ever be text. Pictures may live on any host, data only here.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' https: http: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)


class Asset(Struct, frozen=True):
    """One file ready to be sent; `headers` are complete (type, etag, caching, security)."""

    content_type: str
    body: bytes
    etag: str  # quoted, as in the header
    headers: dict[str, str]

    def is_current(self, if_none_match: str | None) -> bool:
        """Whether a client that sent this If-None-Match has the file already (answer 304, no body)."""
        tags = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
        return self.etag in tags or "*" in tags


@cache
def assets(shop: str = "Shortlist") -> dict[str, Asset]:
    """Every file of the storefront by URL path; `shop` is the name in the header and the title.

    `/static/…` are the pages' parts. `/client.js` is an ES module, `/client.classic.js` the same source
    for a plain `<script>`; both may be loaded from other sites (the module from those in server.cors_origins,
    to which the gateway adds the CORS headers: the same that may call the API).
    """
    found = {}
    for path in sorted(STATIC.iterdir()):
        body = _page(path, shop) if path.suffix == ".html" else path.read_bytes()
        for url, content in _places(path.name, body):
            found[url] = _asset(content, TYPES[path.suffix], is_public=url.startswith("/client."))
    return found


def _page(path: Path, shop: str) -> bytes:
    """A page with what it shares with others, its own link marked among those of the site."""

    def part(name: re.Match[str]) -> str:
        return PART.sub(part, (PARTS / f"{name[1]}.html").read_text(encoding="utf-8"))

    text = PART.sub(part, path.read_text(encoding="utf-8"))
    link = f'<a href="/{path.stem}"'
    return (
        text.replace(f"{link}>", f'{link} aria-current="page">')
        .replace("{{shop}}", html.escape(shop))
        .encode()
    )


def _places(name: str, body: bytes) -> list[tuple[str, bytes]]:
    match name:
        case "index.html":
            return [("/", body)]
        case "docs.html":
            return [("/docs", body)]
        case "explain.html":
            return [("/explain", body)]
        case "operator.html":
            return [("/operator", body)]
        case "client.js":
            return [("/client.js", body), ("/client.classic.js", _classic(body))]
        case _:
            return [(f"/static/{name}", body)]


def _classic(module: bytes) -> bytes:
    """The module as a plain script: nothing leaks but the global `Shortlist` that the module sets too."""
    return b'(() => {\n"use strict";\n' + module.replace(b"\nexport ", b"\n") + b"})();\n"


def _asset(body: bytes, content_type: str, *, is_public: bool) -> Asset:
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {
        "content-type": content_type,
        "etag": etag,
        # Asked again every time and answered by 304: a page never mixes files of two versions for long.
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    if content_type.startswith("text/html"):
        headers["content-security-policy"] = CONTENT_SECURITY_POLICY
    if is_public:
        headers["cross-origin-resource-policy"] = "cross-origin"
    return Asset(content_type=content_type, body=body, etag=etag, headers=headers)
