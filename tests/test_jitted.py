"""The jitted machine does what the plain machine does: the same outcome, fault for fault, and the same state after it."""

from __future__ import annotations

import errno
import functools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from jitting import Harness

from checker.cli import main
from isa_specs.assembly import assemble_program
from isa_specs.load import bundled, load, loads
from machine.errors import MachineError
from machine.generated import cache
from machine.generated.build import Generated, build
from machine.generated.emit import Unit
from machine.interface import PlainMachine, make
from machine.jitted import JittedMachine
from machine.jitted_processor import JittedProcessor
from machine.monitors.processor import PlainProcessor, Watch
from machine.plain import StepResult
from machine.state import State

STATES = {"s360_67": 2, "s370_vma": 2, "s370": 3, "s370_das": 2}
LARGE = ("x86", "x86_umip", "x86_vtx")


@functools.cache
def harness(name: str) -> Harness:
    return Harness(name)


@pytest.mark.parametrize("name", [name for name in bundled() if name not in LARGE])
def test_every_form_from_random_states(name: str) -> None:
    did = harness(name).compare(1, STATES.get(name, 12))
    assert did["next"] > did.total() / 10
    assert did["trap"] > 0


@pytest.mark.parametrize("name", LARGE)
def test_a_case_of_every_form_of_a_large_description(name: str) -> None:
    found = harness(name)
    forms = random.Random(name).sample(found.isa.forms, 90 if name == "x86" else 30)
    did = found.compare(1, 4, forms)
    assert did["next"] > did.total() / 20
    assert did["trap"] > 0


@pytest.mark.campaign
@pytest.mark.parametrize("name", bundled())
def test_many_cases_of_every_form(name: str) -> None:
    harness(name).compare(2, 300)


# ---- the cache ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "generated"


def built(folder: Path, text: str = "") -> Generated:
    isa = load("third_generation")
    if text:
        isa.sources["third_generation"] = text
    return build(isa, folder=folder)


def test_the_second_time_it_is_only_read(folder: Path) -> None:
    first, second = built(folder), built(folder)
    assert (first.cached, second.cached) == (False, True)
    assert (first.code, first.layout.constants, first.programs) == (second.code, second.layout.constants, second.programs)


def test_another_description_is_another_entry(folder: Path) -> None:
    built(folder)
    assert not built(folder, "isa other").cached


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"vcheck generated machine 1\n" + bytes(64)])
def test_a_damaged_entry_is_made_anew(folder: Path, damage: bytes) -> None:
    good = built(folder)
    (entry,) = folder.glob("*.bin")
    entry.write_bytes(damage)
    again = built(folder)
    assert not again.cached
    assert again.code == good.code
    assert built(folder).cached


def test_every_changed_byte_of_an_entry_is_noticed(folder: Path) -> None:
    built(folder)
    (entry,) = folder.glob("*.bin")
    data = entry.read_bytes()
    for at in random.Random(0).sample(range(len(data)), 40):
        entry.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert cache.load(entry.stem, folder) is None
    entry.write_bytes(data[:-1])
    assert cache.load(entry.stem, folder) is None


def test_without_a_folder_it_is_compiled_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not built(tmp_path / "file" / "generated").cached
    assert not built(tmp_path / "file" / "generated").cached


def test_a_full_disk_leaves_no_half_entry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert not built(folder).cached
    assert list(folder.iterdir()) == []


def test_two_at_once(folder: Path) -> None:
    script = ("import sys; from pathlib import Path; from isa_specs.load import load; from machine.generated.build import build;"
              "print(len(build(load('third_generation'), folder=Path(sys.argv[1])).code))")
    runs = [subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = {run.communicate()[0] for run in runs}
    assert len(told) == 1
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert built(folder).cached
    assert not list(folder.glob(".new-*"))


def test_only_the_newest_entries_are_kept(folder: Path) -> None:
    for number in range(cache.KEPT + 3):
        cache.store(f"{number:03}", {}, b"code", "source", folder)
    assert len(list(folder.glob("*.bin"))) == len(list(folder.glob("*.py"))) == cache.KEPT
    assert cache.clear(folder) > 0
    assert list(folder.iterdir()) == []


# ---- the text ---------------------------------------------------------------------------------------


HOSTILE = '''isa hostile "Names that are Python: __import__('os').system('true')"
bits lsb0
bytes big

state
  import : bits(8)[4]  data
  LD     : bits(8)     data "raise SystemExit"
  s      : bits(8)     data
  pc     : bits(8)     counter
  def    : bit         mode

space run : bits(8) -> byte data

trap yield privileged nullify "# exec('1')"
  pc <- 0xF0

procedure lambda(ST : bits(8), w0 : bits(8))
  let npc = ST + w0
  import[0] <- npc
  LD <- npc + s
  trap yield when def == 1

illegal yield

format F = op:8 exec:2 eval:2 pass:4
fetch (None : bits(8))
  return run(None, 8)

instruction RUN "Run: quotes" F 0x01 "RUN {exec},{eval},{pass}"
  let return_ = import[exec]
  lambda(return_, zext(pass, 8))

mode supervisor when def == 0
mode user when def == 1
'''


def test_names_never_become_code() -> None:
    did = Harness.of(JittedMachine(loads(HOSTILE))).compare(0, 200)
    assert did["next"] > 20
    assert did["trap"] > 20


def test_the_text_is_ascii_and_its_strings_are_its_own() -> None:
    isa = load("third_generation")
    isa.name = 'x"\n\nimport os\n#'
    for form in isa.forms:
        form.title = '"""\nraise SystemExit\n'
    text = Unit(isa).source
    assert text.isascii()
    assert "\nraise" not in text
    assert "\nimport os" not in text


def test_emit_prints_what_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "third_generation"]) == 0
    assert capsys.readouterr().out == Unit(load("third_generation")).source
    assert main(["emit", "third_generation", "sim"]) == 0
    out = capsys.readouterr().out
    assert "# SIM: Set interrupt mask" in out
    assert "_privileged(s)" in out
    assert "_HALT" not in out
    assert main(["emit", "third_generation", "SIMM"]) == 2
    assert "no instruction 'SIMM'" in capsys.readouterr().err


# ---- runs ------------------------------------------------------------------------------------------------

COUNTING = """
loop: A 1,2
 ST 1,0x400(0)
 BL 1,3,loop
 SVC 7
 HALT
"""


def ready(machine: JittedMachine | PlainMachine) -> State:
    state = machine.state()
    program = assemble_program(machine.isa, COUNTING, 0x100)
    state["psw.bound"], state["psw.p"] = 0x4000, 0x100
    state.memory["storage"].load(0x100, program.bytes)
    state.arrays["gpr"] = [0, 0, 1, 5] + [0] * 12
    return state


@pytest.fixture(params=["jitted", "plain"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> JittedMachine | PlainMachine:
    monkeypatch.setenv("VCHECK_JIT", "1" if request.param == "jitted" else "0")
    made = make(load("third_generation"))
    assert isinstance(made, JittedMachine) == (request.param == "jitted")
    return made


def test_a_run_breaks_where_it_is_told(machine: JittedMachine | PlainMachine) -> None:
    state = ready(machine)
    assert machine.run(state, 100, stops=[0x108]).steps == 2
    assert machine.run(state, 100, stops=[0x108]).steps == 3  # not before the first
    ran = machine.run(state, 100, stop_at=["SVC"])
    assert (ran.stopped, state["psw.p"], state["gpr"][1]) == ("break", 0x10C, 5)
    with pytest.raises(MachineError, match="no instruction 'FOO'"):
        machine.run(state, 1, stop_at=["FOO"])


def test_traps_go_to_the_caller(machine: JittedMachine | PlainMachine) -> None:
    state, seen = ready(machine), []

    def on_trap(step: StepResult, _: State) -> bool:
        seen.append((step.address, str(step.outcome), step.decoded.form.instruction if step.decoded else ""))
        return False

    ran = machine.run(state, 100, on_trap)
    assert (ran.stopped, ran.steps) == ("trap", 16)
    assert seen == [(0x10C, "supervisor_call(0x7)", "SVC")]
    assert state["psw.p"] == 0x110


def test_bare_runs_end_alike() -> None:
    isa = load("third_generation")
    machines = [JittedMachine(isa), PlainMachine(isa)]
    states = [ready(machine) for machine in machines]
    for steps in (1, 7, 20, 3):
        ran = [machine.run(state, steps) for machine, state in zip(machines, states, strict=True)]
        assert (ran[0].steps, ran[0].stopped) == (ran[1].steps, ran[1].stopped)
        assert states[0] == states[1]


def test_self_modifying_code() -> None:
    machine = JittedMachine(load("third_generation"))
    state = ready(machine)
    machine.run(state, 3)  # the loop is remembered
    state.memory["storage"].load(0x200, bytes.fromhex("21120000"))  # S 1,2
    patch = assemble_program(machine.isa, " L 4,0x200(0)\n ST 4,0x100(0)\n BAL 5,0x100(0)", 0x300)
    state.memory["storage"].load(0x300, patch.bytes)
    state["psw.p"] = 0x300
    before = state["gpr"][1]
    machine.run(state, 4)
    assert state["gpr"][1] == before - 1
    state.memory["storage"].load(0x100, bytes.fromhex("20120000"))  # from outside
    state["psw.p"] = 0x100
    machine.step(state)
    assert state["gpr"][1] == before


# ---- as a processor ------------------------------------------------------------------------------------------


def test_a_processor_tells_what_was_written() -> None:
    isa = load("third_generation")
    processor, plain = JittedProcessor(isa), PlainProcessor(isa)
    program = assemble_program(isa, " A 1,2\n A 1,2\n OUT 1,5(0)\n A 1,2\n SVC 1\n A 1,2\n HALT", 0x100)
    states: list[State] = []
    for state in (processor.machine.state(), State(isa)):
        state["psw.bound"], state["psw.p"] = 0x4000, 0x100
        state.memory["storage"].load(0x100, program.bytes)
        state.memory["storage"].load(8, bytes.fromhex("0000011400004000"))  # where traps go: behind the SVC
        state.arrays["gpr"] = [0, 0, 3] + [0] * 13
        states.append(state)
    watch = Watch(frozenset({"port", "stopped"}))
    for bare in (True, True, False, True):
        one, two = (each.run(state, 50, bare=bare, watch=watch) for each, state in zip((processor, plain), states, strict=True))
        assert (one.steps, one.why, one.written) == (two.steps, two.why, two.written)
        assert states[0] == states[1]
    assert states[0]["stopped"] == 1
    assert processor.counters.instructions == plain.counters.instructions
    assert processor.counters.traps == plain.counters.traps


def test_a_processor_leaves_traps_to_its_caller() -> None:
    isa = load("third_generation")
    processor = JittedProcessor(isa)
    state = processor.machine.state()
    state["psw.bound"], state["psw.m"] = 0x4000, 1
    state.memory["storage"].load(0, assemble_program(isa, " A 1,2\n RIM 3", 0).bytes)
    stop = processor.run(state, 50)
    assert (stop.steps, stop.why, str(stop.last and stop.last.outcome)) == (2, "trap", "privileged_instruction")
    assert stop.last is not None
    assert stop.last.decoded is not None
    assert stop.last.decoded.form.instruction == "RIM"
