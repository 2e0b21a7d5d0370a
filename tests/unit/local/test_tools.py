"""The tools' environments: where they are made."""

from pathlib import Path

import pytest

from infra.local import tools


def test_an_environment_is_made_where_it_is_and_not_at_a_link_that_leads_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, checkout = tmp_path / "tools", tmp_path / "checkout"
    place.mkdir()
    for folder in ("requirements", ".weir"):
        (checkout / folder).mkdir(parents=True)
    (checkout / "requirements/one.txt").touch()
    (checkout / ".weir/tools").symlink_to(place)
    asked: list[str] = []

    def uv(*arguments: str) -> None:
        asked.extend(arguments)
        (place / "one").mkdir(exist_ok=True)

    monkeypatch.setattr(tools, "_uv", uv)
    assert tools.environment("one", checkout) == place / "one/bin/python"
    assert not [argument for argument in asked if str(checkout / ".weir") in argument]
