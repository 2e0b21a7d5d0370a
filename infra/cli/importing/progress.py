"""What an import has done so far, on the disk after each batch that was acknowledged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_EXAMPLES = 3


@dataclass
class Progress:
    """The account of one file: records acknowledged = accepted + rejected."""

    acknowledged: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    complete: bool = False
    codes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def reject(self, code: str, line: int, event_id: str, message: str, excerpt: str) -> None:
        """Count one event that was refused, and keep the first of each code."""
        self.rejected += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        shown = self.examples.setdefault(code, [])
        if len(shown) < _EXAMPLES:
            shown.append({"line": line, "event_id": event_id, "message": message, "excerpt": excerpt})


@dataclass(frozen=True)
class ProgressFile:
    """Where the account is kept. One of another target (address, format, site) is no account of this import."""

    path: Path
    target: dict[str, str]

    def load(self) -> Progress:
        """What was saved; a fresh account when nothing was, or for another target, or not readably."""
        try:
            content = json.loads(self.path.read_text())
            return Progress(**content["progress"]) if content["target"] == self.target else Progress()
        except FileNotFoundError:
            return Progress()
        except (ValueError, TypeError, KeyError):
            # Sending again does no harm: every line is the same event as before.
            return Progress()

    def save(self, progress: Progress) -> None:
        """Whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps({"target": self.target, "progress": asdict(progress)}, indent=2) + "\n")
        temporary.replace(self.path)
