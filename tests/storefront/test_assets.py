"""The storefront's files as the gateway gets them."""

import re

from shortlist.storefront import assets
from shortlist.storefront.assets import CONTENT_SECURITY_POLICY, STATIC


def test_every_file_of_the_folder_is_served_at_one_place_or_more() -> None:
    served = {asset.body for asset in assets().values()}
    unserved = [p.name for p in STATIC.iterdir() if p.suffix != ".html" and p.read_bytes() not in served]
    assert unserved == []
    assert {"/", "/docs", "/client.js", "/client.classic.js"} <= assets().keys()


def test_pages_are_whole_and_mark_their_own_link() -> None:
    pages = {url: a.body.decode() for url, a in assets().items() if a.content_type.startswith("text/html")}
    for url, text in pages.items():
        assert "{{" not in text
        assert text.count("<html") == text.count("<title>") == text.count("data-theme-toggle") == 1
        assert re.findall(r'href="(/[^"]*)" aria-current', text) in ([url], ["/exploration"], [])
    assert 'href="/operator" aria-current="page"' in pages["/operator"]
    assert 'href="/operator">' in pages["/explain"]


def test_pages_refer_only_to_files_that_are_served() -> None:
    for url, asset in assets().items():
        text = asset.body.decode()
        named = re.findall(r'(?:src|href)="(/(?:static|client)[^"]*)"', text)
        imported = re.findall(r'from "(\.?/[\w./]+\.js)";', text)
        wanted = {*named, *(path.replace("./", "/static/") for path in imported)}
        assert wanted <= assets().keys(), url


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    for url, asset in assets().items():
        text = asset.body.decode()
        if asset.content_type.startswith("text/html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), url
            assert asset.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert "innerHTML" not in text, url
        assert not re.search(
            r"""(?:src|href|from|url\()\s*=?\s*["'(]?https?://(?!recommender\.example)""", text
        ), url


def test_the_shop_s_name_is_escaped() -> None:
    page = assets('Tom & "Co" <b>')["/"].body.decode()
    assert "Tom &amp; &quot;Co&quot; &lt;b&gt;" in page
    assert "{{" not in page


def test_an_etag_says_whether_a_client_has_the_file() -> None:
    asset = assets()["/client.js"]
    assert asset.is_current(asset.etag)
    assert asset.is_current(f'"other", W/{asset.etag}')
    assert not asset.is_current('"other"')
    assert not asset.is_current(None)


def test_the_plain_script_is_the_module_without_exports() -> None:
    assert b"\nexport " in assets()["/client.js"].body
    assert b"\nexport " not in assets()["/client.classic.js"].body
    assert assets()["/client.js"].headers["cross-origin-resource-policy"] == "cross-origin"
