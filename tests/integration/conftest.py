"""What several modules of integration tests share."""

from collections.abc import Iterator

import pytest

from tests.support.serve_store import Store, running_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for the tests of a module."""
    with running_store(tmp_path_factory.mktemp("store")) as running:
        yield running
