"""What a check found: the report, from which every output format is rendered.

The structs are the JSON format (``vcheck schema``), version :data:`SCHEMA_VERSION`; fields may be added within a
version, not removed or given another meaning. Verdicts are never folded: where a truth value may be undecided it is
null, and :attr:`Report.unknown` says why. Nothing here depends on time, on the machine or on how many processes worked,
apart from :attr:`Statistics.seconds`, which is there only on request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

SCHEMA_VERSION = 1

Verdict = Literal["proved", "refuted", "unknown"]
Certificate = Literal["flow", "smt", ""]
Sensitivity = Literal["control", "location", "mode", "resource"]
Observation = Literal["time", "identity"]

ANY = "any"  # a value that does not matter to a counterexample


class Place(Struct, frozen=True, kw_only=True):
    """Where in a description. Lines and columns count from 1, ``end_column`` is exclusive; ``text`` is that line."""

    file: str
    line: int
    column: int = 1
    end_column: int = 1
    text: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """One component in two columns. ``any`` where the value does not matter; empty where the column has no such component.

    ``when`` is before or after the instruction.
    """

    component: str
    left: str
    right: str
    when: Literal["before", "after"] = "before"


class Witness(Struct, kw_only=True):
    """A counterexample: two runs of one instruction that should correspond and do not.

    ``kind`` is the class it shows, ``place`` where its form is described, ``reason`` one sentence that says why. ``columns`` heads
    the two columns, ``program`` is the guest program that shows it, ``command`` reproduces it. ``replayed`` is true when the
    machine did what is claimed here; ``note`` says why it was not replayed, and ``disputed`` what the machine did instead:
    that is a mistake of this program. ``step`` has the step at which the runs part: where it is, what it came to in each, and what was
    different after it. ``confirmed`` is true when generated code did the same.
    """

    form: str
    region: str = ""
    kind: Sensitivity | Literal[""] = ""
    place: Place | None = None
    reason: str
    columns: tuple[str, str] = ("virtual machine", "real machine")
    rows: list[Row] = []
    program: list[str] = []
    command: str = ""
    step: list[str] = []
    replayed: bool = False
    confirmed: bool = False
    note: str = ""
    disputed: str = ""


class Form(Struct, kw_only=True):
    """One encoding of an instruction in one operand region (empty: all operands).

    ``privileged``, ``critical`` are as for :class:`Instruction`. ``squares`` has a verdict for every monitor profile.
    """

    form: str
    region: str = ""
    privileged: Verdict = "unknown"
    sensitive: list[Sensitivity] = []
    observes: list[Observation] = []
    user_sensitive: bool | None = None
    critical: bool | None = None
    critical_unconditional: bool | None = None
    squares: dict[str, Verdict] = {}
    certificate: Certificate = ""


class Instruction(Struct, kw_only=True):
    """The classification of one instruction under the headline profile's controls.

    ``critical`` is sensitive and not privileged under these controls, ``critical_unconditional`` over all legal states. ``certificate``
    says how the verdicts were reached: ``flow`` from the footprint, ``smt`` by the solver.
    """

    name: str
    title: str = ""
    cites: str = ""
    place: Place | None = None
    privileged: Verdict
    sensitive: list[Sensitivity] = []
    observes: list[Observation] = []
    user_sensitive: bool | None = None
    critical: bool | None = None
    critical_unconditional: bool | None = None
    forms: list[Form] = []
    certificate: Certificate = ""
    reasons: list[str] = []
    witness: Witness | None = None


class UnderControls(Struct, kw_only=True):
    """A theorem's verdict with the profile's controls set; ``controls`` maps component to value, ``because`` names what refutes it."""

    verdict: Verdict
    controls: dict[str, str] = {}
    because: list[str] = []


class Theorem(Struct, kw_only=True):
    """A theorem's verdict over all legal states. ``because`` names the instructions that refute it, ``exceptions`` those
    that are harmless here though they look otherwise (time-observing instructions for T2, say).
    """

    verdict: Verdict
    under_controls: UnderControls
    because: list[str] = []
    exceptions: list[str] = []


class Break(Struct, kw_only=True):
    """An instruction whose square does not commute under a profile, and the clause that fails: ``effect`` (results differ), ``trap`` (one
    machine traps, the other does not), ``record`` (what the monitor keeps is stale) or ``host`` (state the monitor owns is changed).
    """

    instruction: str
    form: str = ""
    region: str = ""
    clause: Literal["effect", "trap", "record", "host"]
    reason: str
    witness: Witness | None = None


class Exit(Struct, kw_only=True):
    """When an instruction reaches the monitor by a hardware exit: always, when one of ``controls`` asks for it, or sometimes: whatever
    the controls, in some states only."""

    instruction: str
    when: Literal["always", "control", "sometimes", "never"]
    controls: list[str] = []


class Monitor(Struct, kw_only=True):
    """A monitor profile: whether all squares of its virtual machine map commute.

    ``controls`` is the smallest sufficient setting that was found (or the pinned one), ``squares`` the verdict for each
    instruction, ``broken`` and ``unknown`` name instructions. With ``user_only``, the profile is a hybrid monitor's: no guest
    is in supervisor mode while it runs. ``assumptions`` and ``bounds`` are what the verdict rests on.
    """

    name: str
    title: str = ""
    user_only: bool = False
    verdict: Verdict
    broken: list[str] = []
    unknown: list[str] = []
    controls: dict[str, str] = {}
    assumptions: list[str] = []
    bounds: list[str] = []
    squares: dict[str, Verdict] = {}
    breaks: list[Break] = []
    exits: list[Exit] = []


class MemoryFinding(Struct, kw_only=True):
    """What was proved or refuted of the memory system itself, such as a translation's relocation lemma."""

    title: str
    verdict: Verdict
    reason: str = ""
    place: Place | None = None


class Invariant(Struct, kw_only=True):
    """A declared invariant; ``instruction`` (or the trap's delivery) does not preserve it when refuted."""

    text: str
    verdict: Verdict
    instruction: str = ""
    place: Place | None = None


class Expectation(Struct, kw_only=True):
    """A verdict the description expects, and whether it was met."""

    text: str
    met: bool
    found: str = ""
    place: Place | None = None


class Unknown(Struct, kw_only=True):
    """What could not be decided, and why."""

    what: str
    reason: str


class Statistics(Struct, kw_only=True):
    """``forms`` counts encodings and regions, ``flow`` and ``smt`` those settled either way, ``obligations`` the texts given to the solver.
    ``seconds`` by part (build, flow, solve, replay) are wall-clock time of the run that computed the report, only with ``--timings``.
    """

    instructions: int = 0
    forms: int = 0
    obligations: int = 0
    flow: int = 0
    smt: int = 0
    seconds: dict[str, float] | UnsetType = UNSET


class Report(Struct, kw_only=True):
    """Everything found about one description. ``verdict`` is on the machine as a whole (see :func:`checker.findings.verdict`),
    ``monitor`` the headline profile, under which instructions are classified. With ``only``, no other instructions were looked at,
    and every verdict is about these alone. ``unconfirmed`` says why counterexamples were not run on generated code.
    """

    schema_version: int = SCHEMA_VERSION
    isa: str
    title: str = ""
    cites: str = ""
    source: str = ""
    verdict: Literal["virtualizable", "hybrid only", "not virtualizable", "inconclusive", ""] = ""
    monitor: str = ""
    only: list[str] = []
    theorems: dict[str, Theorem] = {}
    instructions: list[Instruction] = []
    monitors: list[Monitor] = []
    memory_system: list[MemoryFinding] = []
    invariants: list[Invariant] = []
    expectations: list[Expectation] = []
    unknown: list[Unknown] = []
    unconfirmed: str = ""
    statistics: Statistics = field(default_factory=Statistics)

    def witnesses(self) -> Iterator[Witness]:
        """Every counterexample."""
        yield from (instruction.witness for instruction in self.instructions if instruction.witness is not None)
        yield from (broken.witness for monitor in self.monitors for broken in monitor.breaks if broken.witness is not None)
