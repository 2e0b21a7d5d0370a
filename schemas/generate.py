"""Writes the JSON Schema of every stage of an event to ``schemas/json/``: ``python -m schemas.generate``."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, create_model

from schemas.bundle import BundleHeader, PartHeader
from schemas.envelope import Header
from schemas.event import WireBatch, WireEvent
from schemas.rows import ProcessedRow, RawRow

FOLDER = Path(__file__).parent / "json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, dict[str, Any]]:
    """Each schema document by its file name."""
    return {
        "event.v1.json": _document(WireEvent),
        "batch.v1.json": _document(WireBatch),
        "envelope-header.v2.json": _document(Header),
        "envelope-header.v3.json": _document(BundleHeader),
        "envelope-part.v3.json": _document(PartHeader),
        "raw-row.v1.json": _document(_row_model(RawRow)),
        "processed-row.v1.json": _document(_row_model(ProcessedRow)),
    }


def _row_model(row: Any) -> Any:
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in row.__annotations__.items()}
    return create_model(row.__name__, __doc__=row.__doc__, **fields)


def _document(model: Any) -> dict[str, Any]:
    return {"$schema": _DIALECT, **TypeAdapter(model).json_schema()}


def rendered() -> dict[str, str]:
    """The text of each file, as committed."""
    return {name: json.dumps(schema, indent=2, sort_keys=True) + "\n" for name, schema in documents().items()}


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
