"""A report written by hand that has one of everything, for tests of renderers and exit codes."""

from __future__ import annotations

from checker.model import (
    ANY,
    Break,
    Exit,
    Expectation,
    Form,
    Instruction,
    Invariant,
    MemoryFinding,
    Monitor,
    Place,
    Report,
    Row,
    Statistics,
    Theorem,
    UnderControls,
    Unknown,
    Witness,
)


def witness() -> Witness:
    return Witness(
        form="RM {r1}", region="odd registers",
        reason="RM stores the mode, which is user on the real machine and supervisor on the virtual one.",
        rows=[
            Row(component="psw.m", left="0", right="1"),
            Row(component="gpr[1]", left=ANY, right=ANY),
            Row(component="gpr[1]", left="0x00000000", right="0x00000001", when="after"),
        ],
        program=["0000: 87 10 00 00  RM 1"], command="vcheck toy --instruction RM --monitor trap_and_emulate", replayed=True,
        step=["0x0: RM 1", "bare: completes", "monitored: completes", "gpr[1]: bare 0, monitored 1"], confirmed=True,
    )


def report() -> Report:
    place = Place(file="isa_specs/toy.spec", line=12, column=1, end_column=15, text='instruction RM "Read mode" RX 0x87 "RM {r1}"')
    forms = [
        Form(form="RM {r1}", region="odd registers", privileged="refuted", sensitive=["mode"], user_sensitive=False, critical=True,
             critical_unconditional=True, squares={"trap_and_emulate": "refuted", "hardware": "proved"}, certificate="smt"),
        Form(form="RM {r1}", region="even registers", privileged="refuted", user_sensitive=False, critical=False,
             critical_unconditional=False, squares={"trap_and_emulate": "proved", "hardware": "proved"}, certificate="flow"),
    ]
    instructions = [
        Instruction(name="A", title="Add", privileged="refuted", user_sensitive=False, critical=False, critical_unconditional=False,
                    certificate="flow"),
        Instruction(name="RM", title="Read mode", cites="Manual, p. 7", place=place, privileged="refuted", sensitive=["mode"],
                    user_sensitive=False, critical=True, critical_unconditional=True, forms=forms, certificate="smt",
                    reasons=["RM puts psw.m | psw.n into a register."], witness=witness()),
        Instruction(name="LPSW", title="Load PSW", privileged="proved", sensitive=["control", "resource"], user_sensitive=True,
                    critical=False, critical_unconditional=False, certificate="smt"),
        Instruction(name="HALT", title="Halt", privileged="proved", user_sensitive=False, critical=False, critical_unconditional=False),
        Instruction(name="RDT", title="Read timer", privileged="refuted", observes=["time"], user_sensitive=False, critical=False,
                    critical_unconditional=False),
        Instruction(name="MUL", title="Multiply", privileged="refuted"),
    ]
    controls = {"eflags.iopl": "0", "cr4.tsd": "1"}
    theorems = {
        "T1": Theorem(verdict="refuted", because=["RM"],
                      under_controls=UnderControls(verdict="refuted", controls=controls, because=["RM"])),
        "T2": Theorem(verdict="refuted", under_controls=UnderControls(verdict="refuted", controls=controls), exceptions=["RDT"]),
        "T3": Theorem(verdict="proved", under_controls=UnderControls(verdict="proved", controls=controls)),
    }
    monitors = [
        Monitor(name="trap_and_emulate", title="The paper's monitor", verdict="refuted", broken=["RM"], unknown=["MUL"], controls=controls,
                assumptions=["the timer does not run"], bounds=["loops of at most 16 rounds"],
                squares={"A": "proved", "RM": "refuted", "LPSW": "proved", "HALT": "proved", "RDT": "proved", "MUL": "unknown"},
                breaks=[Break(instruction="RM", form="RM {r1}", region="odd registers", clause="effect", reason="The results differ.",
                              witness=witness())]),
        Monitor(name="hardware", title="With intercepts", verdict="unknown", unknown=["MUL"], controls={"exits.lpsw": "1"},
                exits=[Exit(instruction="HALT", when="always"), Exit(instruction="LPSW", when="control", controls=["exits.lpsw"])]),
    ]
    return Report(
        isa="toy", title="Toy machine", cites="Manual", source="isa_specs/toy.spec", monitor="trap_and_emulate", theorems=theorems,
        instructions=instructions, monitors=monitors,
        memory_system=[MemoryFinding(title="relocation lemma of relocate", verdict="proved")],
        invariants=[Invariant(text="the mode is a bit", verdict="proved"),
                    Invariant(text="R is even", verdict="refuted", instruction="LPSW")],
        expectations=[Expectation(text="RM critical", met=True), Expectation(text="theorem3 refuted", met=False, found="proved")],
        unknown=[Unknown(what="MUL", reason="no answer within 10 s")],
        statistics=Statistics(instructions=6, forms=8, obligations=21, flow=3, smt=4),
    )


def proved() -> Report:
    """A machine of which everything is proved."""
    whole = report()
    whole.instructions = [instruction for instruction in whole.instructions if instruction.name not in ("RM", "MUL")]
    for theorem in whole.theorems.values():
        theorem.verdict = theorem.under_controls.verdict = "proved"
        theorem.because = theorem.under_controls.because = []
    whole.monitors = [Monitor(name="trap_and_emulate", verdict="proved", squares={"A": "proved"})]
    whole.invariants, whole.expectations, whole.unknown = whole.invariants[:1], whole.expectations[:1], []
    return whole
