"""``python -m functions.serve.openapi [FILE]``: write the document, by default to docs/openapi.json."""

import sys
from pathlib import Path

from functions.serve.openapi import text

Path(sys.argv[1] if len(sys.argv) > 1 else "docs/openapi.json").write_text(text(), encoding="utf-8")
