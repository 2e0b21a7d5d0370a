"""The scope that each route needs: one table, told apart by nothing but the method and the path as declared.

A route that is not here is open to nobody; a test holds the table and the routes together.
"""

from collections.abc import Mapping
from typing import Literal

from functions.shared.domain.keys import Scope

OPEN: Literal["open"] = "open"
Access = Scope | Literal["open"]

SCOPES: Mapping[tuple[str, str], Access] = {
    ("POST", "/api/v1/events"): "write",
    ("POST", "/api/v1/events/batch"): "write",
    ("GET", "/api/v1/events"): "read",
    ("GET", "/api/v1/events/{event_id}"): "read",
    ("GET", "/api/v1/events/{event_id}/trace"): "read",
    ("GET", "/api/v1/batches/{batch_id}"): "read",
    ("GET", "/api/v1/properties"): "read",
    ("GET", "/api/v1/sessions"): "read",
    ("GET", "/api/v1/sessions/{session_id}"): "read",
    ("GET", "/api/v1/users/{user_id}/journey"): "read",
    ("GET", "/api/v1/funnels"): "read",
    ("GET", "/api/v1/paths"): "read",
    ("GET", "/api/v1/retention"): "read",
    ("GET", "/api/v1/metrics"): "read",
    ("GET", "/api/v1/metrics/{name}"): "read",
    ("GET", "/api/v1/anomalies"): "read",
    ("GET", "/api/v1/identities/merges"): "admin",
    ("POST", "/api/v1/identities/merges"): "admin",
    ("GET", "/api/v1/identities/merges/{merge_id}"): "admin",
    ("DELETE", "/api/v1/identities/merges/{merge_id}"): "admin",
    ("GET", "/api/v1/ledger"): "read",
    ("GET", "/api/v1/dead-letters"): "read",
    ("GET", "/api/v1/replays"): "admin",
    ("POST", "/api/v1/replays"): "admin",
    ("GET", "/api/v1/replays/{replay_id}"): "admin",
    ("POST", "/api/v1/replays/{replay_id}/stop"): "admin",
    ("POST", "/api/v1/replays/{replay_id}/resume"): "admin",
    ("DELETE", "/api/v1/users/{user_id}"): "admin",
    ("GET", "/api/v1/erasures/{erasure_id}"): "admin",
    ("GET", "/api/v1/status"): "read",
    # Which engines there are, and what is wrong with them, is nobody else's affair.
    ("GET", "/ready"): "read",
    ("GET", "/health"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
}
# What operators say of visitors, what is replayed and who is erased holds for both environments: a test key has no say.
_BOTH = ("/api/v1/identities/", "/api/v1/replays", "/api/v1/erasures/", "/api/v1/users/{user_id}")
LIVE_ONLY = frozenset(route for route in SCOPES if route[1].startswith(_BOTH) and SCOPES[route] == "admin")
