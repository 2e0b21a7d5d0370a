"""What an invocation can come to, by what follows for the messages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answered:
    """The function ran and judged each message: the ids that must come again, and why where it said so."""

    again: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """The function ran and failed as a whole, or its answer cannot be read. Counts as a try of each message."""

    cause: str


@dataclass(frozen=True)
class Lost:
    """No answer came: it may have run. Not the messages' fault as far as is known, so not a try."""

    cause: str


@dataclass(frozen=True)
class Unreached:
    """The function never ran, or said that what it needs is away. Not a try; wait and send the same again."""

    cause: str


Outcome = Answered | Failed | Lost | Unreached
_UNSAID = "The function gave the message back without a cause."


def read_answer(body: bytes, sent: Sequence[str]) -> Outcome:
    """Judge a function's answer as AWS does for SQS: nothing said is success, anything malformed a failed batch.

    Two keys that AWS ignores are read besides: ``unavailable`` (what the function needs is away: none of the messages
    is to blame) and ``causes`` (message id to text, kept in the dead letter).
    """
    try:
        answer = (json.loads(body) if body.strip() else None) or {}
        failures = answer.get("batchItemFailures") or []
        again = [failure["itemIdentifier"] for failure in failures]
    except (ValueError, AttributeError, KeyError, TypeError):
        return Failed("The function's answer is malformed.")
    if not set(again) <= set(sent):
        return Failed("The function's answer names messages that were not sent.")
    if again and answer.get("unavailable"):
        return Unreached(str(answer["unavailable"]))
    causes = answer.get("causes")
    known = causes if isinstance(causes, dict) else {}
    return Answered({each: str(known.get(each, _UNSAID)) for each in again})


def read_error(body: bytes) -> Failed:
    """The cause in an answer that came with a function error."""
    try:
        said = json.loads(body)
        return Failed(f"{said.get('errorType', 'Error')}: {said.get('errorMessage', '')}")
    except (ValueError, AttributeError):
        return Failed("The function failed without saying why.")
