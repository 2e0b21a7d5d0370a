"""Events of people who were erased: dropped on their way in, and removed again where they slipped through."""

from collections.abc import Sequence
from typing import Protocol

import orjson

from functions.shared.domain import environments, identity, ids
from functions.shared.domain.suppression import Position, Suppression
from schemas.rows import Delivery, RawRow


class Suppressions(Protocol):
    """Who is refused. Both raise :class:`~functions.shared.errors.StoreUnavailable`."""

    def known(self) -> Suppression:
        """As it was some seconds ago at most."""
        ...

    def current(self) -> Suppression:
        """As it is now: whatever was refused before the call is in it."""
        ...


class Nobody:
    """For where nobody was ever erased."""

    def known(self) -> Suppression:
        """See the port."""
        return Suppression()

    current = known


def refused(suppression: Suppression, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The deliveries of people who are refused. Of a failed event the ids are in its bytes, where they can be read."""
    return [one for one in deliveries if _refused(suppression, one)] if suppression else []


def _refused(suppression: Suppression, delivery: Delivery) -> bool:
    raw, processed = delivery
    position = Position(raw.timestamp, raw.event_id)
    environment = environments.of(raw.key_id)
    if processed is not None:
        return suppression.refuses(raw.user_id, raw.anonymous_id, processed.identity, position, environment)
    user, device = _ids(raw)
    return suppression.refuses(user, device, identity.of_device(device), position, environment)


def _ids(raw: RawRow) -> tuple[str | None, str]:
    """The user and the device of a failed event."""
    if raw.user_id or raw.anonymous_id:
        return raw.user_id, raw.anonymous_id
    try:
        event = orjson.loads(raw.raw_data)
    except orjson.JSONDecodeError:
        return None, ""
    if not isinstance(event, dict):
        return None, ""
    user, device = event.get("user_id"), event.get("anonymous_id")
    user_id = ids.user(user) if isinstance(user, str) and user else None
    return user_id, device if isinstance(device, str) else ""
