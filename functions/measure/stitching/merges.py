"""By which name each visitor goes once operators have said which are one."""

from collections.abc import Iterable

_KINDS = "uasf"


def aliases(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of visitors that are one, all but the one whose name they share: a known user before others, then by text.

    The same whatever the order of the pairs.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := parents.setdefault(name, name)) != name:
            name = parent
        return name

    for one, other in pairs:
        first, second = sorted((root(one), root(other)), key=_rank)
        parents[second] = first
    return {name: root(name) for name in list(parents) if root(name) != name}


def _rank(name: str) -> tuple[int, str]:
    return (_KINDS.find(name[:1]), name)
