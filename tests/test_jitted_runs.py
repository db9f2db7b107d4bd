"""What is remembered between steps shows in nothing: runs with it, without it, and on the plain machine end alike."""

from __future__ import annotations

import random
from functools import cache

import pytest
from jitting import Harness, differences

from isa_specs.encoding import EncodeError, decoder
from isa_specs.load import load
from machine.generated import slots
from machine.jitted import JittedMachine
from machine.state import State

PAGES = 24  # of 2K, full of instructions


@cache
def machines(name: str) -> tuple[Harness, Harness]:
    """The machine that remembers and the one that looks everything up each time."""
    isa = load(name)
    return Harness.of(JittedMachine(isa)), Harness.of(JittedMachine(isa, fast=False))


def wild(harness: Harness, rng: random.Random) -> State:
    """Storage full of instructions, most of them about addresses near by: guests that run over their own code and tables."""
    isa, codes = harness.isa, decoder(harness.isa)
    state = rng.choice(harness.pool).copy()
    low = min(1 << 16, 1 << min(space.address_width for space in isa.spaces.values() if space.cell_width == 8))
    for array in isa.arrays.values():
        state.arrays[array.name] = [rng.choice((rng.getrandbits(array.width), rng.randrange(low) & (1 << array.width) - 1))
                                    for _ in range(array.length)]
    (space, memory), *_ = ((name, memory) for name, memory in state.memory.items() if isa.spaces[name].cell_width == 8)
    forms = rng.sample(isa.forms, min(len(isa.forms), rng.choice((4, 12, 40))))
    for page in rng.sample(range(low >> 11), min(PAGES, low >> 11)):
        data = bytearray()
        while len(data) < 2048:
            form = rng.choice(forms)
            try:
                data += codes.encode(form, codes.random_fields(form, rng))
            except EncodeError:
                data += bytes([rng.randrange(256)])
        memory.load(page << 11, bytes(data[:2048]))
    assert space in state.memory
    state.cells[isa.counter.name] = rng.choice(sorted(memory)) & ~3
    return state


def run(harness: Harness, state: State, pieces: list[int]) -> list[tuple[int, str]]:
    harness.load(state)
    return [(ran.steps, ran.stopped) for ran in (harness.jitted.run(harness.state, steps) for steps in pieces)]


def remembered_or_not(name: str, guests: int, steps: int, seed: int = 0) -> int:
    """Run guests on both machines; how many instructions the first did not have to decode."""
    fast, slow = machines(name)
    rng = random.Random(seed)
    saved = 0
    for _ in range(guests):
        state = wild(fast, rng)
        pieces = [1, 2, 50, steps]
        assert run(fast, state, pieces) == run(slow, state, pieces)
        assert fast.state == slow.state, differences(fast.state, slow.state.copy())
        saved += slow.state.record[slots.DECODES] - fast.state.record[slots.DECODES]
    return saved


@pytest.mark.parametrize("name", ["third_generation", "paged", "s370"])
def test_remembering_shows_in_nothing(name: str) -> None:
    assert remembered_or_not(name, 8, 2000) > 2000


@pytest.mark.parametrize("name", ["third_generation", "paged", "s370"])
def test_runs_end_as_on_the_plain_machine(name: str) -> None:
    harness, _ = machines(name)
    rng = random.Random(1)
    for _ in range(6):
        state = wild(harness, rng)
        after = state.copy()
        expected = [harness.plain.run(after, steps) for steps in (1, 60, 150)]
        assert run(harness, state, [1, 60, 150]) == [(ran.steps, ran.stopped) for ran in expected]
        assert harness.state == after, differences(harness.state, after)


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["x86", "x86_vtx", "s370_das", "s370"])
def test_remembering_shows_in_nothing_at_length(name: str) -> None:
    assert remembered_or_not(name, 300, 20_000, seed=2) > 10_000
