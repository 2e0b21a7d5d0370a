"""Which modules of dependencies a package has in another text, and how they get it."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.local.exchanges import Exchange, exchange, without_fields

OLD = "import dear\n"
NEW = "lazily = True\n"
MODULE = "package/module.py"
EXCHANGES: Mapping[str, Exchange] = {MODULE: Exchange(hashlib.sha256(OLD.encode()).hexdigest(), lambda _: NEW)}
TYPED = """\
class Schema(TypedDict, total=False):
    '''What it is.'''
    type: Required[Literal['any']]

class Plain:
    field: int = 1

def schema():
    return Schema(type='any')
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "packages" / MODULE
    path.parent.mkdir(parents=True)
    path.write_text(OLD)
    return path


def test_a_module_is_exchanged_once(tmp_path: Path, module: Path) -> None:
    for _ in range(2):
        exchange(tmp_path / "packages", EXCHANGES)
        assert module.read_text() == NEW


def test_what_the_installer_keeps_for_others_stays_as_it_is(tmp_path: Path, module: Path) -> None:
    kept = tmp_path / "kept.py"
    os.link(module, kept)
    exchange(tmp_path / "packages", EXCHANGES)
    assert kept.read_text() == OLD


@pytest.mark.parametrize("other", ["import dear, dearer\n", None])
def test_a_build_fails_where_a_dependency_came_with_another_text(
    tmp_path: Path, module: Path, other: str | None
) -> None:
    module.unlink() if other is None else module.write_text(other)
    with pytest.raises(SystemExit, match=r"package/module\.py is not what"):
        exchange(tmp_path / "packages", EXCHANGES)


def test_a_dependency_that_a_package_does_without_is_not_missed(tmp_path: Path) -> None:
    exchange(tmp_path, EXCHANGES)
    assert not list(tmp_path.iterdir())


def test_a_typed_dictionary_without_fields_makes_the_same_dictionaries() -> None:
    text = without_fields(TYPED)
    assert "Required" not in text
    assert "field: int = 1" in text
    names: dict[str, object] = {}
    exec("from typing import TypedDict\n" + text + "\nfound = schema()", names)
    assert names["found"] == {"type": "any"}
    assert without_fields(text) == text
