"""What a backup holds: written last, so a folder without one is no backup."""

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

NAME = "manifest.json"
_BLOCK = 1024 * 1024


class File(msgspec.Struct, frozen=True):
    """Rows of one partition: a line each, compressed."""

    path: str
    rows: int
    sha256: str


class Table(msgspec.Struct, frozen=True):
    """The columns in the order of each line, and the files."""

    name: str
    columns: list[str]
    files: list[File]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


class Manifest(msgspec.Struct, frozen=True):
    """``until``: events stored later are not in it (RFC 3339). ``migrations``: what the tables were made by."""

    made_at: str
    until: str
    migrations: list[str]
    tables: list[Table]
    format: Literal["weir-backup-1"] = "weir-backup-1"


class NoBackup(ValueError):
    """The folder holds none, or another than its manifest says."""


def write(folder: Path, manifest: Manifest) -> None:
    """Beside the files, all at once."""
    fresh = folder / f"{NAME}.part"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    fresh.replace(folder / NAME)


def read(folder: Path) -> Manifest:
    """Raises :class:`NoBackup`, also where a file is missing or is not what was written."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NoBackup(f"{folder} holds no backup: there is no {NAME}, which is written at the end of one.") from None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise NoBackup(f"{folder / NAME} is no manifest of a backup: {error}.") from error
    for file in (one for table in manifest.tables for one in table.files):
        _check(folder, file)
    return manifest


def _check(folder: Path, file: File) -> None:
    path = (folder / file.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise NoBackup(f"{file.path!r} leads out of the backup's folder.")
    if not path.is_file() or digest(path) != file.sha256:
        raise NoBackup(f"{path} is missing, or is not what the backup wrote.")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
