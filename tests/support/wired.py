"""What the composition root keeps for a process: a process of tests would keep it past the engines of a module."""

import sys

_KEEPERS = ("functions.shared.wiring", "functions.serve.app")


def forget() -> None:
    """Let everything that was made once be made anew, by the settings of then."""
    for module in filter(None, map(sys.modules.get, _KEEPERS)):
        for made in vars(module).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()
