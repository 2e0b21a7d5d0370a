"""Keys: found by their tokens alone, bound to scopes, origins and names; and the document that holds them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared.domain import instants, key_document
from functions.shared.domain.globs import Globs
from functions.shared.domain.keys import LONGEST_TOKEN, Digest, Key, Keyring, hash_of
from functions.shared.errors import Misconfigured, Unauthorized

NOW = instants.from_text("2026-01-31T12:00:00Z")


def key(token: str, key_id: str = "live_shop", expires_at: str = "", **given: object) -> Key:
    return Key(key_id=key_id, digests=(Digest(hash_of(token).hex(), expires_at),), **given)  # type: ignore[arg-type]


def code(ring: Keyring, token: str, now: int = NOW) -> str:
    with pytest.raises(Unauthorized) as caught:
        ring.find(token, now)
    assert len(token) < 3 or token not in caught.value.detail
    return caught.value.code


def test_a_key_is_found_by_its_token_alone() -> None:
    ring = Keyring([key("wk_live_a_1"), key("wk_live_b_1", "live_other")])
    assert ring.find("wk_live_a_1", NOW).key_id == "live_shop"
    assert ring.find("wk_live_b_1", NOW).key_id == "live_other"
    for wrong in ("", "wk_live_a", "wk_live_a_1 ", "WK_LIVE_A_1", "live_shop", hash_of("wk_live_a_1").hex(), "\ud800"):
        assert code(ring, wrong) == "key_unknown"


def test_a_token_of_any_length_is_looked_at_up_to_a_bound() -> None:
    longest = "k" * LONGEST_TOKEN
    ring = Keyring([key(longest), key(longest + "k", "live_never")])
    assert ring.find(longest, NOW).key_id == "live_shop"
    assert code(ring, longest + "k") == "key_unknown"
    assert code(ring, "k" * 1_000_000) == "key_unknown"


def test_a_revoked_key_and_a_token_that_was_rotated_away_are_told_apart() -> None:
    assert code(Keyring([key("a", revoked_at="2026-01-01T00:00:00Z")]), "a") == "key_revoked"
    rotated = Keyring([key("a", expires_at="2026-01-31T12:00:00Z")])
    assert rotated.find("a", NOW - 1).key_id == "live_shop"
    assert code(rotated, "a", NOW) == "key_expired"


def test_tokens_whose_digests_begin_alike_are_not_mixed_up() -> None:
    first = key("a")
    alike = Key(key_id="test_alike", digests=(Digest(first.digests[0].sha256[:8] + "0" * 56),))
    assert Keyring([alike, first]).find("a", NOW) is first
    assert code(Keyring([alike]), "a") == "key_unknown"


@pytest.mark.parametrize(
    ("scopes", "may"),
    [((), set()), (("write",), {"write"}), (("read",), {"read"}), (("admin",), {"read", "admin"})],
)
def test_an_admin_may_read_and_writing_is_apart(scopes: tuple[str, ...], may: set[str]) -> None:
    own = Key(key_id="live_a", scopes=scopes)  # type: ignore[arg-type]
    assert {scope for scope in ("write", "read", "admin") if own.may(scope)} == may  # type: ignore[arg-type]


def test_origins_and_names_are_bound_only_where_there_is_a_list() -> None:
    free, bound = Key(key_id="live_a"), Key(key_id="live_b", origins=("https://*.shop.test",), event_names=("Cart *",))
    assert free.allows_origin("null")
    assert free.allows_event("anything")
    assert bound.allows_origin("https://WWW.shop.test")
    assert not bound.allows_origin("https://shop.test.evil.test")
    assert bound.allows_event("Cart emptied")
    assert not bound.allows_event("cart emptied")


@given(st.lists(st.text("ab|.[", max_size=4), min_size=1, max_size=4), st.data())
def test_a_star_stands_for_any_characters(parts: list[str], data: st.DataObject) -> None:
    pattern = "*".join(parts)
    filled = parts[0] + "".join(data.draw(st.text("ab*\n", max_size=3)) + part for part in parts[1:])
    assert Globs([pattern]).match(filled)
    assert Globs(["other", pattern]).match(filled)


@given(st.text("ab*", max_size=6), st.text("ab", max_size=6))
def test_what_fits_is_what_a_plain_search_finds(pattern: str, text: str) -> None:
    def fits(some: str, rest: str) -> bool:
        if not some:
            return not rest
        if some[0] == "*":
            return any(fits(some[1:], rest[at:]) for at in range(len(rest) + 1))
        return rest[:1] == some[0] and fits(some[1:], rest[1:])

    assert Globs([pattern]).match(text) == fits(pattern, text)


def test_a_hostile_name_costs_no_more_than_its_length() -> None:
    assert not Globs(["*a" * 100 + "b"]).match("a" * 100_000)


def test_the_document_is_read_as_it_was_written() -> None:
    keys = [key("a", name="shop", scopes=("write",), daily_events=5), key("b", "test_b", slow_lane=True)]
    text = key_document.write(keys)
    assert key_document.read(text) == keys
    assert json.loads(text)["version"] == 1
    assert [one.environment for one in keys] == ["live", "test"]


GOOD = {"key_id": "live_a", "digests": [{"sha256": "0" * 64}]}


@pytest.mark.parametrize(
    "wrong",
    [
        "", "[]", "{", '{"keys":[]', '{"version":2,"keys":[]}', '{"keys":[],"more":1}', "\x00",
        *(json.dumps({"keys": keys}) for keys in (
            [GOOD, {**GOOD, "digests": []}],
            [GOOD, {**GOOD, "key_id": "live_b"}],
            [{**GOOD, "key_id": "a"}],
            [{**GOOD, "key_id": "prod_a"}],
            [{**GOOD, "key_id": "live_a\n"}],
            [{**GOOD, "key_id": "live_nobody"}],
            [{**GOOD, "digests": [{"sha256": "0" * 64 + "\n"}]}],
            [{**GOOD, "scopes": ["root"]}],
            [{**GOOD, "token": "wk_live_secret"}],
            [{**GOOD, "digests": [{"sha256": "wk_live_secret"}]}],
            [{**GOOD, "revoked_at": "yesterday-secret"}],
            [{**GOOD, "daily_events": -1}],
        )),
    ],
)  # fmt: skip
def test_a_bad_document_is_refused_whole_and_none_of_its_values_is_shown(wrong: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        key_document.read(wrong)
    assert "secret" not in str(caught.value)


def test_a_document_has_a_largest_size() -> None:
    with pytest.raises(Misconfigured, match="bytes"):
        key_document.read(" " * (key_document.MOST_BYTES + 1))
