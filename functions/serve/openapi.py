"""Stub."""


def text() -> str:
    """Stub."""
    return "{}"
