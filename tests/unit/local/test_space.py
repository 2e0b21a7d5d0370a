"""When the store's disk counts as full, and for whom."""

import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.local.clickhouse_door import space
from infra.local.clickhouse_door.errors import DoorError
from infra.local.clickhouse_door.space import Space
from tests.support.polling import until

MIB = 1 << 20


class Found(NamedTuple):
    f_bavail: int
    f_favail: int = 5
    f_files: int = 10
    f_frsize: int = 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[Found | OSError]:
    """What is found, the last of it."""
    found: list[Found | OSError] = [Found(MIB)]

    def statvfs(_: Path) -> Found:
        if isinstance(found[-1], OSError):
            raise found[-1]
        return found[-1]

    monkeypatch.setattr(space.os, "statvfs", statvfs)
    return found


@pytest.mark.parametrize(
    ("left", "full"),
    [
        (Found(MIB), False),
        (Found(MIB - 1), True),
        (Found(MIB, f_favail=1), False),
        (Found(MIB, f_favail=0), True),
        # A file system that does not count its files.
        (Found(MIB, f_favail=0, f_files=0), False),
    ],
)
def test_nothing_is_acknowledged_once_there_was_no_room(disk: list[Found | OSError], left: Found, full: bool) -> None:
    subject = Space(Path(), lambda: None)
    subject.check()
    disk.append(left)
    if not full:
        subject.check()
        return
    for found in (left, Found(MIB)):
        disk.append(found)
        with pytest.raises(DoorError, match="full"):
            subject.check()


def test_one_that_begins_without_room_is_not_to_be_started_anew(disk: list[Found | OSError]) -> None:
    disk.append(Found(0))
    Space(Path(), lambda: None).check()


def test_the_end_is_told_once_though_the_disk_could_not_be_asked_for_a_while(disk: list[Found | OSError]) -> None:
    ended, asked = threading.Event(), threading.Event()
    subject = Space(Path(), ended.set)
    subject.start()
    disk.append(OSError("away"))
    asked.wait(0.1)
    assert not ended.is_set()
    disk.append(Found(0))
    until(ended.is_set, 10, "the end")
