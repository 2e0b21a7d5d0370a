"""By which name visitors go: the same whatever the order in which it was said."""

from hypothesis import given
from hypothesis import strategies as st

from functions.measure.stitching.merges import aliases

_NAMES = st.sampled_from(["u:1", "u:2", "a:1", "a:2", "s:1", "f:1"])


@given(st.lists(st.tuples(_NAMES, _NAMES)), st.randoms())
def test_the_order_does_not_matter(pairs: list[tuple[str, str]], chance: object) -> None:
    mixed = list(pairs)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert aliases(pairs) == aliases(mixed) == aliases([(b, a) for a, b in mixed])


def test_a_known_user_gives_the_name() -> None:
    assert aliases([("a:0", "s:0"), ("s:0", "u:9")]) == {"a:0": "u:9", "s:0": "u:9"}


def test_of_two_alike_the_smaller_text_gives_it() -> None:
    assert aliases([("u:2", "u:1")]) == {"u:2": "u:1"}


def test_nobody_said_nothing() -> None:
    assert aliases([]) == {}
