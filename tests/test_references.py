"""A sample of the campaigns of tests/references. Where an emulator is missing the tests are skipped, on CI they fail."""

from __future__ import annotations

import os

import pytest

from isa_specs.load import load
from tests.references.campaign import compare, known
from tests.references.emulators import missing
from tests.references.targets import TARGETS

SEED = 1
STATES = {"hercules": 3, "qemu-system-i386": 2, "bochs-bin": 2}


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, targets in TARGETS.items() for number in range(len(targets))])
def test_agrees(name: str, number: int) -> None:
    _, program, make = TARGETS[name][number]
    if why := missing(program):
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    target = make(load(name))
    tallies = compare(target, STATES[program], SEED)
    assert {form.instruction for form in target.isa.forms} == {name for name, tally in tallies.items() if tally.cases}
    assert {name: tally.wrong for name, tally in tallies.items() if tally.wrong} == {}


def test_explanations_name_instructions_there_are() -> None:
    names = {name: {form.instruction for form in load(name).forms} for name in TARGETS}
    for entry in known():
        there = set().union(*(names[name] for name, targets in TARGETS.items()
                              if any(program.startswith(emulator) for _, program, _ in targets for emulator in entry.emulators)))
        assert entry.instructions <= there
