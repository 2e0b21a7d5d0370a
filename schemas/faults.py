"""Stable codes for what can be wrong with an event, and the record that carries one.

A *fault* costs the event (it is stored as ``failed``); a *warning* is told to the client and the
event is kept.
"""

from typing import Literal, NamedTuple

FaultCode = Literal[
    "malformed_json",
    "not_an_object",
    "required",
    "wrong_type",
    "too_short",
    "too_long",
    "bad_uuid",
    "nil_uuid",
    "bad_timestamp",
    "timestamp_too_old",
    "not_finite",
    "integer_too_large",
    "too_deep",
    "key_too_long",
    "string_too_long",
    "event_too_large",
    "store_refused",
    "schema_violation",
    "patch_refused",
    "event_name_refused",
    "consent",
]
WarningCode = Literal[
    "event_id_assigned",
    "timestamp_without_offset",
    "empty_is_absent",
    "unknown_field",
    "surrogate_replaced",
]

Location = tuple[str | int, ...]


class Fault(NamedTuple):
    """One fault or warning: a stable code, where it is inside the event, and a sentence for a person."""

    code: FaultCode | WarningCode
    loc: Location
    message: str
