"""By what an event is recognised before anybody knows more of it: the most telling of its own ids."""

import hashlib
from functools import lru_cache

from functions.shared.domain.ids import NIL


def of(user_id: str | None, anonymous_id: str, session_id: str, ip: str, user_agent: str) -> str:
    """``u:`` user, else ``a:`` device, else ``s:`` the client's session, else ``f:`` a hash of address and agent."""
    if user_id:
        return "u:" + user_id
    if anonymous_id:
        return of_device(anonymous_id)
    if session_id != NIL:
        return "s:" + session_id
    return _fingerprint(ip, user_agent)


def of_device(anonymous_id: str) -> str:
    """A device as events and sessions name it; nothing where there is none."""
    return anonymous_id and "a:" + anonymous_id


@lru_cache(maxsize=16_384)
def _fingerprint(ip: str, user_agent: str) -> str:
    return "f:" + hashlib.sha256(f"{ip}\n{user_agent}".encode("utf-8", "surrogatepass")).hexdigest()
