"""From a report to findings, the verdict in words, and the exit code.

A finding has a stable code (``checker/explain/CODE.md``). It is an *error* when it stands between the machine and its
virtualizability, else a *note*: once some monitor profile is proved to work, what breaks under another is no obstacle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from checker.exitcodes import FINDINGS, INCONCLUSIVE, INTERNAL, PROVED
from checker.model import Break, Instruction, Place, Report, Witness

SENSITIVITY_CODES = {"control": "PG101", "location": "PG102", "mode": "PG103", "resource": "PG104"}
OBSERVATION_CODES = {"time": "PG110", "identity": "PG111"}
CLAUSE_CODES = {"effect": "PG201", "record": "PG202", "host": "PG203", "trap": "PG204"}

TITLES = {
    "PG101": "control sensitive but not privileged",
    "PG102": "location sensitive but not privileged",
    "PG103": "mode sensitive but not privileged",
    "PG104": "resource sensitive but not privileged",
    "PG110": "observes time without a trap",
    "PG111": "observes the machine's identity without a trap",
    "PG201": "has another effect in the virtual machine",
    "PG202": "leaves the monitor's record stale",
    "PG203": "changes what belongs to the monitor",
    "PG204": "traps in one machine and not in the other",
    "PG301": "the memory system gives the guest away",
    "PG302": "an invariant is not preserved",
    "PG401": "a verdict differs from the expected one",
    "PG501": "undecided",
    "PG901": "the machine disagrees with the solver",
}

REPAIR = "let it trap in user mode, intercept it, or replace it in the guest (binary translation, paravirtualization)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell. ``subject`` is the instruction, or what else it is about; ``monitor`` the profile it occurs under."""

    code: str
    severity: Literal["error", "note", "unknown", "disputed"]
    isa: str
    subject: str
    sentence: str
    monitor: str = ""
    place: Place | None = None
    witness: Witness | None = None
    help: str = ""

    @property
    def title(self) -> str:
        return f"{self.subject}: {TITLES[self.code]}" if self.subject else TITLES[self.code]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same finding in another run: never a line number."""
        return self.isa, self.code, self.subject, self.monitor


def verdict(report: Report) -> Literal["virtualizable", "hybrid only", "not virtualizable", "inconclusive"]:
    """The verdict on the machine: virtualizable when some profile's squares all commute, hybrid monitors aside.

    A description without profiles is judged by its theorems.
    """
    under_controls = {name: theorem.under_controls.verdict for name, theorem in report.theorems.items()}
    verdicts = [monitor.verdict for monitor in report.monitors if not monitor.user_only] or [under_controls.get("T1", "unknown")]
    if "proved" in verdicts:
        return "virtualizable"
    if "unknown" in verdicts:
        return "inconclusive"
    hybrid = any(monitor.user_only and monitor.verdict == "proved" for monitor in report.monitors)
    return "hybrid only" if hybrid or under_controls.get("T3") == "proved" else "not virtualizable"


def findings(report: Report) -> list[Finding]:
    """All findings: of instructions in the order of the description, then of profiles, memory, invariants, expectations, unknowns."""
    severity: Literal["error", "note"] = "note" if verdict(report) == "virtualizable" else "error"
    out = [finding for instruction in report.instructions for finding in _of_instruction(report, instruction, severity)]
    critical = {instruction.name for instruction in report.instructions if instruction.critical}
    places = {instruction.name: instruction.place for instruction in report.instructions}
    memory = [found for found in report.memory_system if found.verdict == "refuted"]
    told = {found.reason for found in memory}  # below, once and with its place
    for monitor in report.monitors:
        for broken in monitor.breaks:
            if broken.reason not in told and (monitor.name != report.monitor or broken.instruction not in critical):
                out += _of_break(report, monitor.name, broken, places.get(broken.instruction), severity)
    out += [Finding("PG301", severity, report.isa, found.title, found.reason, place=found.place) for found in memory]
    for invariant in report.invariants:
        if invariant.verdict == "refuted":
            sentence = f'{invariant.instruction} leads from a legal state to one where "{invariant.text}" does not hold.'
            out.append(Finding("PG302", "error", report.isa, invariant.instruction, sentence, place=invariant.place))
    undecided = {unknown.what.split(" ")[0].rstrip(":") for unknown in report.unknown}
    for expectation in report.expectations:
        if not expectation.met:
            open_ = expectation.found == "unknown" or expectation.text.split(" ")[0] in undecided
            sentence = f"expected: {expectation.text}; found: {expectation.found or 'otherwise'}."
            out.append(Finding("PG401", "unknown" if open_ else "error", report.isa, expectation.text, sentence, place=expectation.place))
    out += [Finding("PG501", "unknown", report.isa, unknown.what, unknown.reason) for unknown in report.unknown]
    return out


def _of_instruction(report: Report, instruction: Instruction, severity: Literal["error", "note"]) -> Iterator[Finding]:
    witness = instruction.witness
    sentence = witness.reason if witness is not None else " ".join(instruction.reasons)
    if instruction.critical and instruction.sensitive:
        shown = (witness.kind if witness is not None else "") or instruction.sensitive[0]
        code = SENSITIVITY_CODES[shown]
        place = (witness.place if witness is not None else None) or instruction.place
        yield Finding(code, severity, report.isa, instruction.name, sentence, report.monitor, place, witness, REPAIR)
    if instruction.privileged != "proved":
        for observed in instruction.observes:
            text = f"{instruction.name} gives the guest the real machine's {observed}; Theorem 2 excepts such instructions."
            yield Finding(OBSERVATION_CODES[observed], "note", report.isa, instruction.name, text, report.monitor, instruction.place)
    yield from _dispute(report, instruction.name, report.monitor, instruction.place, witness)


def _of_break(report: Report, monitor: str, broken: Break, place: Place | None, severity: Literal["error", "note"]) -> Iterator[Finding]:
    code = CLAUSE_CODES[broken.clause]
    place = (broken.witness.place if broken.witness is not None else None) or place
    yield Finding(code, severity, report.isa, broken.instruction, broken.reason, monitor, place, broken.witness, REPAIR)
    yield from _dispute(report, broken.instruction, monitor, place, broken.witness)


def _dispute(report: Report, subject: str, monitor: str, place: Place | None, witness: Witness | None) -> Iterator[Finding]:
    if witness is not None and witness.disputed:
        yield Finding("PG901", "disputed", report.isa, subject, witness.disputed, monitor, place, witness)


def exit_code(report: Report, known: frozenset[tuple[str, str, str, str]] = frozenset()) -> int:
    """4 disputed, 1 errors, 3 nothing worse than undecided, 0 proved. Findings whose key is ``known`` do not count."""
    found = findings(report)
    severities = {finding.severity for finding in found if finding.key not in known}
    refuted = verdict(report) in ("hybrid only", "not virtualizable")
    if "disputed" in severities:
        return INTERNAL
    if "error" in severities or (refuted and not any(finding.severity == "error" for finding in found)):
        return FINDINGS
    if "unknown" in severities or verdict(report) == "inconclusive":
        return INCONCLUSIVE
    return PROVED
