"""A file of events held to a registry, as collect and enrich would take them; and a registry held to its promise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

from schemas.faults import Fault
from schemas.owned.compatibility import breaks
from schemas.owned.judging import Judge
from schemas.owned.registry import Registry
from schemas.validation import Validator

_AT_A_TIME = 500
Line = tuple[int, bytes]


@dataclass
class Report:
    """What came of it. ``told`` are the first violations, each with its line."""

    events: int = 0
    without_schema: int = 0
    valid: int = 0
    warned: int = 0
    failed: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)


def check(lines: Iterable[bytes], registry: Registry, key_id: str, first: int) -> Report:
    """Judge each line that is not empty, as if the key had sent it."""
    judge, validator, report = Judge(registry), Validator(), Report()
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())
    while block := list(islice(numbered, _AT_A_TIME)):
        _block(block, judge, validator, registry, key_id, report)
        del report.told[first:]
    return report


def _block(
    block: list[Line], judge: Judge, validator: Validator, registry: Registry, key_id: str, report: Report
) -> None:
    checked = validator.check([line for _, line in block])
    verdicts = judge.judge(checked.events, key_id)
    for index, (number, _) in enumerate(block):
        event, verdict = checked.events[index], verdicts.get(index)
        report.events += 1
        if event is None:
            report.failed += 1
            report.told += _told(number, "", "fail", checked.faults[index])
        elif verdict is not None:
            report.failed += verdict.failed
            report.warned += not verdict.failed
            report.told += _told(number, event["event_name"], "fail" if verdict.failed else "warn", verdict.faults)
        elif event["event_name"] in registry.events:
            report.valid += 1
        else:
            report.without_schema += 1


def _told(line: int, event_name: str, result: str, faults: Iterable[Fault]) -> Iterator[dict[str, Any]]:
    for fault in faults:
        yield {
            "line": line, "event_name": event_name, "result": result, "code": fault.code, "loc": list(fault.loc),
            "message": fault.message,
        }  # fmt: skip


def broken(registry: Registry) -> list[dict[str, str]]:
    """Where a version refuses what an earlier one of the same major version takes."""
    found = []
    for name, versions in sorted(registry.events.items()):
        for older, newer in pairwise(sorted(versions)):
            if older.major == newer.major:
                for one in breaks(versions[older].document, versions[newer].document):
                    place = {"file": versions[newer].file, "event_name": name, "older": str(older)}
                    found.append({**place, **one._asdict()})
    return found
