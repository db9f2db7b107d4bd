"""A machine that is wanted soon: it begins with code that is not optimized, and goes on with code that is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from test_native_monitors import Outcome, isa, outcome

from isa_specs.load import find
from machine import guests
from machine.generated import native
from machine.generated.build import build
from machine.generated.regions import Regions
from machine.interface import make
from machine.jitted import JittedMachine
from machine.jitted_processor import JittedProcessor
from machine.monitors.processor import Processor

NAME = "third_generation"
FIRST, STEPS = 100, 5_000
Code = list[bytes]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vcheck" / "generated"


@pytest.fixture
def come(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Optimized code comes when this is called, not before."""
    waiting: list[tuple[Future[Code], Code]] = []

    def compiling(parts: list[str], level: int = 2, then: Callable[[Code], None] = lambda code: None) -> Future[Code]:
        made = native.compiling(parts, level, then)
        if level == 0:
            return made
        later: Future[Code] = Future()
        waiting.append((later, made.result()))
        return later

    monkeypatch.setattr("machine.generated.build.compiling", compiling)
    return lambda: [later.set_result(code) for later, code in waiting] and None


def system(monitor: str, depth: int, processor: Processor | None = None) -> guests.Machinery:
    path = guests.bundled(isa(NAME))["os"]
    board = guests.board_for(isa(NAME), path)
    program = guests.assembled(board, guests.source_of(path), str(path))
    if not monitor:
        return guests.bare(board, program, processor=processor)
    return guests.monitored(board, program, monitor, depth, processor=processor)


def ran(made: guests.Machinery, between: Callable[[], None] = lambda: None) -> list[Outcome]:
    """What a run leaves after its first steps and at its end."""
    first = outcome(made, made.session.run(FIRST))
    between()
    return [first, outcome(made, made.session.run(STEPS))]


@pytest.mark.parametrize(("monitor", "depth"), [("", 0), ("trap_and_emulate", 1), ("trap_and_emulate", 2), ("hybrid", 1)])
def test_a_run_goes_on_with_optimized_code(monitor: str, depth: int, come: Callable[[], None]) -> None:
    machine = JittedMachine(isa(NAME), soon=True, use_cache=False)
    first = machine.code
    assert not machine.optimized(wait=False)
    assert machine.regions is None
    found = ran(system(monitor, depth, JittedProcessor(machine.isa, machine)), come)
    assert machine.code is not first
    assert machine.optimized(wait=False)
    assert isinstance(machine.regions, Regions)
    assert found == ran(system(monitor, depth))


def test_optimized_code_can_be_waited_for(folder: Path) -> None:
    machine = make(isa(NAME))
    assert isinstance(machine, JittedMachine)
    first = machine.code
    assert machine.optimized()
    assert machine.code is not first
    assert make(isa(NAME)).generated.cached  # type: ignore[union-attr]


def test_what_is_compiled_meanwhile_is_kept(folder: Path) -> None:
    made = build(isa(NAME), soon=True)
    assert made.optimized is not None
    optimized = made.optimized.result()
    assert optimized != made.code
    again = build(isa(NAME), soon=True)
    assert again.cached
    assert again.optimized is None
    assert again.code == optimized == build(isa(NAME), use_cache=False).code


def test_it_is_kept_by_a_program_that_ends_before(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "checker", "run", NAME, "os", "--max-steps", "10"]
    subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    assert len(list((tmp_path / "vcheck" / "generated").glob("*.bin"))) == 1


def test_that_it_could_not_be_kept_is_told_then(tmp_path: Path) -> None:
    for file in guests.bundled(isa(NAME))["os"].parent.iterdir():
        shutil.copy(file, tmp_path)
    own = tmp_path / "own.spec"  # not kept itself
    own.write_text(find(NAME).read_text(encoding="utf-8"), encoding="utf-8")
    folder = tmp_path / "vcheck" / "generated"
    folder.parent.mkdir()
    folder.write_text("in the way")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "checker", "run", str(own), str(tmp_path / "os.s"), "--max-steps", "10"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False, text=True)
    assert done.stderr.endswith(f"vcheck: not all could be kept in {folder.parent}: File exists; the next run works it out again\n"), done


FORKS = """
import os
from isa_specs.load import load
from machine.jitted import JittedMachine

machine = JittedMachine(load("third_generation"), soon=True, use_cache=False)
child = os.fork()
if not child:
    JittedMachine(load("paged"), use_cache=False)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert machine.optimized(wait=False)
"""


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="nothing forks here")
def test_a_child_compiles_too() -> None:
    subprocess.run([sys.executable, "-c", FORKS], timeout=300, check=True)
