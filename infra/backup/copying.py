"""Makes a backup, and restores one."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

from backports import zstd

from infra.backup import manifest
from infra.backup.manifest import File, Manifest, NoBackup, Table
from infra.backup.store import Part, Store

ROWS_A_FILE = 200_000
# Each insert makes a part of its own.
ROWS_AN_INSERT = 50_000

Moved = Callable[[str, int], None]


def save(
    store: Store, folder: Path, until: str, made_at: str, moved: Moved, rows_a_file: int = ROWS_A_FILE
) -> Manifest:
    """Write all that was stored before ``until`` into an empty folder. ``moved`` hears of a table's rows as they go."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise NoBackup(f"{folder} is not empty; a backup begins in a folder of its own.")
    tables = [_saved(store, folder, name, until, moved, rows_a_file) for name in store.tables()]
    made = Manifest(made_at=made_at, until=until, migrations=store.migrations(), tables=tables)
    manifest.write(folder, made)
    return made


def restore(store: Store, folder: Path, moved: Moved) -> Manifest:
    """Put a backup's rows into a store that has none. Raises :class:`NoBackup` before anything is written."""
    made = manifest.read(folder)
    if newer := set(made.migrations) - set(store.migrations()):
        raise NoBackup(
            f"The backup is of a newer Weir: it has {', '.join(sorted(newer))}, which this one does not know."
        )
    if not store.is_empty():
        raise NoBackup("The store is not empty; restore into a database of its own (WEIR_CLICKHOUSE_DATABASE).")
    for table in made.tables:
        for file in table.files:
            _restored(store, folder, table, file)
            moved(table.name, file.rows)
        if (found := store.count(table.name)) != table.rows:
            raise NoBackup(
                f"{table.name} has {found:,} rows and not {table.rows:,}: somebody else writes to the store."
            )
    return made


def _saved(store: Store, folder: Path, name: str, until: str, moved: Moved, rows_a_file: int) -> Table:
    parts = store.parts(name)
    files = [file for part in parts for file in _files(store, folder, part, until, moved, rows_a_file)]
    return Table(name, parts[0].columns if parts else [], files)


def _files(store: Store, folder: Path, part: Part, until: str, moved: Moved, rows_a_file: int) -> Iterator[File]:
    lines = store.lines(part, until)
    place = Path(part.table) / _safe(part.partition)
    for number, first in enumerate(lines):
        path = place / f"{number:06d}.jsonl.zst"
        (folder / place).mkdir(parents=True, exist_ok=True)
        rows = _written(folder / path, chain((first,), islice(lines, rows_a_file - 1)))
        moved(part.table, rows)
        yield File(path.as_posix(), rows, manifest.digest(folder / path))


def _written(path: Path, lines: Iterator[bytes]) -> int:
    rows = 0
    with zstd.open(path, "wb") as file:
        for line in lines:
            file.write(line)
            rows += 1
    return rows


def _restored(store: Store, folder: Path, table: Table, file: File) -> None:
    with zstd.open(folder / file.path, "rb") as content:
        store.insert(table.name, table.columns, content, f"restore:{file.sha256}", ROWS_AN_INSERT)


def _safe(partition: str) -> str:
    """A partition's id as a folder: it is made of digits, letters and dashes."""
    return re.sub(r"[^A-Za-z0-9-]", "_", partition)
