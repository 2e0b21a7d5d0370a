"""By what the sender is recognised: its user, else its device, else its session, else its address and agent."""

from collections.abc import Mapping
from typing import Any

from functions.enrich.steps.step import Columns, Step, is_anonymous
from functions.shared.domain import identity

_NOBODY: Columns = {"identity": ""}


def identity_step() -> Step:
    """``identity``, from ids and the canonical ip. It decides which visitor an event is of; who refuses is none."""
    return Step("identity", _run, _NOBODY)


def _run(row: Mapping[str, Any]) -> Columns:
    if is_anonymous(row):
        return _NOBODY
    return {
        "identity": identity.of(row["user_id"], row["anonymous_id"], row["session_id"], row["ip"], row["user_agent"])
    }
