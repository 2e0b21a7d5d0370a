"""Which modules of dependencies a package has in another text, and how they get it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest

from infra.local.exchanges import _EXCHANGES, _JETSTREAM_ON_USE, Exchange, exchange, without_fields

LICENCE = "# Copyright 2021 Somebody\n# Licensed under the Apache License, Version 2.0\n"
OLD = f"{LICENCE}\n# Of the code.\nimport dear\n"
NEW = "lazily = True\n"
MODULE = "package/module.py"
DIGEST = hashlib.sha256(OLD.encode()).hexdigest()
EXCHANGES: Mapping[str, Exchange] = {MODULE: Exchange("a-package", DIGEST, lambda _: NEW)}
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


def test_an_exchanged_module_keeps_its_licence_and_says_that_it_was_changed_and_by_what(
    tmp_path: Path, module: Path
) -> None:
    exchange(tmp_path / "packages", EXCHANGES)
    text = module.read_text()
    assert text.startswith(LICENCE)
    assert text.endswith(NEW)
    assert "dear" not in text
    (notice,) = text.removeprefix(LICENCE).removesuffix(NEW).splitlines()
    assert notice.startswith("# Changed ")
    assert "infra/local/exchanges.py" in notice


def test_what_the_installer_keeps_for_others_stays_as_it_is(tmp_path: Path, module: Path) -> None:
    kept = tmp_path / "kept.py"
    os.link(module, kept)
    exchange(tmp_path / "packages", EXCHANGES)
    assert kept.read_text() == OLD


# The last is a text that the exchange would leave as it is.
@pytest.mark.parametrize("other", ["import dear, dearer\n", OLD.replace("\n", "\r\n"), NEW])
def test_a_build_fails_where_a_dependency_came_with_another_text(tmp_path: Path, module: Path, other: str) -> None:
    module.write_text(other, newline="")
    with pytest.raises(SystemExit):
        exchange(tmp_path / "packages", EXCHANGES)
    assert module.read_bytes().decode() == other


def test_what_an_earlier_release_left_in_the_cache_is_taken(tmp_path: Path, module: Path) -> None:
    module.write_text(NEW)
    known = EXCHANGES[MODULE]._replace(left=hashlib.sha256(NEW.encode()).hexdigest())
    exchange(tmp_path / "packages", {MODULE: known})
    assert module.read_text().endswith(NEW)


def test_a_build_fails_where_a_dependency_came_without_the_module(tmp_path: Path, module: Path) -> None:
    module.unlink()
    with pytest.raises(SystemExit, match=r"^package/module\.py of a-package is not there"):
        exchange(tmp_path / "packages", EXCHANGES)


def test_a_build_that_fails_says_of_which_version_what_it_found_and_what_it_was_made_for(
    tmp_path: Path, module: Path
) -> None:
    module.write_text("import dear, dearer\n")
    information = tmp_path / "packages" / "a_package-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: a-package\nVersion: 1.2\n")
    with pytest.raises(SystemExit) as raised:
        exchange(tmp_path / "packages", EXCHANGES)
    told = str(raised.value)
    assert told.startswith("package/module.py of a-package 1.2 has ")
    assert hashlib.sha256(module.read_bytes()).hexdigest() in told
    assert DIGEST in told
    assert "uv cache clean a-package" in told
    assert str(tmp_path) not in told


def test_a_text_is_not_parsed_before_it_is_known(tmp_path: Path, module: Path) -> None:
    module.write_text("this is no Python")
    with pytest.raises(SystemExit, match="SHA-256"):
        exchange(tmp_path / "packages", {MODULE: Exchange("a-package", DIGEST, without_fields)})


def test_the_client_of_nats_without_a_class_says_so(tmp_path: Path) -> None:
    """As of a later one that has moved it: who asks for the class must not get a module in its place."""
    package = tmp_path / "js_on_use"
    package.mkdir()
    (package / "__init__.py").write_text(_JETSTREAM_ON_USE)
    for name in ("api", "client"):
        (package / f"{name}.py").write_text("")
    asked = "import js_on_use as js; print(js.api.__name__, hasattr(js, 'JetStreamContext'))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["js_on_use.api", "False"]


@pytest.mark.parametrize("name", _EXCHANGES)
def test_each_exchange_is_of_the_text_that_is_locked(name: str) -> None:
    one = _EXCHANGES[name]
    found = Path(str(distribution(one.distribution).locate_file(name))).read_bytes()
    assert hashlib.sha256(found).hexdigest() == one.digest
    compile(one.text(found.decode()), name, "exec")


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
