"""Nothing that is logged or raised tells a day's salt, not even where the store quotes what it was sent."""

import logging
import time
import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from functions.shared.adapters.clickhouse_salts import ClickHouseSalts
from functions.shared.domain import visitors
from functions.shared.errors import StoreUnavailable
from functions.shared.settings import StoreSettings

SALT = bytes(range(visitors.SALT_BYTES))


class Refusing:
    """A store with no salt yet, which takes no row and quotes the one it was sent."""

    def query(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(result_rows=[])

    def raw_insert(self, table: str, columns: list[str], row: bytes, **_: Any) -> None:
        raise DatabaseError(f"Code: 27. Cannot parse {row.decode()} for {table} ({columns})")


def test_a_refused_insert_tells_no_salt(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ours = ClickHouseSalts(StoreSettings(), time.time_ns, lambda _size: SALT)
    monkeypatch.setattr(ours._link, "client", Refusing)
    with pytest.raises(StoreUnavailable) as caught:
        ours.of(time.time_ns())
    logging.getLogger("weir").exception("what a handler makes of it", exc_info=caught.value)
    assert "what a handler makes of it" in caplog.text
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SALT.hex() not in told
