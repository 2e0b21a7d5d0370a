"""What a dead letter says of the message it holds."""

from nats.aio.msg import Msg

from functions.shared.adapters import nats_names
from functions.shared.adapters.nats_link import Ask
from functions.shared.adapters.nats_pull import Taken

CAUSE_CHARACTERS = 1000


def header_text(text: str, characters: int = CAUSE_CHARACTERS) -> str:
    """Any text as one line of printable ASCII, cut to length: what a header or attribute may hold."""
    line = "".join(character if character.isprintable() else " " for character in text[:characters])
    return line.encode("ascii", "backslashreplace").decode()[:characters].strip() or "unknown"


def dead_letter(taken: Taken, names: nats_names.Names, attempts: int, cause: str) -> Ask:
    """The request that stores the message among the dead letters; sent twice it is stored once."""
    headers = {
        nats_names.MESSAGE_ID: f"{names.stream}:{taken.sequence}:{taken.queued_at}",
        nats_names.CAUSE: header_text(cause),
        nats_names.ATTEMPTS: str(attempts),
        nats_names.FIRST_QUEUED_AT: str(taken.queued_at),
        nats_names.ORIGINAL_ID: header_text(_message_id(taken.message)),
    }
    return Ask(names.dead_subject, taken.message.data, headers)


def _message_id(message: Msg) -> str:
    return (message.headers or {}).get(nats_names.MESSAGE_ID, "")
