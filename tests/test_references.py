"""A sample of the campaigns of tests/references. Where an emulator is missing the tests are skipped, on CI they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from isa_specs.load import load
from tests.references.campaign import compare, known
from tests.references.emulators import missing, run
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


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_emulator_ends_with_its_driver(end: signal.Signals, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = ["sh", "-c", f"echo $$ >{pid}; exec sleep 60"]
    program = f"from pathlib import Path; from tests.references.emulators import run; run({command}, Path(), 60)"
    with subprocess.Popen([sys.executable, "-c", program]) as driver:
        wait_for(lambda: pid.exists() and bool(pid.read_text().strip()))
        driver.send_signal(end)
    wait_for(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())


def test_an_emulator_that_does_not_end_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    assert run(["sh", "-c", "echo begun; exec sleep 60"], tmp_path, 0.5) == "begun\n"
    assert time.monotonic() - began < 30


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
