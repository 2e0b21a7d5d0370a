"""Every metric that Weir's own processes tell: its name is its contract, since alarms and dashboards are made of them.

What is counted and is not here stands in the log line alone. docs/operating.md has the same table for people.
"""

from typing import Literal, NamedTuple

Unit = Literal["Count", "Milliseconds", "Seconds"]
NAMESPACE = "Weir"
# The one dimension: the stage that tells it.
DIMENSION = "service"
# Whose key was refused stands beside these in their line, and is no dimension: CloudWatch asks for money by each value
# of one, and there is no end of keys. Ids of known keys alone, and nothing of whoever uses them.
KEY = "key_id"
BY_KEY = frozenset({"RequestsRefused", "RequestsLimited", "EventsDropped"})


class Metric(NamedTuple):
    """A metric of one or more stages. Its meaning is a phrase for the table."""

    name: str
    unit: Unit
    stages: tuple[str, ...]
    meaning: str


_EVERY = ("collect", "enrich", "measure", "serve")
_STEPS = ("Address", "Identity", "Network", "Geo", "UserAgent", "Device", "Page", "Traffic", "Bot", "LocalTime")

METRICS = (
    Metric("EventsReceived", "Count", ("collect",), "events in a request"),
    Metric("EventsAccepted", "Count", ("collect",), "of these, events that were acknowledged"),
    Metric("EventsRejected", "Count", ("collect",), "of these, events that were refused, each with its reason"),
    Metric("Requests", "Count", ("serve",), "requests that were answered, well or not"),
    Metric("RequestsRefused", "Count", ("collect", "serve"), "requests that were refused for their key"),
    Metric("KeysRead", "Count", ("collect", "serve"), "looks for the keys; all other requests find those known before"),
    Metric("KeysStale", "Count", ("collect", "serve"), "failed looks for the keys; those known before are taken on"),
    Metric("LimiterAbsent", "Count", ("collect", "serve"), "looks at limits that nobody answered; all is let through"),
    Metric("RequestsLimited", "Count", ("collect", "serve"), "requests that were told to come again later, by a limit"),
    Metric("EventsDropped", "Count", ("collect",), "events refused for their key: rate, share, quota or name"),
    Metric("RequestsShed", "Count", ("collect",), "requests that were not taken, because too much waits"),
    Metric("HandleTime", "Milliseconds", ("collect", "serve"), "from a request to its answer"),
    Metric("Messages", "Count", ("enrich",), "messages that were handed in"),
    Metric("MessagesAgain", "Count", ("enrich",), "of these, messages that failed and come again"),
    Metric("Events", "Count", ("enrich", "measure"), "events in messages; events stitched"),
    Metric("Stored", "Count", ("enrich",), "events that were stored and are good; failed ones are counted beside them"),
    Metric("Failed", "Count", ("enrich",), "events that were stored as failed"),
    Metric("SchemaViolations", "Count", ("enrich",), "events that violate the schema of their name, stored or failed"),
    Metric("Duplicates", "Count", ("enrich",), "deliveries of events that another delivery stands for"),
    Metric("AssembleTime", "Milliseconds", ("enrich",), "unpacking and checking a block"),
    Metric("RecordTime", "Milliseconds", ("enrich",), "storing a block"),
    *(Metric(f"{step}Failed", "Count", ("enrich",), "events the step failed on; they are stored") for step in _STEPS),
    Metric("GeoCacheHits", "Count", ("enrich",), "events whose address was looked up before"),
    Metric("GeoCacheMisses", "Count", ("enrich",), "events whose address was looked up"),
    Metric("UserAgentCacheHits", "Count", ("enrich",), "events whose user agent was read before"),
    Metric("UserAgentCacheMisses", "Count", ("enrich",), "events whose user agent was read"),
    Metric("AnswerCacheHits", "Count", ("serve",), "answers that were kept, of those that may be"),
    Metric("AnswerCacheMisses", "Count", ("serve",), "answers that were made, of those that may be kept"),
    Metric("Sessions", "Count", ("measure",), "sessions that were made or changed"),
    Metric("Visitors", "Count", ("measure",), "visitors that were looked at"),
    Metric("MetricRows", "Count", ("measure",), "rows of metrics that were told to the series store"),
    Metric("Anomalies", "Count", ("measure",), "windows that are not as expected"),
    Metric("StitchTime", "Milliseconds", ("measure",), "making sessions, in a run"),
    Metric("MetricsTime", "Milliseconds", ("measure",), "computing metrics, in a run"),
    Metric("ExportTime", "Milliseconds", ("measure",), "telling the series store of sessions, in a run"),
    Metric("AnomaliesTime", "Milliseconds", ("measure",), "judging series, in a run"),
    Metric("AlertsFiring", "Count", ("measure",), "alerts that fire"),
    Metric("AlertsUntold", "Count", ("measure",), "notifications that a route did not take, and is sent again"),
    Metric("AlertsGivenUp", "Count", ("measure",), "notifications that a route did not take for too long"),
    Metric("AlertsTime", "Milliseconds", ("measure",), "looking at the rules and telling, in a run"),
    Metric("UnmeasuredSeconds", "Seconds", ("measure",), "how long what is stored has waited for the batches, at most"),
    Metric("SinceDoneSeconds", "Seconds", ("measure",), "since the batches last came to their end"),
    Metric(
        "LedgerDifference", "Count", ("measure",), "events stored less those processed and failed; 0 but for a moment"
    ),
    Metric("Tallies", "Count", ("measure",), "tallies that were taken to the ledger"),
    Metric("Unaccounted", "Count", ("measure",), "events of minutes over for five that are not accounted for"),
    Metric("LedgerTime", "Milliseconds", ("measure",), "taking tallies and checking the ledger, in a run"),
    Metric("QueueReady", "Count", ("measure",), "messages that wait in the queue"),
    Metric("OldestMessageSeconds", "Seconds", ("measure",), "the age of the oldest message in NATS"),
    Metric("DeadLetters", "Count", ("measure",), "messages among the dead letters"),
    Metric("Failures", "Count", _EVERY, "errors that nobody raised on purpose, or that ended a block or a run"),
)
UNITS: dict[str, Unit] = {metric.name: metric.unit for metric in METRICS}
