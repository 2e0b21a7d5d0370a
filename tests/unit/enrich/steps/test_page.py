"""The page's URL, split."""

from typing import Any

import pytest
from hypothesis import given

from functions.enrich.steps.page import page_step
from tests.unit.enrich.steps.hostile import TEXTS
from tests.unit.enrich.steps.rows import row

STEP = page_step()


def page(url: Any, **more: Any) -> dict[str, Any]:
    return dict(STEP.run(row(context={"page": {"url": url, **more}})))


@pytest.mark.parametrize(
    ("url", "host", "path", "query"),
    [
        ("https://Shop.Example.com/a/b?x=1#top", "shop.example.com", "/a/b", "x=1"),
        ("https://example.com", "example.com", "/", ""),
        ("https://example.com:443/", "example.com", "/", ""),
        ("http://example.com:80/", "example.com", "/", ""),
        ("http://localhost:3000/x", "localhost:3000", "/x", ""),
        ("https://example.com./x", "example.com", "/x", ""),
        ("https://user:secret@example.com/x", "example.com", "/x", ""),
        ("http://[2001:db8::1]:8080/x", "[2001:db8::1]:8080", "/x", ""),
        ("https://пример.рф/путь?к=1", "пример.рф", "/путь", "к=1"),
        ("//example.com/x", "example.com", "/x", ""),
        ("example.com/x?y", "example.com", "/x", "y"),
        ("/pricing?plan=a", "", "/pricing", "plan=a"),
        ("?a=1", "", "/", "a=1"),
        ("file:///index.html", "", "/index.html", ""),
        ("capacitor://localhost/home", "localhost", "/home", ""),
        ("https://example.com/?a=1&a=2&%F0%9F", "example.com", "/", "a=1&a=2&%F0%9F"),
    ],
)
def test_a_url_is_split_so_that_it_can_be_grouped_by(url: str, host: str, path: str, query: str) -> None:
    found = page(url, title=" Prices ")
    assert found == {
        "page_url": url,
        "page_host": host,
        "page_path": path,
        "page_query": query,
        "page_title": "Prices",
    }


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,<script>",
        "about:blank",
        "http://[::1",
        "http://example.com:99999/",
        "http://example.com:port/",
        "http://a b/",
        "http://<script>/",
        "http:///",
        "https://?x",
        "http://" + "a" * 300 + ".com/",
    ],
)
def test_what_is_no_page_is_kept_and_flagged(url: str) -> None:
    found = page(url)
    assert (found["page_url"], found["page_host"], found["page_path"]) == (url, "", "")
    assert found["flags"] == ["page_url_invalid"]


@pytest.mark.parametrize(("length", "flags"), [(4_096, None), (4_097, ["page_url_cut"])])
def test_a_url_is_kept_up_to_4096_characters(length: int, flags: list[str] | None) -> None:
    found = page(("https://example.com/" + "x" * 5_000)[:length])
    assert len(found["page_url"]) == 4_096
    assert found.get("flags") == flags


def test_a_client_without_a_page_object_may_say_the_url_elsewhere() -> None:
    assert STEP.run(row(properties={"url": "https://a.example/p"}))["page_path"] == "/p"
    assert STEP.run(row(context={"url": "https://a.example/c"}))["page_path"] == "/c"


@pytest.mark.parametrize("context", [{}, {"page": None}, {"page": "x"}, {"page": {"url": 7, "title": []}}, {"url": {}}])
def test_an_event_without_a_page_has_empty_columns(context: dict[str, Any]) -> None:
    assert STEP.run(row(context=context)) == STEP.empty


@given(TEXTS, TEXTS)
def test_any_text_is_split_or_flagged(url: str, title: str) -> None:
    found = page(url, title=title)
    assert found.keys() - {"flags"} == STEP.empty.keys()
    assert len(found["page_url"]) <= 4_096
    assert len(found["page_title"]) <= 1_024
