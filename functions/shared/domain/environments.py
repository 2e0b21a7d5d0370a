"""Which environment a key belongs to: what test keys sent is kept apart from what is real."""

TEST, LIVE = "test", "live"
_TEST_KEYS = ("test", "wk_test")

# The same of a column `key_id`, for SQL.
SQL = "if(startsWith(key_id, 'test') OR startsWith(key_id, 'wk_test'), 'test', 'live')"


def of(key_id: str) -> str:
    """The environment of a key."""
    return TEST if key_id.startswith(_TEST_KEYS) else LIVE
