"""The statements that keep states: what is noted, computed or added, how it merges, and what is told of it."""
# ruff: noqa: S608  the SQL is put together from our own names and the operator's definitions, which are checked

from collections.abc import Iterable, Mapping

from functions.measure import attempts
from functions.measure.metrics import groups
from functions.measure.metrics.conditions import literal
from functions.measure.metrics.definitions import IntervalName
from functions.measure.metrics.groups import START
from functions.measure.metrics.plan import BLOCK, MINUTE, Slot
from functions.measure.metrics.sources import SOURCES, SourceName
from functions.measure.metrics.states import COLUMNS, DIFFERENT_OF_ANY, LEVELS_OF_ANY, NO_LEVELS, STATES
from functions.measure.metrics.states import merged as merged_states

_BELOW = {"1h": BLOCK, "1d": "1h"}
# Which changes a source is computed anew for.
CONCERNED: Mapping[SourceName, tuple[str, ...]] = {
    "events": ("arrived",),
    "raw": ("arrived",),
    "visits": ("visitors",),
    "sessions": ("sessions",),
    "firsts": ("firsts",),
}
# And for which its rows are only added to what stands.
ADDED: Mapping[SourceName, str] = {"visits": "came", "events": "told", "raw": "told"}
_KEY = "source, slot, environment, cut, tags"
_GROUP = f"step, start, {_KEY}"


def note(changed: str) -> str:
    """Note the blocks that hold the times of a query of ours. Parameter: batch.

    The query has two columns: times (or seconds), and what the change there concerns (:data:`CONCERNED`).
    """
    return (
        "INSERT INTO metric_touched (batch, block, concerns) SELECT {batch:UInt64}, one.1, one.2 FROM"
        " (SELECT DISTINCT (toStartOfTenMinutes(toDateTime(one.1, 'UTC')), one.2) AS one"
        f" FROM (SELECT tuple(*) AS one FROM ({changed})))"
    )


def touched(source: SourceName, until: str = "<", anew: bool = True) -> str:
    """The blocks of a source in which something changed; ``anew``: also where rows only came.

    Parameters: after, batch.
    """
    concerns = ["all", *CONCERNED[source], *([ADDED[source]] if anew and source in ADDED else [])]
    return _noted(concerns, until)


def choose_added(source: SourceName, added_to: str) -> str:
    """Choose the blocks of a source that are added to, before any is written: those in which rows only came, and that
    stand as they are measured now. Into a table of our own.

    Parameters: after, batch, since, until, and planned: the first merge of the definitions that hold.
    """
    # What is computed at once stands at once, also where a slot holds nothing.
    together = [one for one in CONCERNED if CONCERNED[one] == CONCERNED[source]]
    stand = (
        f"SELECT window FROM metric_states PREWHERE step = '{BLOCK}' AND {_BETWEEN}"
        f" AND source IN ({', '.join(map(literal, together))}) AND version >= {{planned:UInt64}}"
    )
    others = touched(source, anew=False)
    if ADDED[source] == "told":
        others += f" UNION ALL {_noted(['told'])} AND {attempts.IS_FORGOTTEN} UNION ALL {attempts.NOT_ADDED}"
    return (
        f"CREATE TABLE IF NOT EXISTS {added_to} ENGINE = Memory AS SELECT DISTINCT block FROM"
        f" ({_noted([ADDED[source]])} AND block NOT IN ({others}) AND block IN ({stand}))"
    )


def read_of(source: SourceName, added_to: str = "") -> str:
    """The blocks of a source that are read: all that are touched, but for those that are added to."""
    # What became of first sessions is noted under this batch itself.
    noted = touched(source, "<=" if source == "firsts" else "<")
    return f"{noted} AND block NOT IN ({chosen(added_to)})" if added_to else noted


def chosen(added_to: str) -> str:
    """The blocks that were chosen."""
    return f"SELECT block FROM {added_to}"


def _noted(concerns: Iterable[str], until: str = "<") -> str:
    return (
        "SELECT block FROM metric_touched WHERE batch > {after:UInt64}"
        f" AND batch {until} {{batch:UInt64}} AND concerns IN ({', '.join(map(literal, concerns))})"
    )


def computed(slot: Slot, added_to: str = "") -> str:
    """Compute the touched blocks of a slot, and their minutes; keep those groups that differ from what stands.

    ``added_to``: where those are that :func:`added` is for, if any are.
    Parameters: since, until (seconds, what is touched lies between), after (the last batch merged), batch (this one;
    what is noted later is not looked at), made (up to which version visitors and sessions stand; of later rows the
    next merge is told).
    """
    noted = read_of(slot.source, added_to)
    live = (
        f"step IN ('{MINUTE}', '{BLOCK}') AND source = {literal(slot.source)} AND slot = {literal(slot.name)}"
        f" AND {_BETWEEN} AND {START[BLOCK]}(window) IN ({noted})"
    )
    # Minutes are merged to nothing, so what they are made of is kept only where more is added to it.
    minutes = slot.source in ADDED
    return _kept(groups.of_rows(slot, noted, SOURCES[slot.source].counts, minutes), live)


def added(slot: Slot, added_to: str, scratch: str) -> tuple[str, ...]:
    """Add the rows that came to what stands of their blocks: what they are in groups, then these with those that stood.

    That is what :func:`computed` comes to, without a look at what is counted already. Not after a merge that died.
    Parameters as there, and compared: up to which version the last merge took rows.
    """
    fresh = groups.of_rows(slot, chosen(added_to), SOURCES[slot.source].came, minutes=True)
    # Of one that is gone the row still tells by what it was ever measured.
    live = (
        f"SELECT step, window AS start, {_KEY}, sums, {COLUMNS}, ever AS present, digest, version AS stood"
        " FROM metric_states FINAL"
        f" PREWHERE step IN ('{MINUTE}', '{BLOCK}') AND {_BETWEEN}"
        f" AND (step, window, {_KEY}) IN (SELECT {_GROUP} FROM {scratch} WHERE fresh_digest != 0)"
    )
    return (
        # The newest version of a row is never passed over by its version, so older ones need not be looked for.
        f"CREATE OR REPLACE TABLE {scratch} ENGINE = Memory AS {fresh}"
        " SETTINGS use_skip_indexes_if_final_exact_mode = 0",
        f"INSERT INTO metric_states (step, window, {_KEY}, sums, {COLUMNS}, different, levels, ever, digest, gone,"
        f" version) SELECT {_GROUP}, sumMap(sums), {merged_states()}, {DIFFERENT_OF_ANY},"
        f" {LEVELS_OF_ANY if slot.quantile else NO_LEVELS},"
        " arraySort(groupUniqArrayArray(present)), greatest(1, sum(digest)), false, {batch:UInt64}"
        f" FROM (SELECT {_GROUP}, sums, {COLUMNS}, present, fresh_digest AS digest, toUInt64(0) AS stood"
        f" FROM {scratch} WHERE fresh_digest != 0 UNION ALL {live}) GROUP BY {_GROUP}"
        # What has it already is left as it is: somebody between may send a statement twice.
        " HAVING max(stood) < {batch:UInt64} SETTINGS optimize_on_insert = 0",
        f"DROP TABLE IF EXISTS {scratch}",
    )


def merged(step: IntervalName) -> str:
    """Merge hours from blocks, or days from hours: only groups of which a part changed since the last batch merged.

    Parameters as :func:`computed`; since and until are at full windows of the step.
    """
    below = _BELOW[step]
    start = f"{START[step]}(window, 'UTC')"
    group = f"cityHash64({start}, {_KEY})"
    changed = f"SELECT {group} FROM metric_states WHERE step = '{below}' AND version > {{after:UInt64}} AND {_BETWEEN}"
    fresh = (
        f"SELECT '{step}' AS step, {start} AS start, {_KEY}, sumMap(sums) AS sums, {merged_states()},"
        " arraySort(groupUniqArrayArray(ever)) AS present, greatest(1, sum(digest)) AS fresh_digest"
        # All of PREWHERE is about the key, so that no state is read but of what is merged.
        f" FROM (SELECT * FROM metric_states FINAL PREWHERE step = '{below}' AND {_BETWEEN} AND {group} IN ({changed})"
        " WHERE NOT gone)"
        f" GROUP BY start, {_KEY}"
    )
    # Days are merged to nothing.
    kept = ", ".join(f"{one.none if step == '1d' else one.name} AS {column}" for column, one in STATES.items())
    fresh = (
        f"SELECT {_GROUP}, sums, {kept}, {DIFFERENT_OF_ANY} AS different, {LEVELS_OF_ANY} AS levels, present,"
        f" fresh_digest FROM ({fresh})"
    )
    live = f"step = '{step}' AND {_BETWEEN} AND cityHash64(window, {_KEY}) IN ({changed})"
    return _kept(fresh, live)


def changed_below(step: IntervalName) -> str:
    """The earliest and the latest window below a step that changed since the last batch merged, and how many rows."""
    return (
        "SELECT toInt64(toUnixTimestamp(min(window))), toInt64(toUnixTimestamp(max(window))), count()"
        f" FROM metric_states WHERE step = '{_BELOW[step]}' AND version > {{after:UInt64}}"
    )


def changed_groups() -> str:
    """What is to be written to the time-series store: each group that changed since, with all that is kept of it.

    A row: step, start (seconds), environment, cut, tags, and a list of (source, slot, sums as pairs, how many
    different, quantiles by level, ever). Parameters: since, until, after.
    """
    key = "step, window, environment, cut, tags"
    return (
        f"SELECT step, toInt64(toUnixTimestamp(window)), environment, cut, tags,"
        " groupArray((source, slot, CAST(sums, 'Array(Tuple(String, Int128))'), different,"
        f" levels, ever)) FROM metric_states FINAL PREWHERE step != '{BLOCK}' AND {_BETWEEN} AND ({key}) IN"
        f" (SELECT {key} FROM metric_states WHERE step != '{BLOCK}' AND version > {{after:UInt64}} AND {_BETWEEN}"
        " GROUP BY ALL)"
        # The time-series store has to move what it holds for each row that comes before others.
        f" GROUP BY {key} ORDER BY window"
    )


_BETWEEN = "window >= toDateTime({since:Int64}, 'UTC') AND window < toDateTime({until:Int64}, 'UTC')"


def _kept(fresh: str, live: str) -> str:
    """Insert what differs. A group that is not among the fresh ones and stood is gone."""
    key = f"step, start, {_KEY}"
    states = f"sums, {COLUMNS}, different, levels"
    return (
        f"INSERT INTO metric_states (step, window, {_KEY}, {states}, ever, digest, gone, version)"
        f" SELECT {key}, {states}, arraySort(arrayDistinct(arrayConcat(present, known))), fresh_digest,"
        f" fresh_digest = 0, {{batch:UInt64}} FROM ({fresh}) AS f FULL JOIN"
        f" (SELECT step, window AS start, {_KEY}, digest AS live_digest, ever AS known FROM metric_states FINAL"
        f" PREWHERE {live}) AS l USING ({key}) WHERE fresh_digest != live_digest"
        # The store would look for equal keys within a block, and there are none.
        " SETTINGS optimize_on_insert = 0"
    )
