"""``vcheck fuzz``: it finds what is planted, goes on where it was, and says how to see it again."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from checker import cli, execution, fuzz, smtlib
from checker.check import check
from checker.comparisons import COMPARISONS, Outcome
from checker.fuzz_command import again, compared
from checker.options import Options
from isa_specs.load import load
from isa_specs.ops import OPERATORS
from machine.agreement import Agreement
from machine.cases import Sampler
from machine.generated import emit
from machine.generated.rows import in_rows
from machine.innocuous import BatchSquares
from machine.jitted import JittedMachine
from machine.plain import Machine
from machine.shrinking import shown, shrink
from machine.state import State

Capture = pytest.CaptureFixture[str]
NAME = "third_generation"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Campaigns of a test are its own; compiled machines stay where they are."""
    monkeypatch.setattr("checker.fuzz_command.default_directory", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def vcheck(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["fuzz", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@cache
def jitted() -> JittedMachine:
    return JittedMachine(load(NAME))


# ---- what it prints --------------------------------------------------------------------------------------


def test_agreement(capsys: Capture, snapshot: SnapshotAssertion) -> None:
    code, out, err = vcheck(capsys, NAME, "--states", "60", "--solver", "5", "--monitored", "500")
    assert (code, err) == (0, "")
    assert out == snapshot


def test_the_same_whatever_the_number_of_processes(capsys: Capture) -> None:
    states = ("--states", "20", "--solver", "3", "--monitored", "100")
    one, two = (vcheck(capsys, NAME, *states, "--fresh", "--jobs", jobs) for jobs in ("1", "2"))
    assert one == two


def test_json(capsys: Capture) -> None:
    code, out, _ = vcheck(capsys, NAME, "A", "--states", "20", "--solver", "2", "--monitored", "100", "--format", "json", "--seed", "3")
    told = json.loads(out)
    assert (code, told["isa"], told["seed"]) == (0, NAME, 3)
    jitted = next(form for form in told["forms"] if form["comparison"] == "jitted")
    assert jitted["instruction"] == "A"
    assert sum(jitted["did"].values()) == 20
    assert jitted["disagreements"] == []


def test_mistakes(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = vcheck(capsys, NAME, "LPSX")
    assert code == 2
    assert "no instruction 'LPSX'" in err
    assert vcheck(capsys, "no_such_description")[0] == 2
    code, _, err = vcheck(capsys, "teaching/conditional", "--monitor", "carless")
    assert code == 2
    assert "conditional has no monitor 'carless'" in err
    assert "did you mean 'careless'?" in err
    assert vcheck(capsys, NAME, "--states", "-1")[0] == 2
    monkeypatch.setenv("VCHECK_JIT", "0")
    code, _, err = vcheck(capsys, NAME)
    assert code == 2
    assert "VCHECK_JIT=0" in err


# ---- going on -------------------------------------------------------------------------------------------------


def small(folder: Path, states: int = 10) -> fuzz.Campaign:
    return fuzz.Campaign(fuzz.Plan(NAME, {"jitted": states}, instructions=("A", "S"), folder=folder))


def silent(part: str, done: int, total: int) -> None:
    pass


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small(tmp_path)
    assert first.run(silent)
    monkeypatch.setattr(fuzz.Worker, "run", None)
    again = small(tmp_path)
    assert again.run(silent)
    assert again.tallies() == first.tallies()


def test_an_interrupt_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small(tmp_path / "other")
    whole.run(silent)
    right, ran = fuzz.Worker.run, []

    def interrupted(self: fuzz.Worker, unit: fuzz.Unit) -> Outcome:
        if ran:
            raise KeyboardInterrupt
        ran.append(unit)
        return right(self, unit)

    monkeypatch.setattr(fuzz.Worker, "run", interrupted)
    broken = small(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        broken.run(silent)
    monkeypatch.setattr(fuzz.Worker, "run", right)
    second = small(tmp_path)
    assert len(second.done) == 1
    assert second.run(silent)
    assert second.tallies() == whole.tallies()


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    first = small(tmp_path)
    first.run(silent)
    (file,) = (tmp_path / "fuzz").iterdir()
    for damaged in ("", "nonsense", "[]", file.read_text()[:-20] + '"x": {}}}'):
        file.write_text(damaged)
        assert small(tmp_path).done == {}
    again = small(tmp_path)
    again.run(silent)
    assert again.tallies() == first.tallies()


def test_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert small(tmp_path / "file").run(silent)


# ---- planted faults -----------------------------------------------------------------------------------------------


@pytest.fixture
def wrong_in_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that adds where it is to subtract."""
    monkeypatch.setattr("machine.generated.build.cache.key", lambda *_: "wrong")
    monkeypatch.setattr("machine.generated.build.cache.load", lambda *_: None)
    monkeypatch.setattr("machine.generated.build.cache.store", lambda *_: None)
    right = emit.Unit.source.func  # type: ignore[attr-defined]
    monkeypatch.setattr(emit.Unit, "source", property(lambda self: _planted(right(self))))


def _planted(source: str) -> str:
    start = source.index("# S: ")
    end = source.index("\n\n", start)
    assert " - " in source[start:end]
    return source[:start] + source[start:end].replace(" - ", " + ", 1) + source[end:]


def test_a_fault_in_the_generator(capsys: Capture, wrong_in_the_generator: None, snapshot: SnapshotAssertion) -> None:
    code, out, _ = vcheck(capsys, NAME, "S", "--states", "100", *others())
    assert code == 1
    assert "DISAGREE" in out
    assert out == snapshot
    assert len(out.split("\n")) < 30  # one readable state


def others() -> list[str]:
    """Nothing but the comparison of the machines."""
    return [part for name in COMPARISONS if name != "jitted" for part in (f"--{name}", "0")]


def test_a_fault_in_the_plain_machine(capsys: Capture) -> None:
    jitted()  # compiled with what is right
    add = OPERATORS["add"]
    right = add.plain
    object.__setattr__(add, "plain", lambda width, a, b: a | b)
    try:
        code, out, _ = vcheck(capsys, NAME, "A", "--states", "100", *others())
    finally:
        object.__setattr__(add, "plain", right)
    assert code == 1
    assert "again: vcheck fuzz third_generation A --states 100" in out


@pytest.mark.parametrize("what", ["trap arguments", "a store lost", "a store too many", "the delivery"])
def test_faults_in_what_is_compared(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of an outcome is looked at."""
    agreement = Agreement(jitted())
    isa = agreement.isa
    name = {"trap arguments": "SVC", "the delivery": "SVC"}.get(what, "ST")
    form = isa.instructions()[name][0]
    if what == "the delivery":
        right = Machine.deliver
        monkeypatch.setattr(Machine, "deliver", lambda self, trap, args, state, ilen, recorder=None: (
            right(self, trap, args, state, ilen, recorder), state.cells.update({"psw.m": 1 - state.cells["psw.m"]})))
    else:
        right_step = Machine.step

        def wrong(self, state, *, bare=False, recorder=None):  # type: ignore[no-untyped-def]
            before = {at: state.memory["storage"][at] for at in state.memory["storage"]}
            found = right_step(self, state, bare=bare, recorder=recorder)
            if type(self) is Machine and found.decoded is not None and found.decoded.form.instruction == name:
                if what == "a store lost":
                    state.memory["storage"].clear()
                    state.memory["storage"].update(before)
                elif what == "a store too many":
                    state.memory["storage"][0x3000] = state.memory["storage"][0x3000] ^ 1
                elif found.outcome.__class__.__name__ == "Trapped" and found.outcome.args:
                    outcome = found.outcome.__class__(found.outcome.trap, (found.outcome.args[0] ^ 1,), "call", found.outcome.ilen)
                    return found.__class__(found.address, found.decoded, outcome, found.executed)
            return found

        monkeypatch.setattr(Machine, "step", wrong)
    assert any(agreement.lot(form, 0, number, 200).wrong for number in range(2))


# ---- states -----------------------------------------------------------------------------------------------------


def test_cases_are_what_they_are_meant_to_be() -> None:
    agreement = Agreement(jitted())
    for form in agreement.isa.forms:
        did = agreement.lot(form, 1, 0, 100).did
        assert did["other"] < 60, form.instruction
    sampler = Sampler(jitted())
    form = agreement.isa.forms[0]
    one, two = (sampler.rows(form, 5, 3, 50, sampler.background(5, 3)) for _ in range(2))
    assert (one == two).all()
    assert (one != sampler.rows(form, 5, 4, 50, sampler.background(5, 4))).any()


def test_shrinking() -> None:
    isa = load(NAME)
    state = State(isa)
    state["gpr"] = list(range(16))
    state["psw.p"] = 0x1234
    state.memory["storage"].load(0x100, bytes(range(1, 40)))
    found = shrink(state, lambda s: s.arrays["gpr"][9] == 9 and s.memory["storage"][0x110] > 0)
    assert shown(found) == ["gpr[9] = 0x9", "storage(0x110) = 11"]


# ---- the solver's reading ------------------------------------------------------------------------------------------


def only(comparison: str, states: int) -> list[str]:
    return [part for name in COMPARISONS for part in ("--states" if name == "jitted" else f"--{name}", str(states * (name == comparison)))]


def test_the_solver_agrees(capsys: Capture) -> None:
    code, out, _ = vcheck(capsys, NAME, "A", *only("solver", 20))
    assert code == 0
    assert "1 forms, 20 states, at least 20 a form" in out
    assert " 1 asked" in out


def test_a_fault_in_the_symbolic_reading(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores are taken apart in the wrong order."""
    right = execution.Run.write_space

    def wrong(self, space, address, value):  # type: ignore[no-untyped-def]
        size = space.cell_width
        pieces = [self.terms.extract(value, low + size - 1, low) for low in range(0, value.width, size)]
        return right(self, space, address, self.terms.concat(pieces))

    monkeypatch.setattr(execution.Run, "write_space", wrong)
    code, out, _ = vcheck(capsys, NAME, "ST", *only("solver", 20), "--fresh")
    assert code == 1
    assert "in the symbolic step" in out
    assert "again: vcheck fuzz third_generation ST --states 0 --solver 20" in out


def test_a_fault_in_the_text_for_the_solver(capsys: Capture) -> None:
    """The terms are right, the SMT-LIB function is not: only the solver itself can tell."""
    add = OPERATORS["add"]
    object.__setattr__(add, "smt", "bvsub")
    try:
        code, out, _ = vcheck(capsys, NAME, "A", *only("solver", 20), "--fresh")
    finally:
        object.__setattr__(add, "smt", "bvadd")
    assert code == 1
    assert "the solver comes to another result" in out


def test_a_fault_in_the_text_of_stores(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is lost on the way to the solver."""
    bits = smtlib._bits
    monkeypatch.setattr(smtlib, "_bits", lambda term, args: args[0].bits if term.op == "store" else bits(term, args))
    code, out, _ = vcheck(capsys, NAME, "ST", *only("solver", 20), "--fresh")
    assert code == 1
    assert "the solver comes to another result" in out


# ---- bare and under the monitor --------------------------------------------------------------------------------------


def test_what_is_proved_commutes(capsys: Capture) -> None:
    code, out, _ = vcheck(capsys, NAME, "LPSW", *only("monitored", 5000))
    assert code == 0
    assert "1 forms, 5,000 states" in out


def test_under_another_monitor(capsys: Capture, snapshot: SnapshotAssertion, cache_folder: Path) -> None:
    """What is proved under another profile is tried with that profile's map, and kept apart."""
    spec = "teaching/conditional"
    results = [vcheck(capsys, spec, *only("monitored", 200), *more) for more in ([], ["--monitor", "careless"])]
    assert [code for code, _, _ in results] == [0, 0]
    assert "".join(out for _, out, _ in results) == snapshot
    (kept,) = (json.loads(file.read_text())["done"] for file in (cache_folder / "fuzz").iterdir())
    assert {key.split("/")[-1] for key in kept} == {"trap_and_emulate", "careless"}
    assert "--monitor careless" in again(fuzz.Campaign(fuzz.Plan(spec, {"monitored": 200}, monitor="careless")), "monitored", 0)


def test_a_map_that_no_row_holds(capsys: Capture, tmp_path: Path) -> None:
    spec = tmp_path / "stored.spec"
    spec.write_text('isa stored "A map of storage" extends third_generation\n\nmonitor trap_and_emulate\n  mask -> storage(0x100, 8)\n')
    code, _, err = vcheck(capsys, str(spec), "A", *only("monitored", 10))
    assert code == 2
    assert err == "vcheck: stored: no batches of states: trap_and_emulate maps mask to what is in storage\n"


def test_what_is_not_proved_does_not_commute() -> None:
    """The comparison sees what the proofs refute: an instruction that completes in user mode and reads the mode."""
    isa = load("mode_sensitive")
    squares = BatchSquares(JittedMachine(isa), next(iter(isa.monitors.values())))
    report = check("mode_sensitive", Options())
    for instruction in report.instructions:
        lots = [squares.lot(form, 0, 0, 2000) for form in isa.instructions()[instruction.name]]
        refuted = any("refuted" in form.squares.values() for form in instruction.forms)
        assert any(not square.commutes for lot in lots for square in lot.wrong) == refuted, instruction.name


def test_generated_code_that_looks_at_the_mode(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("machine.generated.build.cache.load", lambda *_: None)
    monkeypatch.setattr("machine.generated.build.cache.store", lambda *_: None)
    right = emit.Unit.source.func  # type: ignore[attr-defined]

    def planted(unit: emit.Unit) -> str:
        source: str = right(unit)
        mode = in_rows(f"s + {unit.layout.cells['psw.m'].name}") if unit.rows else f"s + {unit.layout.cells['psw.m'].name}"
        start = source.index("# S: ")
        end = source.index("\n\n", start)
        return source[:start] + source[start:end].replace(" - ", f" - LD({mode}) - ", 1) + source[end:]

    monkeypatch.setattr(emit.Unit, "source", property(planted))
    code, out, _ = vcheck(capsys, NAME, "S", *only("monitored", 2000), "--fresh")
    assert code == 1
    assert "only on the jitted machine" in out


def test_what_generated_code_leaves_to_the_plain_machine_is_not_compared() -> None:
    campaign = fuzz.Campaign(fuzz.Plan("teaching/innocuous", {"jitted": 50}))
    index = next(i for i, form in enumerate(campaign.isa.forms) if form.instruction == "SQ")
    did = campaign.worker.run(("jitted", index, 0, 50)).did
    assert did["plain"] > 0
    assert compared(did) == 50 - did["plain"]
