"""The description as a whole: functions, traps, forms, monitor profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from isa_specs.core.encodings import ByteEncoding, FixedEncoding
from isa_specs.core.expressions import Expr, Read
from isa_specs.core.state import Array, Cell, Register, Space
from isa_specs.core.statements import Stmt
from isa_specs.diagnostics import NOWHERE, Diagnostic, Span


@dataclass(eq=False, slots=True)
class Function:
    """``params`` are (name, width) locals; ``result`` is a width or None. ``pure`` when it neither
    changes state nor can trap."""

    name: str
    params: tuple[tuple[str, int], ...]
    result: int | None
    body: list[Stmt]
    pure: bool = False
    span: Span = NOWHERE

    def __repr__(self) -> str:
        return f"Function({self.name})"


TRAP_KINDS = ("memory", "privileged", "program", "call", "exit")
ENDINGS = ("nullify", "suppress", "complete", "terminate")


@dataclass(eq=False, slots=True)
class Trap:
    """A cause with its delivery (None: the machine stops)."""

    name: str
    params: tuple[tuple[str, int], ...]
    kind: str
    ending: str
    doc: str
    delivery: Function | None
    span: Span = NOWHERE

    def __repr__(self) -> str:
        return f"Trap({self.name})"

    @property
    def keeps_effects(self) -> bool:
        return self.ending in ("complete", "terminate")


@dataclass(eq=False, slots=True)
class Form:
    """One encoding of one instruction, the unit of every analysis.

    ``fields`` maps the free encoding fields (those whose value is not fixed by the encoding) to widths;
    prefixes and contexts are not among them. ``where`` is a condition on fields, prefixes and contexts."""

    instruction: str
    title: str
    template: str
    encoding: FixedEncoding | ByteEncoding
    fields: dict[str, int]
    constants: dict[str, int]
    where: Expr | None
    body: list[Stmt]
    expects: list[tuple[str, ...]]
    cites: str
    span: Span
    label: str = ""

    def __repr__(self) -> str:
        return f"Form({self.template or self.instruction})"


@dataclass(eq=False, slots=True)
class Interrupt:
    """An event from outside the processor. Between two instructions at which ``condition`` holds it is taken: ``trap`` is its delivery,
    with what the device that asks for it tells as arguments."""

    name: str
    condition: Expr
    trap: Trap
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix group: byte -> value of the field ``name``; 0 when absent."""

    name: str
    width: int
    bytes: tuple[tuple[int, int], ...]


@dataclass(eq=False, slots=True)
class Keep:
    """What the real machine holds for one component while the guest runs.

    ``how``: guest | host | pinned | control | map. ``value`` is the constant (pinned) or the expression over
    the virtual state (map). ``saved_in`` is where hardware keeps a guest's own value while the host runs."""

    target: Cell | Array | Space
    how: str
    value: Expr | None = None
    saved_in: Cell | None = None
    span: Span = NOWHERE


@dataclass(eq=False, slots=True)
class Monitor:
    """A monitor profile: Popek and Goldberg's VM map, component by component."""

    name: str
    doc: str
    traps: frozenset[str]
    keeps: dict[str, Keep]
    assumptions: list[tuple[str, Expr | None]]
    expects: list[tuple[str, ...]]
    span: Span = NOWHERE

    def copies(self) -> dict[str, list[Cell]]:
        """Components of the guest's that the monitor owns, but which the real machine has elsewhere as they are: each with those places.

        Of these the map forgets nothing, so the monitor needs no record."""
        found: dict[str, list[Cell]] = {}
        for keep in self.keeps.values():
            if keep.how == "map" and isinstance(keep.value, Read) and isinstance(keep.target, Cell) and keep.value.cell is not keep.target:
                original = self.keeps.get(keep.value.cell.name)
                if original is not None and original.how != "guest":
                    found.setdefault(keep.value.cell.name, []).append(keep.target)
        return found


@dataclass(eq=False, slots=True)
class Isa:
    """A whole description."""

    name: str
    title: str
    cites: str
    bits: str
    bytes: str
    docs: list[str]
    counter: Cell
    cells: dict[str, Cell] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    spaces: dict[str, Space] = field(default_factory=dict)
    registers: dict[str, Register] = field(default_factory=dict)
    traps: dict[str, Trap] = field(default_factory=dict)
    interrupts: dict[str, Interrupt] = field(default_factory=dict)
    idle: Expr | None = None  # the processor does nothing until an interrupt
    functions: dict[str, Function] = field(default_factory=dict)
    names: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # size keyword, words
    prefixes: dict[str, Prefix] = field(default_factory=dict)
    contexts: dict[str, Expr] = field(default_factory=dict)
    forms: list[Form] = field(default_factory=list)
    invariants: list[tuple[str, Expr]] = field(default_factory=list)
    modes: dict[str, Expr] = field(default_factory=dict)
    fetch: Function | None = None
    illegal: tuple[Trap, tuple[Expr, ...]] | None = None
    monitors: dict[str, Monitor] = field(default_factory=dict)
    expects: list[tuple[str, ...]] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)  # file -> text, base first
    warnings: list[Diagnostic] = field(default_factory=list)

    @property
    def little(self) -> bool:
        return self.bytes == "little"

    def instructions(self) -> dict[str, list[Form]]:
        """Forms by instruction name, in the order of the description."""
        out: dict[str, list[Form]] = {}
        for form in self.forms:
            out.setdefault(form.instruction, []).append(form)
        return out

    def components(self) -> Iterator[Cell | Array | Space]:
        """Cells, arrays and the spaces that hold something themselves."""
        yield from self.cells.values()
        yield from self.arrays.values()
        yield from (space for space in self.spaces.values() if space.physical)
