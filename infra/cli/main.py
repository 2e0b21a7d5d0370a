"""The `weir` command. Each module beside this one that has a `register(app)` brings its own commands."""

from __future__ import annotations

import importlib
import pkgutil

import typer

import infra.cli

app = typer.Typer(
    name="weir",
    help="Weir collects events: run it here, send to it, look into it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _root() -> None:
    """Weir collects events: run it here, send to it, look into it."""


def _register_all() -> None:
    """Ask each module for its commands. A module imports what its command needs inside the command."""
    for module in sorted(pkgutil.iter_modules(infra.cli.__path__), key=lambda found: found.name):
        if module.name != "main":
            register = getattr(importlib.import_module(f"infra.cli.{module.name}"), "register", None)
            if register is not None:
                register(app)


def main() -> None:
    _register_all()
    app()


if __name__ == "__main__":
    main()
