"""Which environment a key belongs to: what test keys sent is kept apart from what is real."""

from schemas.rows import TEST_KEYS

TEST, LIVE = "test", "live"

# The same of a column `key_id`, for SQL.
SQL = "if(startsWith(key_id, 'test') OR startsWith(key_id, 'wk_test'), 'test', 'live')"


def of(key_id: str) -> str:
    """The environment of a key, by the key itself (`wk_test_…`) or by its id."""
    return TEST if key_id.startswith(TEST_KEYS) else LIVE


def condition(environment: str, column: str = "key_id") -> str:
    """SQL: whether a row is of an environment, by the id of its key."""
    is_test = f"(startsWith({column}, 'test') OR startsWith({column}, 'wk_test'))"
    return is_test if environment == TEST else f"NOT {is_test}"
