"""Rows in groups: what is counted, summed, told apart and spread of them by each grouping of a slot, as SQL."""
# ruff: noqa: S608  the SQL is put together from our own names and the operator's definitions, which are checked

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from functions.measure.metrics import conditions
from functions.measure.metrics.conditions import literal
from functions.measure.metrics.definitions import Cut
from functions.measure.metrics.plan import BLOCK, MINUTE, SCALE, Slot
from functions.measure.metrics.sources import SOURCES, Source
from functions.measure.metrics.states import LEVELS_OF, NO_LEVELS, STATES

UNKNOWN = "unknown"
SEPARATOR = "\x1f"
# The start of a window, by its step.
START = {MINUTE: "toStartOfMinute", BLOCK: "toStartOfTenMinutes", "1h": "toStartOfHour", "1d": "toStartOfDay"}
# Beyond this a sum could leave 128 bits; such an amount is no amount.
_LARGEST = "1e24"


def of_rows(slot: Slot, noted: str, counts: str, minutes: bool) -> str:
    """The groups of a slot's rows in some blocks: all that is kept of each, by what it is measured (``present``), and
    its ``fresh_digest``, which is 0 where nothing is counted.

    ``noted``: a query of these blocks; ``counts``: a further condition on rows, or nothing; ``minutes``: whether sets
    and distributions are kept of minutes, too.
    """
    cuts = slot.cuts()
    columns = (
        f"{_choice(step for step, _ in cuts)} AS step, w AS start, {literal(slot.source)} AS source,"
        f" {literal(slot.name)} AS slot, e AS environment, {_choice('+'.join(cut) for _, cut in cuts)} AS cut,"
        " t AS tags"
    )
    bare = 0 if minutes else len(slot.minute_cuts)
    return (
        f"SELECT {columns}, sums, {_distributions(slot, bare)}, {_names(slot)} AS present, {_digest(slot)} AS"
        f" fresh_digest FROM ({_grouped(slot, _chosen(slot, noted, counts))})"
    )


def _chosen(slot: Slot, noted: str, counts: str) -> str:
    """What stands behind the columns of a query of a slot's rows."""
    source = SOURCES[slot.source]
    when = (
        f"{source.time} >= toDateTime64({{since:Int64}}, 9, 'UTC')"
        f" AND {source.time} < toDateTime64({{until:Int64}}, 9, 'UTC')"
        f" AND {START[BLOCK]}({_moment(source)}) IN ({noted}){f' AND {counts}' if counts else ''}"
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
    return f"FROM {source.relation} {chosen}"


def _grouped(slot: Slot, chosen: str) -> str:
    """Rows in groups, in three stages, as few are left by each for the next, which has more to do with one.

    What is alike in all that groups are made by comes together first. Of that the finest groups are made, and at last,
    of these, themselves and those that are made of groups alone.
    """
    source, cuts, inputs = SOURCES[slot.source], slot.cuts(), _Inputs()
    sums, states = _sums(slot, inputs), _states(slot, inputs)
    mixed = ", ".join([f"toUInt64({slot.signature})", *inputs.names()])
    states.append(_Measure("mix", f"sum(assumeNotNull(cityHash64({mixed})))", "sum(mix)", "sum(mix)"))
    alike = {"e": source.environment, "m": f"{START[MINUTE if slot.minute_cuts else BLOCK]}({_moment(source)})"}
    alike |= {_dimension(one): source.dimensions[one] for _, cut in cuts for one in cut}
    rows = f"SELECT {_named(alike)}{inputs.columns()} {chosen}"
    first = {**{f"s{place}": one.first for place, one in enumerate(sums)}, **{one.name: one.first for one in states}}
    lots = f"SELECT {', '.join(alike)}, {_named(first)} FROM ({rows}) GROUP BY {', '.join(alike)}"
    merged = {**{f"s{place}": one.merged for place, one in enumerate(sums)}, **{one.name: one.merged for one in states}}
    finest = ", ".join(_group(place, *cuts[place - 1]) for place in carried(cuts))
    few = (
        f"SELECT e, part.1 AS place, part.2 AS began, part.3 AS told, {_named(merged)} FROM ({lots})"
        f" ARRAY JOIN [{finest}] AS part GROUP BY e, place, began, told"
    )
    then = ", ".join([_map_of(sums), *(f"{one.then} AS {one.name}" for one in states)])
    return (
        f"SELECT e, part.1 AS p, part.2 AS w, part.3 AS t, {then} FROM ({few})"
        f" ARRAY JOIN {_of_groups(cuts)} AS part GROUP BY e, p, w, t"
    )


def carried(cuts: Sequence[tuple[str, Cut]]) -> dict[int, list[int]]:
    """The groupings that rows are needed for, by place, each with those that its groups are enough for: itself, the
    same by longer windows, and everything. Places count from one.
    """
    found: dict[int, list[int]] = {}
    by_size = sorted(enumerate(cuts, 1), key=lambda one: (one[1][0] != MINUTE, -len(one[1][1])))
    for place, (_, cut) in by_size:
        enough = (finer for finer in found if not cut or cuts[finer - 1][1] == cut)
        found.setdefault(next(enough, place), []).append(place)
    return found


def _of_groups(cuts: Sequence[tuple[str, Cut]]) -> str:
    """To which groups one of the finest belongs."""

    def part(finer: int, place: int) -> str:
        began = "began" if cuts[finer - 1][0] == cuts[place - 1][0] else f"{START[cuts[place - 1][0]]}(began)"
        return f"(toUInt16({place}), {began}, {'told' if cuts[place - 1][1] else literal('')})"

    several = {finer: places for finer, places in carried(cuts).items() if len(places) > 1}
    itself = "[(place, began, told)]"
    if not several:
        return itself
    branches = ", ".join(
        f"place = {finer}, [{', '.join(part(finer, place) for place in places)}]" for finer, places in several.items()
    )
    return f"multiIf({branches}, {itself})"


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
    """Something measured: of rows that are alike, of many such lots, and at last of groups of these."""

    name: str
    first: str
    merged: str
    then: str


def _sums(slot: Slot, inputs: _Inputs) -> list[_Measure]:
    """What is added up, by the names under which it is kept."""
    found: list[_Measure] = []

    def add(name: str, first: str, scale: str) -> None:
        at = f"s{len(found)}"
        found.append(_Measure(name, first, f"sum({at})", f"toInt128(sum({at})){scale}"))

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
        number = conditions.numbered(slot.source, metric)
        value = conditions.text(slot.source, metric.property or "")
        condition = inputs.name(f"({conditions.of(metric)}){'' if number else f' AND {value} IS NOT NULL'}")
        once = inputs.name(number or f"sipHash64(assumeNotNull({value}))")
        cuts = slot.cuts()
        places = {place for place, cut in enumerate(cuts, 1) if cut in slot.unique_cuts}
        # A set grows with what is counted, so none is kept of groups of which nobody asks for it.
        needed = {finer for finer, given in carried(cuts).items() if not places.isdisjoint(given)}
        kind = STATES[slot.set_column]
        merged, then = (kind.merged_if(f"part.1 IN ({', '.join(map(str, sorted(of)))})") for of in (needed, places))
        found.append(_Measure(kind.name, kind.of_rows.format(f"{once}, {condition}"), merged, then))
    if slot.quantile:
        _, metric = slot.quantile
        value = conditions.number(slot.source, metric.property or "")
        amount = inputs.name(f"assumeNotNull({_rounded(value, metric.significant_digits)})")
        kind = STATES[slot.states[-1]]
        merged = kind.merged.format(kind.name)
        found.append(_Measure(kind.name, kind.of_rows.format(amount), merged, merged))
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


def _moment(source: Source) -> str:
    return f"toDateTime({source.time}, 'UTC')"


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
    return f"(toUInt16({place}), {START[step]}(m), {tags})"


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
