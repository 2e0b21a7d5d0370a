"""Lists of names in which a star stands for any characters. A look takes time in the length of the text alone."""

from collections.abc import Iterable
from functools import lru_cache


class Globs:
    """Any of some patterns."""

    def __init__(self, patterns: Iterable[str]) -> None:
        split = [one.split("*") for one in patterns]
        self._exact = {parts[0] for parts in split if len(parts) == 1}
        self._open = [parts for parts in split if len(parts) > 1]

    def match(self, text: str) -> bool:
        """Whether the whole text is one of the names, or fits a pattern."""
        return text in self._exact or any(_fits(text, parts) for parts in self._open)


@lru_cache(maxsize=512)
def globs(patterns: tuple[str, ...]) -> Globs:
    """The list, made once."""
    return Globs(patterns)


def _fits(text: str, parts: list[str]) -> bool:
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        # The earliest place leaves the most for what follows.
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end
