"""A function's package as it is uploaded."""

import io
import zipfile
from pathlib import Path

MEGABYTE = 1_000_000


def zipped(folder: Path) -> bytes:
    """All files of a folder, compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return content.getvalue()
