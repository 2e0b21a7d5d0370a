"""A copy of all that cannot be computed again, and the way back (docs/deploying.md)."""
