"""The operation that tells what became of events."""

from functions.serve.accounts import BUCKETS, LONGEST_KEY, MAX_DAYS
from functions.serve.openapi.parts import Json, ok, operation, parameter, problems, ref, span
from functions.serve.openapi.schemas import accounted, an_object

_TIME: Json = {"type": "string", "format": "date-time"}
_ABOUT = f"""\
By minute, hour or key of receipt: received = stored + failed + duplicate + erased + dropped + dead + in_flight.

What the broker acknowledged, what enrich recorded, and what the store holds are counted apart. `rows` is what stands in
the store, `difference` by how much that is off, `untallied` how many events only enrich tells of. Once a minute is over
for five, everything in it is `balanced`. Without `from` it is the last hour; a range has whole minutes and spans up to
{MAX_DAYS} days, which is how long the ledger is kept.
"""


def paths() -> dict[str, Json]:
    """The route."""
    key: Json = {"type": "string", "maxLength": LONGEST_KEY}
    group: Json = {"type": "string", "enum": list(BUCKETS), "default": "minute"}
    parameters = [
        *span("receipt"),
        parameter("key_id", "Only events sent with this key.", key),
        parameter("group_by", "Lines by minute and key, by hour and key, or by key alone.", group),
    ]
    responses = {"200": ok("The ledger.", ref("Ledger")), **problems(400, 429, 503)}
    return {
        "/api/v1/ledger": {
            "get": operation(
                "getLedger", "Operating", "What became of received events", responses, _ABOUT, parameters=parameters
            )
        }
    }


def schemas() -> dict[str, Json]:
    """What it answers with."""
    counts = accounted()
    line = {"at": _TIME, "key_id": {"type": ["string", "null"]}, **counts}
    always = [name for name in line if name != "at"]
    ledger = {
        "from": _TIME,
        "to": _TIME,
        "group_by": {"enum": list(BUCKETS)},
        "total": an_object("All lines together.", counts),
        "lines": {"type": "array", "items": an_object("Events of one key.", line, always)},
        "complete": {"type": "boolean", "description": "False when there are more lines; narrow the range."},
    }
    return {"Ledger": an_object("What became of the events that were received.", ledger)}
