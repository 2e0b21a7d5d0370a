"""How many requests the front door lets in."""

import asyncio

import pytest

from infra.local.front_door.gate import Gate, Overloaded


def test_no_more_than_so_many_are_in_at_once() -> None:
    async def play() -> int:
        gate, inside, most = Gate(2, 100, 5), 0, 0

        async def visit() -> None:
            nonlocal inside, most
            async with gate.turn():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(visit() for _ in range(20)))
        return most

    assert asyncio.run(play()) == 2


def test_one_who_finds_the_waiting_room_full_is_told() -> None:
    async def play() -> None:
        gate = Gate(1, 1, 5)
        async with gate.turn():
            waiting = asyncio.create_task(_visit(gate))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await _visit(gate)
        await waiting

    asyncio.run(play())


def test_one_who_waited_too_long_is_told_and_takes_no_place() -> None:
    async def play() -> None:
        gate = Gate(1, 1, 0.01)
        async with gate.turn():
            with pytest.raises(Overloaded):
                await _visit(gate)
        await _visit(gate)

    asyncio.run(play())


async def _visit(gate: Gate) -> None:
    async with gate.turn():
        pass
