"""Definitions as SQL: what a minute's states are, how they merge, and which are compared with those that stand.

A source has slots. Its first one, named "", holds the additive measures and the first `unique`; each further `unique`
and each `quantile` has a slot of its own, named like the first metric that needs it.
"""
# ruff: noqa: S608  the SQL is put together from our own names and the operator's definitions, which are checked

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from functions.measure.metrics import conditions
from functions.measure.metrics.conditions import literal
from functions.measure.metrics.definitions import INTERVALS, Cut, Definitions, IntervalName, Metric
from functions.measure.metrics.sources import SOURCES, SourceName
from functions.measure.metrics.states import (
    COLUMNS,
    DIFFERENT_OF,
    DIFFERENT_OF_ANY,
    LEVELS_OF,
    LEVELS_OF_ANY,
    NO_LEVELS,
    STATES,
)
from functions.measure.metrics.states import merged as merged_states

SCALE = 1_000_000
# Beyond this a sum could leave 128 bits; such an amount is no amount.
_LARGEST = "1e24"
UNKNOWN = "unknown"
SEPARATOR = "\x1f"
# Series by the minute have few groupings. All others begin with blocks of ten minutes, which are merged to hours and
# days: by the minute, most groups would be states of one or two events, as many as there are events.
BLOCK_SECONDS = 600
_BLOCK = "10m"
_BELOW = {"1h": _BLOCK, "1d": "1h"}
_START = {"1m": "toStartOfMinute", _BLOCK: "toStartOfTenMinutes", "1h": "toStartOfHour", "1d": "toStartOfDay"}
# Which changes a source is computed anew for.
CONCERNED: Mapping[SourceName, tuple[str, ...]] = {
    "events": ("arrived",),
    "raw": ("arrived",),
    "visits": ("visitors",),
    "sessions": ("sessions",),
    "firsts": ("firsts",),
}
# And for which its rows are only added to what stands.
ADDED: Mapping[SourceName, str] = {"visits": "came"}
_KEY = "source, slot, environment, cut, tags"
_GROUP = f"step, start, {_KEY}"


class Place(NamedTuple):
    """Where a metric's own numbers are kept."""

    source: SourceName
    slot: str
    kind: str


@dataclass
class Slot:
    """One slot of a source: what is kept in it, and by which groupings."""

    source: SourceName
    name: str
    sums: dict[str, Metric] = field(default_factory=dict)
    unique: tuple[str, Metric] | None = None
    unique_cuts: set[tuple[str, Cut]] = field(default_factory=set)
    quantile: tuple[str, Metric] | None = None
    minute_cuts: set[Cut] = field(default_factory=set)
    block_cuts: set[Cut] = field(default_factory=set)

    @property
    def states(self) -> list[str]:
        """The columns of states that it has."""
        spread = "amounts" if self.quantile and self.quantile[1].significant_digits else "values"
        return [*([self.set_column] if self.unique else []), *([spread] if self.quantile else [])]

    @property
    def set_column(self) -> str:
        """The column of the set of what is counted once."""
        return "numbers" if self.unique and conditions.numbered(self.source, self.unique[1]) else "uniques"

    @property
    def different(self) -> str:
        """How much is in it."""
        return DIFFERENT_OF[self.set_column] if self.unique else "toUInt64(0)"

    @property
    def signature(self) -> int:
        """What its states are of: other metrics, conditions, sets or forms make another number."""
        measured = {**self.sums, **dict(one for one in (self.unique, self.quantile) if one)}
        told = [
            (name, metric.kind, metric.property, metric.significant_digits, conditions.of(metric))
            for name, metric in sorted(measured.items())
        ]
        return _number_of([self.source, self.name, told, sorted(self.unique_cuts), self.states, SCALE])

    def cuts(self) -> list[tuple[str, Cut]]:
        """Its groupings by step, in their order."""
        return [("1m", cut) for cut in sorted(self.minute_cuts)] + [(_BLOCK, cut) for cut in sorted(self.block_cuts)]


class Plan:
    """All slots, and for each basic metric the place of its numbers."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.slots: dict[tuple[SourceName, str], Slot] = {}
        self.places: dict[str, Place] = {}
        by_minute, by_hour, by_day = (definitions.cuts_of_basic(interval) for interval in INTERVALS)
        self._minute_cuts = by_minute
        self._block_cuts = {name: cuts | by_day[name] for name, cuts in by_hour.items()}
        self._quantiles: dict[tuple[object, ...], str] = {}
        for name, metric in definitions.metrics.items():
            if metric.source and (self._minute_cuts[name] or self._block_cuts[name]):
                self._place(name, metric, metric.source)

    def _place(self, name: str, metric: Metric, source: SourceName) -> None:
        slot = self._slot(source, "")
        if metric.kind in ("count", "sum"):
            slot.sums[name] = metric
        elif metric.kind == "unique":
            slot = slot if slot.unique is None else self._slot(source, name)
            slot.unique = (name, metric)
            slot.unique_cuts = {("1m", cut) for cut in self._minute_cuts[name]}
            slot.unique_cuts |= {(_BLOCK, cut) for cut in self._block_cuts[name]}
        else:
            # Levels of the same distribution are read from the same states.
            same = (source, metric.property, metric.significant_digits, conditions.of(metric))
            slot = self._slot(source, self._quantiles.setdefault(same, name))
            slot.quantile = slot.quantile or (name, metric)
        slot.minute_cuts |= self._minute_cuts[name]
        slot.block_cuts |= self._block_cuts[name]
        self.places[name] = Place(source, slot.name, metric.kind)

    def _slot(self, source: SourceName, name: str) -> Slot:
        return self.slots.setdefault((source, name), Slot(source, name))

    def computed(self) -> list[Slot]:
        """The slots that hold something."""
        return [slot for slot in self.slots.values() if slot.sums or slot.unique or slot.quantile]

    @property
    def signature(self) -> int:
        """What all states are of, by which groupings: those of other plans are not to be added to."""
        return _number_of([(slot.signature, slot.cuts()) for slot in self.computed()])


def _number_of(told: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(told).encode(), digest_size=8).digest())


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


def added_to(slot: Slot) -> str:
    """The blocks of a slot in which rows only came, and that stand as they are measured now.

    Parameters: after, batch, since, until, and planned: the first merge of the definitions that hold.
    """
    stand = (
        f"SELECT window FROM metric_states PREWHERE step = '{_BLOCK}' AND {_BETWEEN}"
        f" AND source = {literal(slot.source)} AND slot = {literal(slot.name)} AND version >= {{planned:UInt64}}"
        # What this merge itself computed has all rows already.
        " AND version < {batch:UInt64}"
    )
    return (
        f"{_noted([ADDED[slot.source]])} AND block NOT IN ({touched(slot.source, anew=False)}) AND block IN ({stand})"
    )


def read_of(slot: Slot, anew: bool) -> str:
    """The blocks of a slot that are read, all that are touched or but for those that may be added to."""
    # What became of first sessions is noted under this batch itself.
    noted = touched(slot.source, "<=" if slot.source == "firsts" else "<")
    return noted if anew else f"{noted} AND block NOT IN ({added_to(slot)})"


def _noted(concerns: Iterable[str], until: str = "<") -> str:
    return (
        "SELECT block FROM metric_touched WHERE batch > {after:UInt64}"
        f" AND batch {until} {{batch:UInt64}} AND concerns IN ({', '.join(map(literal, concerns))})"
    )


def computed(slot: Slot, anew: bool = True) -> str:
    """Compute the touched blocks of a slot, and their minutes; keep those groups that differ from what stands.

    ``anew``: all of them; else :func:`added` is for those that may be added to.
    Parameters: since, until (seconds, what is touched lies between), after (the last batch merged), batch (this one;
    what is noted later is not looked at), made (up to which version visitors and sessions stand; of later rows the
    next merge is told).
    """
    noted = read_of(slot, anew)
    made = SOURCES[slot.source].made
    live = (
        f"step IN ('1m', '{_BLOCK}') AND source = {literal(slot.source)} AND slot = {literal(slot.name)}"
        f" AND {_BETWEEN} AND {_START[_BLOCK]}(window) IN ({noted})"
    )
    return _kept(_fresh(slot, noted, f"{made} <= {{made:UInt64}}" if made else ""), live)


def added(slot: Slot, scratch: str) -> tuple[str, ...]:
    """Add the rows that came to what stands of their blocks: what they are in groups, then these with those that stood.

    That is what :func:`computed` comes to, without a look at what is counted already. Not after a merge that died.
    Parameters as there, and compared: up to which version the last merge took rows.
    """
    made = SOURCES[slot.source].made
    fresh = _fresh(slot, added_to(slot), f"{made} > {{compared:UInt64}} AND {made} <= {{made:UInt64}}")
    # Of one that is gone the row still tells by what it was ever measured.
    live = (
        f"SELECT step, window AS start, {_KEY}, sums, {COLUMNS}, ever AS present, digest, version AS stood"
        " FROM metric_states FINAL"
        f" PREWHERE step IN ('1m', '{_BLOCK}') AND {_BETWEEN}"
        f" AND (step, window, {_KEY}) IN (SELECT {_GROUP} FROM {scratch} WHERE fresh_digest != 0)"
    )
    return (
        f"CREATE OR REPLACE TABLE {scratch} ENGINE = Memory AS {fresh}",
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


def _fresh(slot: Slot, noted: str, made: str) -> str:
    """The groups of rows of some blocks, each with all that is kept of it."""
    source = SOURCES[slot.source]
    moment = f"toDateTime({source.time}, 'UTC')"
    when = (
        f"{source.time} >= toDateTime64({{since:Int64}}, 9, 'UTC')"
        f" AND {source.time} < toDateTime64({{until:Int64}}, 9, 'UTC')"
        f" AND {_START[_BLOCK]}({moment}) IN ({noted}){f' AND {made}' if made else ''}"
    )
    where = " AND ".join([*([source.always] if source.always else []), *_only(slot)])
    if source.near:
        any_version = f"SELECT {source.near} FROM {source.relation} WHERE {when}"
        chosen = f"FINAL PREWHERE {source.near} IN ({any_version}) WHERE {when} AND {where}"
    elif source.versioned:
        # By its time a row is chosen before versions of it are compared, which all have the same.
        chosen = f"FINAL PREWHERE {when}{f' WHERE {where}' if where else ''}"
    else:
        chosen = f"WHERE {when}{f' AND {where}' if where else ''}"
    inputs = _Inputs()
    sums, states = _sums(slot, inputs), _states(slot, inputs)
    mixed = ", ".join([f"toUInt64({slot.signature})", *inputs.names()])
    states.append(_Measure("mix", f"sum(assumeNotNull(cityHash64({mixed})))", "sum(mix)"))
    cuts = slot.cuts()
    # Rows that are alike in all that groups are made by come together first: they are many, and what is left of them is
    # in as many groups as there are groupings.
    alike = {"e": source.environment, "m": f"{_START['1m' if slot.minute_cuts else _BLOCK]}({moment})"}
    alike |= {_dimension(one): source.dimensions[one] for _, cut in cuts for one in cut}
    rows = f"SELECT {_named(alike)}{inputs.columns()} FROM {source.relation} {chosen}"
    first = {**{f"s{place}": one.first for place, one in enumerate(sums)}, **{one.name: one.first for one in states}}
    together = f"SELECT {', '.join(alike)}, {_named(first)} FROM ({rows}) GROUP BY {', '.join(alike)}"
    groups = ", ".join(_group(place, step, cut) for place, (step, cut) in enumerate(cuts, 1))
    measures = ", ".join([_map_of(sums), *(f"{one.then} AS {one.name}" for one in states)])
    fresh = (
        f"SELECT e, part.1 AS p, part.2 AS w, part.3 AS t, {measures} FROM ({together}) ARRAY JOIN [{groups}] AS part"
    )
    columns = (
        f"{_choice(step for step, _ in cuts)} AS step, w AS start, {literal(slot.source)} AS source,"
        f" {literal(slot.name)} AS slot, e AS environment, {_choice('+'.join(cut) for _, cut in cuts)} AS cut,"
        " t AS tags"
    )
    # Minutes are merged to nothing, so what they are made of is kept only where more is added to it.
    bare = 0 if slot.source in ADDED else len(slot.minute_cuts)
    return (
        f"SELECT {columns}, sums, {_distributions(slot, bare)}, {_names(slot)} AS present, {_digest(slot)} AS"
        f" fresh_digest FROM ({fresh} GROUP BY e, p, w, t)"
    )


def merged(step: IntervalName) -> str:
    """Merge hours from blocks, or days from hours: only groups of which a part changed since the last batch merged.

    Parameters as :func:`computed`; since and until are at full windows of the step.
    """
    below = _BELOW[step]
    start = f"{_START[step]}(window, 'UTC')"
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
        f" levels, ever)) FROM metric_states FINAL PREWHERE step != '{_BLOCK}' AND {_BETWEEN} AND ({key}) IN"
        f" (SELECT {key} FROM metric_states WHERE step != '{_BLOCK}' AND version > {{after:UInt64}} AND {_BETWEEN}"
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


class _Inputs:
    """The expressions that are computed once a row; each gets a name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, expression: str) -> str:
        """The name of an expression's column."""
        return "true" if expression == "true" else self._names.setdefault(expression, f"x{len(self._names)}")

    def names(self) -> list[str]:
        """The names of all."""
        return list(self._names.values())

    def columns(self) -> str:
        """All of them, to stand behind others in a SELECT."""
        return "".join(f", {expression} AS {name}" for expression, name in self._names.items())


class _Measure(NamedTuple):
    """Something measured: of rows that are alike, and of many such lots."""

    name: str
    first: str
    then: str


def _sums(slot: Slot, inputs: _Inputs) -> list[_Measure]:
    """What is added up, by the names under which it is kept."""
    found: list[_Measure] = []

    def add(name: str, first: str, scale: str) -> None:
        found.append(_Measure(name, first, f"toInt128(sum(s{len(found)})){scale}"))

    for name, metric in slot.sums.items():
        condition = conditions.of(metric)
        if metric.kind == "count":
            add(name, f"countIf({inputs.name(condition)})", f" * {SCALE}")
            continue
        value = conditions.number(slot.source, metric.property or "")
        counts = inputs.name(f"({condition}) AND ifNull(abs({value}) < {_LARGEST}, false)")
        scaled = inputs.name(f"toInt128(round(if(abs({value}) < {_LARGEST}, assumeNotNull({value}), 0) * {SCALE}))")
        add(name, f"sumIf({scaled}, {counts})", "")
        add(name + "#", f"countIf({counts})", f" * {SCALE}")
    return found


def _map_of(sums: list[_Measure]) -> str:
    """All of them that are not zero, as a map by name."""
    if not sums:
        return "CAST(map(), 'Map(LowCardinality(String), Int128)') AS sums"
    # In the order in which maps come out when they are added.
    pairs = ", ".join(f"{literal(one.name)}, {one.then}" for one in sorted(sums))
    return f"CAST(mapFilter((k, v) -> v != 0, map({pairs})), 'Map(LowCardinality(String), Int128)') AS sums"


def _states(slot: Slot, inputs: _Inputs) -> list[_Measure]:
    """The distributions."""
    found = []
    if slot.unique:
        _, metric = slot.unique
        value = conditions.text(slot.source, metric.property or "")
        condition = inputs.name(f"({conditions.of(metric)}) AND {value} IS NOT NULL")
        once = inputs.name(conditions.numbered(slot.source, metric) or f"sipHash64(assumeNotNull({value}))")
        places = [place for place, cut in enumerate(slot.cuts(), 1) if cut in slot.unique_cuts]
        # A set grows with what is counted, so none is kept of groups of which nobody asks for it.
        of = f"part.1 IN ({', '.join(map(str, places))})"
        kind = STATES[slot.set_column]
        found.append(_Measure(kind.name, kind.of_rows.format(f"{once}, {condition}"), kind.merged_if(of)))
    if slot.quantile:
        _, metric = slot.quantile
        value = conditions.number(slot.source, metric.property or "")
        amount = inputs.name(f"assumeNotNull({_rounded(value, metric.significant_digits)})")
        kind = STATES[slot.states[-1]]
        found.append(_Measure(kind.name, kind.of_rows.format(amount), kind.merged.format(kind.name)))
    return found


def _distributions(slot: Slot, minutes: int) -> str:
    """What is read from the distributions, and themselves; of so many first groupings these are merged to nothing."""
    kept = [
        f"{f'if(p <= {minutes}, {state.none}, {state.name})' if column in slot.states else state.none} AS {column}"
        for column, state in STATES.items()
    ]
    levels = LEVELS_OF[slot.states[-1]] if slot.quantile else NO_LEVELS
    return f"{', '.join(kept)}, {slot.different} AS different, {levels} AS levels"


def _choice(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(literal, texts))}][p]"


def _rounded(value: str, digits: int | None) -> str:
    """Cut to some significant digits, so that a distribution has few different values however many it is made of."""
    if digits is None:
        return value
    power = f"exp10(greatest(0, floor(log10(greatest(1, abs({value})))) - {digits - 1}))"
    return f"trunc({value} / {power}) * {power}"


def _only(slot: Slot) -> list[str]:
    """Lets the store pass over rows that nothing in the slot counts."""
    measured = [*slot.sums.values(), *(one[1] for one in (slot.unique, slot.quantile) if one)]
    each = list(dict.fromkeys(conditions.of(metric) for metric in measured))
    found = [] if "true" in each else [" OR ".join(f"({one})" for one in each)]
    if slot.quantile:
        found.append(f"isFinite(ifNull({conditions.number(slot.source, slot.quantile[1].property or '')}, nan))")
    return [f"({one})" for one in found]


def _dimension(name: str) -> str:
    return f"d_{name}"


def _named(expressions: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in expressions.items())


def _group(place: int, step: str, cut: Cut) -> str:
    """A grouping as (its place, window, values of its dimensions). What is not known is named, and so is a group."""
    values = [f"if({one} = '', {literal(UNKNOWN)}, toString({one}))" for one in map(_dimension, cut)]
    if len(values) > 1:
        values = [f"replaceAll({one}, char(31), '')" for one in values]
    tags = f"concat({', char(31), '.join(values)})" if len(values) > 1 else "".join(values) or "''"
    return f"({place}, {_START[step]}(m), {tags})"


def _names(slot: Slot) -> str:
    """What a fresh group is measured by."""
    found = "CAST(mapKeys(sums), 'Array(String)')"
    if slot.unique:
        found = f"arrayConcat({found}, if({slot.different} > 0, [{literal(slot.unique[0])}], []))"
    if slot.quantile:
        found = f"arrayConcat({found}, [{literal(slot.quantile[0])}])"
    return found


def _digest(slot: Slot) -> str:
    """What tells one state from another; 0 stands for a group in which nothing is counted.

    A sum over its rows, so that one of many parts is the sum of theirs.
    """
    if slot.quantile:
        return "greatest(1, mix)"
    nothing = "empty(sums)" + (f" AND {slot.different} = 0" if slot.unique else "")
    return f"if({nothing}, 0, greatest(1, mix))"
