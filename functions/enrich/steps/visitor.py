"""The visitor of the day, for who sends no id of a person or a device."""

from collections.abc import Mapping
from typing import Any

from functions.enrich.steps.step import NOTHING, Columns, Step, is_anonymous
from functions.shared.domain import environments, visitors


def visitor_step() -> Step:
    """``anonymous_id``, from the day's salt, the canonical ip and the user agent; as it was sent where there is one.

    None for who refuses: it would be the id of what they sent before.
    """
    return Step("visitor", _run, NOTHING)


def _run(row: Mapping[str, Any]) -> Columns:
    salt, ip, user_agent = row["salt"], row["ip"], row["user_agent"]
    if is_anonymous(row):
        return NOTHING
    if not salt or row["user_id"] or row["anonymous_id"] or not (ip or user_agent):
        return NOTHING
    environment = environments.of(row["key_id"])
    return {"anonymous_id": visitors.daily_id(salt, environment, ip, user_agent)}
