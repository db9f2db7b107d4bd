"""What the project set out to show of real machines, in the reports it ships.

That these are what the checker finds today is for ``python -m checker.regenerate --check``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import pytest

from checker.model import Instruction, Monitor, Report
from checker.reporting.json import parse
from isa_specs.load import bundled, load

REPORTS = Path(__file__).parent.parent / "reports"

TEACHING = [name for name in bundled() if name.startswith("teaching/")]
EXTENSIONS = {"x86_umip": "x86", "x86_vtx": "x86", "s370_das": "s370"}

# J. S. Robin and C. E. Irvine, USENIX Security 2000; INT is the one we do not call sensitive.
ROBIN_IRVINE = {
    "SGDT", "SIDT", "SLDT", "SMSW", "PUSHF", "POPF", "LAR", "LSL", "VERR", "VERW", "POP", "PUSH", "CALL", "JMP", "RET", "STR", "MOV",
}
SEGMENT_LOADS = {"LDS", "LES", "LFS", "LGS", "LSS"}
IMPRECISE = {"teaching/imprecise_trap": "PUT"}
UMIP = {"SGDT", "SIDT", "SLDT", "STR", "SMSW"}


@cache
def report(name: str) -> Report:
    return parse((REPORTS / f"{name}.json").read_text(encoding="utf-8"))[0]


@cache
def instructions(name: str) -> dict[str, Instruction]:
    return {instruction.name: instruction for instruction in report(name).instructions}


def monitor(name: str, profile: str = "trap_and_emulate") -> Monitor:
    return next(m for m in report(name).monitors if m.name == profile)


def critical(name: str) -> set[str]:
    return {i.name for i in report(name).instructions if i.critical}


def theorems(name: str, *, under_controls: bool = True) -> dict[str, str]:
    found = report(name).theorems
    return {key: (theorem.under_controls if under_controls else theorem).verdict for key, theorem in found.items()}


# ---- every description ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled())
def test_every_instruction_is_reported_and_decided(name: str) -> None:
    assert set(instructions(name)) == set(load(name).instructions())
    assert report(name).unknown == []
    assert {i.privileged for i in report(name).instructions} <= {"proved", "refuted"}
    assert None not in {truth for i in report(name).instructions for truth in (i.critical, i.critical_unconditional, i.user_sensitive)}


@pytest.mark.parametrize("name", bundled())
def test_every_expectation_is_met(name: str) -> None:
    assert report(name).expectations, "a description says what it is there for"
    assert [e.text for e in report(name).expectations if not e.met] == []


@pytest.mark.parametrize("name", bundled())
def test_every_invariant_is_preserved(name: str) -> None:
    assert [i.text for i in report(name).invariants if i.verdict != "proved"] == []


@pytest.mark.parametrize("name", bundled())
def test_every_critical_instruction_has_a_replayed_counterexample(name: str) -> None:
    for instruction in report(name).instructions:
        if instruction.critical or instruction.critical_unconditional:
            assert instruction.witness is not None, instruction.name
            assert instruction.witness.replayed, instruction.name
            assert instruction.witness.reason, instruction.name
            assert instruction.witness.program, instruction.name
    for found in report(name).monitors:
        for broken in found.breaks:
            # Deliveries and the memory system are no instructions, and an imprecise trap is shown by its ending.
            if broken.instruction in set(instructions(name)) - {IMPRECISE.get(name)}:
                assert broken.witness is not None, broken.instruction
                assert broken.witness.replayed, broken.instruction


@pytest.mark.parametrize("name", bundled())
def test_theorems_are_about_the_instructions_they_name(name: str) -> None:
    first, others = report(name).theorems["T1"], {IMPRECISE.get(name), "memory system (relocate)"}
    assert set(first.under_controls.because) - others == critical(name)
    assert set(first.because) - others == {i.name for i in report(name).instructions if i.critical_unconditional}
    # Theorem 2 asks for more than Theorem 1, and that for more than Theorem 3.
    for under in (True, False):
        verdicts = theorems(name, under_controls=under)
        assert verdicts["T1"] != "proved" or verdicts["T3"] == "proved"
        assert verdicts["T2"] != "proved" or verdicts["T1"] == "proved"


@pytest.mark.parametrize("name", bundled())
def test_theorem_1_and_the_squares_agree(name: str) -> None:
    """The instructions critical under the headline profile are those whose squares do not commute there, and the others do."""
    headline = monitor(name, report(name).monitor)
    broken = {b for b in headline.broken if b in instructions(name)}
    assert broken - {IMPRECISE.get(name)} == critical(name)
    if theorems(name)["T1"] == "proved":
        assert headline.verdict == "proved"


# ---- System/370 ----------------------------------------------------------------------------------


def test_s370_is_virtualizable() -> None:
    assert theorems("s370") == theorems("s370", under_controls=False) == {"T1": "proved", "T2": "proved", "T3": "proved"}
    assert report("s370").theorems["T2"].exceptions == ["STCK"]
    assert monitor("s370").verdict == "proved"
    assert critical("s370") == set()


@pytest.mark.parametrize("name", ["SVC", "SPM", "BAL", "BALR", "EX", "MC", "STCK", "BAS", "BASR", "MVC", "MVCL", "CS", "TS"])
def test_s370_problem_state_instructions_are_not_sensitive(name: str) -> None:
    assert (instructions("s370")[name].sensitive, instructions("s370")[name].privileged) == ([], "refuted")


def test_s370_privileged_instructions_trap_and_those_that_matter_are_sensitive() -> None:
    privileged = {i.name for i in report("s370").instructions if i.privileged == "proved"}
    assert len(privileged) >= 43
    assert {"LPSW", "SSM", "STNSM", "STOSM", "LCTL", "STCTL", "SPX", "STPX", "ISK", "SSK", "LRA", "SIO", "TIO", "HIO", "SCK"} <= privileged
    assert {i.name for i in report("s370").instructions if i.sensitive} <= privileged


def test_cp_67_had_the_machine_it_needed() -> None:
    assert theorems("s360_67") == theorems("s360_67", under_controls=False) == {"T1": "proved", "T2": "proved", "T3": "proved"}
    assert report("s360_67").theorems["T2"].exceptions == []
    assert monitor("s360_67").verdict == "proved"


def test_the_assist_breaks_theorem_1_and_keeps_the_record() -> None:
    """What it carries out in problem state is critical as soon as it is on, and yet the squares commute with it on."""
    name = "s370_vma"
    assisted = {"SSM", "STNSM", "STOSM", "LPSW", "SPKA", "IPK", "STCTL", "ISK", "SSK", "RRB", "LRA"}
    assert theorems(name) == {"T1": "proved", "T2": "proved", "T3": "proved"}
    assert theorems(name, under_controls=False) == {"T1": "refuted", "T2": "refuted", "T3": "refuted"}
    assert set(report(name).theorems["T1"].because) == assisted
    assert monitor(name).controls["cr6.assist"] == "0"
    assert monitor(name, "virtual_machine_assist").controls["cr6.assist"] == "1"
    assert monitor(name).verdict == monitor(name, "virtual_machine_assist").verdict == "proved"


def test_s370_with_two_address_spaces_needs_its_controls() -> None:
    name = "s370_das"
    semiprivileged = {"IPK", "EPAR", "ESAR", "IAC", "IVSK", "SPKA", "SAC", "SSAR", "MVCK", "MVCP", "MVCS", "PC", "PT"}
    assert theorems(name, under_controls=False) == {"T1": "refuted", "T2": "refuted", "T3": "refuted"}
    assert set(report(name).theorems["T1"].because) == semiprivileged
    assert theorems(name) == {"T1": "proved", "T2": "proved", "T3": "proved"}
    assert monitor(name).verdict == "proved"
    found = report(name).theorems["T1"].under_controls.controls
    assert found == dict.fromkeys(
        ["cr0.extraction_authority", "cr0.secondary_space", "cr3.key_mask", "cr5.subsystem_linkage", "cr14.asn_translation"], "0")


def test_s370_with_two_address_spaces_is_otherwise_as_without() -> None:
    for name, base in instructions("s370").items():
        if name not in ("IPK", "SPKA"):  # semiprivileged now
            found = instructions("s370_das")[name]
            assert (found.privileged, found.critical, found.sensitive) == (base.privileged, base.critical, base.sensitive), name


# ---- x86 -----------------------------------------------------------------------------------------


def test_x86_is_not_virtualizable() -> None:
    assert theorems("x86") == theorems("x86", under_controls=False) == {"T1": "refuted", "T2": "refuted", "T3": "refuted"}
    assert monitor("x86").verdict == "refuted"
    assert critical("x86") == ROBIN_IRVINE | SEGMENT_LOADS | {"IRET"}


def test_x86_where_the_control_bits_decide() -> None:
    """IOPL, TSD, PCE and the I/O map: privileged as a monitor sets them, critical as an operating system may."""
    conditional = {"IN", "OUT", "INS", "OUTS", "CLI", "STI", "RDTSC", "RDPMC"}
    assert {i.name for i in report("x86").instructions if i.critical_unconditional and not i.critical} == conditional
    assert all(instructions("x86")[name].privileged == "proved" for name in conditional)


@pytest.mark.parametrize("name", [
    "ARPL", "LAHF", "SAHF", "PUSHA", "POPA", "MOVS", "CMPS", "STOS", "LODS", "SCAS", "ADD", "ADC", "SUB", "SBB", "AND", "OR", "XOR", "CMP",
    "INC", "DEC", "NEG", "NOT", "MUL", "IMUL", "DIV", "IDIV", "SHL", "SHR", "SAR", "ROL", "ROR", "RCL", "RCR", "LEA", "XCHG", "TEST",
    "CPUID", "NOP", "INT", "INT3", "INTO", "BOUND", "ENTER", "LEAVE", "CLC", "STC", "CLD", "STD",
])
def test_x86_instructions_that_are_not_sensitive(name: str) -> None:
    found = instructions("x86")[name]
    assert (found.sensitive, found.critical, found.critical_unconditional) == ([], False, False)


@pytest.mark.parametrize("name", [
    "LGDT", "LIDT", "LLDT", "LTR", "LMSW", "CLTS", "HLT", "INVD", "WBINVD", "INVLPG", "RDMSR", "WRMSR", "RDTSC", "RDPMC"])
def test_x86_privileged_instructions(name: str) -> None:
    assert (instructions("x86")[name].privileged, instructions("x86")[name].critical) == ("proved", False)


def test_x86_only_some_forms_of_mov_push_and_near_transfers_matter() -> None:
    for name in ("MOV", "PUSH", "POP", "CALL", "JMP", "RET"):
        forms = instructions("x86")[name].forms
        assert any(form.critical for form in forms), name
        assert any(form.critical is False and form.sensitive == [] for form in forms), name


def test_umip_changes_exactly_five_instructions() -> None:
    def verdicts(name: str) -> dict[str, Instruction]:
        return {key: msgspec.structs.replace(found, place=None, witness=None, reasons=[]) for key, found in instructions(name).items()}

    assert {key for key, found in verdicts("x86_umip").items() if found != verdicts("x86")[key]} == UMIP
    assert critical("x86") - critical("x86_umip") == UMIP
    assert all(instructions("x86_umip")[name].privileged == "proved" for name in UMIP)
    assert theorems("x86_umip")["T1"] == "refuted"


def test_vtx_makes_a_monitor_possible() -> None:
    vmx = monitor("x86_vtx", "vmx")
    assert vmx.verdict == "proved"
    assert set(vmx.squares.values()) == {"proved"}
    assert set(instructions("x86_vtx")) <= set(vmx.squares)
    assert monitor("x86_vtx").verdict == "refuted"
    assert set(monitor("x86_vtx").broken) == critical("x86")
    assert {leaves.instruction for leaves in vmx.exits} == set(instructions("x86_vtx"))


def test_vtx_exits() -> None:
    exits = {leaves.instruction: leaves for leaves in monitor("x86_vtx", "vmx").exits}
    always = {"CPUID", "VMCALL", "VMCLEAR", "VMLAUNCH", "VMPTRLD", "VMPTRST", "VMREAD", "VMRESUME", "VMWRITE", "VMXOFF", "VMXON"}
    assert always <= {name for name, leaves in exits.items() if leaves.when == "always"}
    assert exits["HLT"].when == "control"
    assert exits["ADD"].when == "never"


def test_vtx_breakpoints_are_the_guests() -> None:
    """The profile's exception bitmap names page faults only; the other exceptions go through the guest's own table."""
    exits = {leaves.instruction: leaves for leaves in monitor("x86_vtx", "vmx").exits}
    assert {exits[name].when for name in ("INT3", "INTO", "INT1")} == {"never"}


def test_vtx_task_switches_exit_whatever_the_controls() -> None:
    exits = {leaves.instruction: leaves for leaves in monitor("x86_vtx", "vmx").exits}
    assert {(exits[name].when, *exits[name].controls) for name in ("JMP", "CALL", "IRET")} == {("sometimes",)}


# ---- the teaching machines -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "verdicts", "named"), [
    ("third_generation", ("proved", "proved", "proved"), set()),
    ("paged", ("proved", "proved", "proved"), set()),
    ("innocuous", ("proved", "proved", "proved"), set()),
    ("conditional", ("proved", "proved", "proved"), set()),
    ("timing", ("proved", "refuted", "proved"), set()),
    ("control_sensitive", ("refuted", "refuted", "refuted"), {"SRB"}),
    ("location_sensitive", ("refuted", "refuted", "refuted"), {"LRA"}),
    ("mode_sensitive", ("refuted", "refuted", "proved"), {"RM"}),
    ("resource_sensitive", ("refuted", "refuted", "refuted"), {"RIM"}),
    ("silent_no_op", ("refuted", "refuted", "proved"), {"SIM"}),
    ("hybrid_only", ("refuted", "refuted", "proved"), {"JRST"}),
    ("imprecise_trap", ("refuted", "refuted", "refuted"), {"PUT"}),
    ("memory_system", ("refuted", "refuted", "proved"), {"memory system (relocate)"}),
    ("duplicated", ("refuted", "refuted", "proved"), {"RM", "SIM"}),
])
def test_teaching_machines(name: str, verdicts: tuple[str, str, str], named: set[str]) -> None:
    found = report(f"teaching/{name}")
    assert tuple(found.theorems[key].under_controls.verdict for key in ("T1", "T2", "T3")) == verdicts
    assert set(found.theorems["T1"].under_controls.because) == named
    assert monitor(f"teaching/{name}").verdict == verdicts[0]


def test_all_teaching_machines_are_among_them() -> None:
    marks = [mark for mark in test_teaching_machines.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {f"teaching/{row[0]}" for row in marks[0].args[1]} == set(TEACHING)


def test_what_saves_a_teaching_machine() -> None:
    assert monitor("teaching/duplicated", "assisted").verdict == "proved"
    assert monitor("teaching/hybrid_only", "hybrid").verdict == "proved"
    assert monitor("teaching/conditional").controls["guard"] == "1"
    assert monitor("teaching/conditional", "careless").broken == ["RIM"]
    assert report("teaching/conditional").theorems["T1"].verdict == "refuted"
