"""Which id an event gets."""

import json

import pytest

from functions.collect.identity import Assigner

OWN = "0193a1b2-c3d4-7e5f-8a9b-000000000001"


def assigned(event_id: str) -> str:
    """That of an event which is bad for another reason."""
    line = json.dumps({"event_id": event_id}).encode()
    [found], _ = Assigner(bytes).assign([line], [None], 0, "live_a", "")
    return found


def test_a_bad_event_keeps_its_own_id_so_that_a_good_delivery_can_take_its_place() -> None:
    assert assigned(OWN.upper()) == OWN


@pytest.mark.parametrize("own", [f"{OWN}\n", f"\n{OWN}", f"{OWN}0", "", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_id_is_not_kept(own: str) -> None:
    assert not assigned(own).startswith(OWN)
