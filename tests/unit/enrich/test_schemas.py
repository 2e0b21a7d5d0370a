"""Schemas in enrich: a violation is a flag or a failed row, and costs no neighbour."""

import json
from pathlib import Path
from typing import Any

from functions.enrich.assembly import Assembler
from functions.enrich.pipeline import build_steps
from functions.enrich.recording import Recorder
from functions.enrich.service import EnrichService
from functions.shared.adapters.memory_tables import MemoryTables
from schemas.owned.judging import Judge
from schemas.rows import ProcessedRow, RawRow
from schemas.validation import Validator
from tests.unit.enrich.test_service import NOW, message
from tests.unit.schemas.owned.registries import of_properties, registry

PLAN = {"home/1.0.json": of_properties("Home", plan={"enum": ["free", "pro"]})}
MODES = "[[rules]]\nmode = '{}'"


def service(tables: MemoryTables, folder: Path, mode: str) -> EnrichService:
    judge = Judge(registry(folder, PLAN, MODES.format(mode)))
    assembler = Assembler(Validator(), [], judge=judge)
    return EnrichService(Recorder(tables, lambda: "a"), assembler, build_steps(None), lambda: NOW, lambda *_: None)


def event(number: int, name: str = "Home", **properties: Any) -> dict[str, Any]:
    event_id = f"00000000-0000-4000-8000-{number:012}"
    return {"event_id": event_id, "event_type": "t", "event_name": name, "platform": "web", "properties": properties}


def raws(tables: MemoryTables) -> list[RawRow]:
    return sorted((row for _, row in tables.raw), key=lambda row: row.event_id)


def processed(tables: MemoryTables) -> list[ProcessedRow]:
    return sorted((row for _, row in tables.processed), key=lambda row: row.event_id)


SENT = (event(1, plan="pro"), event(2, plan="ann@example.org"), event(3, "Else", plan=1), event(4))


def test_a_violation_in_warn_is_stored_as_processed_and_says_what_is_wrong(tmp_path: Path) -> None:
    tables = MemoryTables()
    done = service(tables, tmp_path, "warn").handle([message(*SENT)])
    assert (done.counts["stored"], done.counts["failed"], done.counts["schema_violations"]) == (4, 0, 1)
    raw = raws(tables)
    assert [row.processing_status for row in raw] == ["processed"] * 4
    assert [row.error_codes for row in raw] == [[], ["schema_violation"], [], []]
    assert ["schema_violation" in row.flags for row in processed(tables)] == [False, True, False, False]
    (fault,) = json.loads(raw[1].error_message)
    assert (fault["loc"], fault["code"]) == (["properties", "plan"], "schema_violation")
    assert "ann" not in raw[1].error_message


def test_a_violation_in_enforce_fails_and_its_neighbours_do_not(tmp_path: Path) -> None:
    tables = MemoryTables()
    done = service(tables, tmp_path, "enforce").handle([message(*SENT)])
    assert (done.counts["stored"], done.counts["failed"], done.counts["schema_violations"]) == (3, 1, 1)
    raw = raws(tables)
    assert [row.processing_status for row in raw] == ["processed", "failed", "processed", "processed"]
    assert raw[1].error_codes == ["schema_violation"]
    assert raw[1].event_name == "Home"
    assert json.loads(raw[1].raw_data)["properties"]["plan"] == "ann@example.org"
    assert "ann" not in raw[1].error_message
    assert len(processed(tables)) == 3


def test_a_dry_run_shows_it(tmp_path: Path) -> None:
    shown = service(MemoryTables(), tmp_path, "enforce").preview([message(event(1, plan=1))])
    assert shown["processed"] == []
    assert shown["raw"][0]["error_codes"] == ["schema_violation"]


def test_off_is_off(tmp_path: Path) -> None:
    tables = MemoryTables()
    assert "schema_violations" not in service(tables, tmp_path, "off").handle([message(*SENT)]).counts
    assert all(not row.error_codes for row in raws(tables))


def test_a_retry_makes_the_same_rows(tmp_path: Path) -> None:
    first, second = MemoryTables(), MemoryTables()
    for tables in (first, second):
        service(tables, tmp_path, "enforce").handle([message(*SENT)])
    assert raws(first) == raws(second)
