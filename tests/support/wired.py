"""What the composition roots keep for a process: a process of tests would keep it past the engines of a module."""

import sys


def forget() -> None:
    """Let everything that was made once be made anew, by the settings of then."""
    keepers = [
        module
        for name, module in sys.modules.items()
        if name == "functions.serve.app" or (name.startswith("functions.") and name.endswith(".wiring"))
    ]
    for module in keepers:
        for made in vars(module).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()
