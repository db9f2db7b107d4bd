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
from tests.benchmarks.emulators import Run, row, table
from tests.references.campaign import Mismatch, compare, explanation, known
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


@pytest.mark.parametrize(("emulator", "ran", "causes", "what"), [
    ("hercules", "AR", "svc > svc", "gpr 3"),
    ("hercules", "MVC", "svc > svc", "storage 1234"),
    ("hercules", "MVC", "program 4 > program 4", "assigned 2f"),
    ("hercules", "L", "program 10 > program 4", "assigned 8f"),
    ("hercules", "L", "svc > program 5", "assigned 8f"),
    ("hercules", "SPKA", "svc > program 2", "assigned 8f"),
    ("qemu", "ADD", "vector 13 > vector 3", "eax"),
    ("qemu", "CLI", "vector 13 > vector 3", "eflags 9"),
    ("bochs", "ADD", "vector 14 > vector 14", "error code 0"),
    ("bochs", "HLT", "vector 13 > vector 3", "esp"),
])
def test_faults_are_not_explained(emulator: str, ran: str, causes: str, what: str) -> None:
    circumstances = frozenset({"s370", "EC", "ring 3", "general_protection"})
    assert explanation(emulator, Mismatch(None, causes, {what: (0, 1)}, frozenset({ran}), circumstances)) is None


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


def test_benchmarks_tell_who_left_something_else_in_storage() -> None:
    made = row("sieve", 2, lambda: (Run(1.0, b"primes"), 1_000_000),
               {"alike": lambda: Run(2.0, b"primes"), "unlike": lambda: Run(4.0, b"others")})
    shown = table("a machine", [made])
    assert "| sieve | 1,000,000 | 1 | 0 | 2.00 | 0 | 4.00 |" in shown
    assert "\nsieve: unlike left something else in storage.\n" in shown
    same = row("sieve", 1, lambda: (Run(1.0, b""), 1), {"alike": lambda: Run(2.0, b"")})
    assert "\nAll left the same in storage.\n" in table("a machine", [same])
