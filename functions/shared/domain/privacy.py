"""What of an event may be stored: rules that an operator declares, applied to the event's own JSON.

The text of what no rule names stays as it was sent. What cannot be read cannot be redacted: nothing is left of it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from functions.shared.domain import addresses, clicks, consent

AddressMode = Literal["kept", "truncated", "dropped"]
Action = Literal["drop", "hash"]
# What is left of a hashed value, and is not hashed again when an event is read anew from what was stored.
_HASHED = re.compile(r"hmac:[0-9a-f]{64}\Z")
_ADDRESS = ("context", "ip")
# What an event says of who sent it, and by what they are known again.
_OF_A_PERSON = (("user_id",), ("anonymous_id",), ("session_id",))
_OF_A_DEVICE = (("context", "device", "id"), ("context", "device", "advertising_id"))
_PAGES = (
    *(("context", "page", name) for name in ("url", "search", "referrer")),
    *((place, name) for place in ("context", "properties") for name in ("url", "referrer", "search")),
)
_OF_A_BROWSER = (_ADDRESS, ("context", "user_agent"))
_EQUALS = re.compile(r"\s*=\s*")
# Without these an event is none, or is not the same one any more.
_NEEDED = frozenset({"event_id", "event_type", "event_name", "platform", "timestamp", "session_id", "sent_at"})
_GONE = object()
_Act = tuple[tuple[str, ...], Callable[[Any], Any]]
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class Rule(NamedTuple):
    """What is to be done with whatever lies at a path, in each element where the path leads through a list."""

    path: tuple[str, ...]
    action: Action


def parse(text: str) -> tuple[Rule, ...]:
    """Rules as an operator declares them: ``properties.email=drop, user_id=hash``. Raises :class:`ValueError`."""
    return tuple(_rule(piece) for piece in re.split(r"[,;\s]+", _EQUALS.sub("=", text)) if piece)


def _rule(text: str) -> Rule:
    name, _, action = text.partition("=")
    path = tuple(name.split("."))
    if action not in ("drop", "hash") or "" in path:
        raise ValueError(f"{text!r} is no rule; one looks like properties.email=drop or user_id=hash")
    if path == _ADDRESS:
        raise ValueError("context.ip has a setting of its own, WEIR_PRIVACY_ADDRESS")
    if path[0] in _NEEDED or path in (("properties",), ("context",)):
        raise ValueError(f"{name} cannot be redacted; name what lies in properties or context, or an id of a person")
    return Rule(path, "drop" if action == "drop" else "hash")


class Redactor:
    """Applies rules. Pure: the same event always becomes the same, and what was redacted stays as it is."""

    def __init__(
        self,
        address: AddressMode = "kept",
        rules: Sequence[Rule] = (),
        secret: str = "",
        mode: consent.Mode = "off",
        refused_rules: Sequence[Rule] = (),
    ) -> None:
        """``mode``: whether it is heard that a person refuses; ``refused_rules`` hold for events of such."""
        self._secret = secret.encode()
        self._address = address
        acts: dict[Action, Callable[[Any], Any]] = {"drop": lambda _value: _GONE, "hash": self._hashed}
        self._named = [(rule.path, acts[rule.action]) for rule in rules]
        self._all = [*self._named]
        if address != "kept":
            self._all.append((_ADDRESS, _cut if address == "truncated" else acts["drop"]))
        self._refused: list[_Act] = [(path, acts["drop"]) for path in (*_OF_A_PERSON, *_OF_A_DEVICE)]
        self._refused += [(path, _of_no_click) for path in _PAGES]
        self._refused += [(rule.path, acts[rule.action]) for rule in refused_rules]
        self._refused_all = [*self._refused, *((path, acts["drop"]) for path in _OF_A_BROWSER)]
        self.names = bool(rules)
        self.keeps_addresses = address == "kept"
        self.consents = mode != "off"
        self.active = bool(self._all) or self.consents
        self._hashes_users = Rule(("user_id",), "hash") in rules

    def refusal(self, event: dict[str, Any] | None, line: bytes, said: consent.Signal) -> consent.Refusal:
        """Why an event is not to be of anybody; see :func:`consent.refusal`."""
        return consent.refusal(event, line, said) if self.consents else ""

    def text(self, line: bytes, refusal: consent.Refusal = "") -> bytes:
        """An event's JSON as it may be stored; nothing of a line that cannot be read as one event."""
        if not self._all and not refusal:
            return line
        try:
            return msgspec.json.encode(self._stored(_OBJECT.decode(line), refusal))
        except _UNREADABLE:
            return self._tolerantly(line, refusal)

    def unreadable(self, message: bytes) -> bytes:
        """What may be stored of a message that is no envelope: nothing, as soon as anything is redacted."""
        return b"" if self.active else message

    def event(self, event: dict[str, Any], refusal: consent.Refusal = "") -> None:
        """Apply the named rules to a read event, in place. The address stays, for those who still look it up."""
        _apply_all(self._named, event)
        if refusal:
            _apply_all(self._refused, event)

    def address(self, text: str) -> str:
        """The address that a request came from, as it may be stored."""
        return text if self._address == "kept" else addresses.truncated(text) if self._address == "truncated" else ""

    def user(self, reference: str) -> str:
        """A user's id as events carry it once they are stored."""
        return str(self._hashed(reference)) if self._hashes_users else reference

    def _stored(self, event: dict[str, Any], refusal: consent.Refusal) -> Any:
        _apply_all(self._all, event)
        if refusal:
            _apply_all(self._refused_all, event)
            _note_signal(event, refusal)
        return event

    def _tolerantly(self, line: bytes, refusal: consent.Refusal) -> bytes:
        """What JSON itself does not have but clients send: NaN, a cut emoji."""
        try:
            event = json.loads(line.decode("utf-8"))
            if not isinstance(event, dict):
                return b""
            return json.dumps(self._stored(event, refusal), separators=(",", ":")).encode()
        except _UNREADABLE:
            return b""

    def _hashed(self, value: Any) -> Any:
        plain = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
        if plain is None or plain == "" or (isinstance(plain, str) and _HASHED.match(plain)):
            return value
        text = plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return "hmac:" + hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _apply_all(acts: Sequence[_Act], event: dict[str, Any]) -> Any:
    for path, act in acts:
        _apply(event, path, act)
    return event


def _apply(value: Any, path: Sequence[str], act: Callable[[Any], Any]) -> Any:
    """The value with what lies at the path changed. A dotted key is the path it spells."""
    opened = _opened(value)
    if isinstance(opened, list):
        return [_apply(item, path, act) for item in opened]
    if not isinstance(opened, dict):
        return value
    for length in range(1, len(path) + 1):
        name = ".".join(path[:length])
        if name not in opened:
            continue
        changed = _apply(opened[name], path[length:], act) if length < len(path) else act(opened[name])
        if changed is _GONE:
            del opened[name]
        else:
            opened[name] = changed
    return opened


def _note_signal(event: dict[str, Any], refusal: consent.Refusal) -> None:
    """A signal is the request's, a flag the row's: from here on the event says it itself, wherever it is read again."""
    if refusal in ("dnt", "gpc", "flag"):
        context = _opened(event.get("context"))
        known = context if isinstance(context, dict) else {}
        signal = {} if refusal == "flag" else {"signal": refusal}
        event["context"] = {**known, "consent": {"analytics": False, **signal}}


def _opened(value: Any) -> Any:
    if not isinstance(value, msgspec.Raw):
        return value
    first = bytes(value).lstrip()[:1]
    return _OBJECT.decode(value) if first == b"{" else _ARRAY.decode(value) if first == b"[" else value


def _of_no_click(value: Any) -> Any:
    plain = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
    blanked = clicks.blanked(plain) if isinstance(plain, str) else plain
    return value if blanked == plain else blanked


def _cut(value: Any) -> Any:
    plain = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
    return (addresses.truncated(plain) or _GONE) if isinstance(plain, str) else _GONE
