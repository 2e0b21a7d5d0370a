"""What a hostile client may put anywhere in ``context`` and ``properties``, as strategies."""

from typing import Any

from hypothesis import strategies as st

_READ = (
    "page url title referrer campaign name source medium term content device type model brand manufacturer os version "
    "os_version timezone webdriver ip user_agent"
)
_NAMES = st.sampled_from(_READ.split(" "))
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(
        (
            "http://[::1",
            "http://a:99999/",
            "https://\u2100.example/",
            "javascript:alert(1)",
            "?&=&utm_source=%FF%00&gclid==",
            "../../etc/passwd",
            "Europe",
            "\x00",
            "http://user:p@ss@[::1]:8080/a?b#c",
            "x" * 5_000,
        )
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | _TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(_NAMES, JSON, max_size=8)
TEXTS = _TEXTS
