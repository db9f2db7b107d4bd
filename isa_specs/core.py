"""The core form: what a description means, with every name resolved and every width known.

All three readings (symbolic, plain, jitted), the flow analysis and the encoder start from here. Expressions are
trees without sharing of effects; statements run in order. A :class:`Function` is a function, procedure, accessor half, translation or
delivery of the description, instantiated for the widths it is used at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from isa_specs.diagnostics import NOWHERE, Diagnostic, Span
from isa_specs.ops import Operator

# ---- state ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Role:
    """What a component is to a monitor. ``name`` as in ROLES, ``kind`` for resources only."""

    name: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.kind}".strip()


ROLES = ("data", "counter", "mode", "relocation", "resource", "time", "identity", "hidden")
RESOURCE_KINDS = ("interrupt", "protection", "io", "control", "trap_vector")
DATA = Role("data")


@dataclass(eq=False, slots=True)
class Cell:
    """A scalar component, ``width`` bits, named by its path (``psw.key``)."""

    name: str
    width: int
    role: Role
    doc: str = ""
    span: Span = NOWHERE


@dataclass(eq=False, slots=True)
class Array:
    """An array component: ``length`` elements (a power of two) of ``width`` bits, one role."""

    name: str
    width: int
    length: int
    role: Role
    doc: str = ""
    span: Span = NOWHERE

    @property
    def index_width(self) -> int:
        return max(1, (self.length - 1).bit_length())


@dataclass(eq=False, slots=True)
class Space:
    """An address space of 2**``address_width`` cells of ``cell_width`` bits.

    A space with ``translation`` holds nothing itself: each access is mapped to ``onto``, granule by granule.
    A space with ``base`` is a view of ``onto`` that starts at the address in that component. ``view`` names the
    space whose guest-relative contents this one shares (itself unless declared ``like`` another).
    """

    name: str
    address_width: int
    cell_width: int
    role: Role
    translation: Function | None = None
    onto: Space | None = None
    base: Cell | None = None
    granule: int = 0
    like: Space | None = None
    doc: str = ""
    span: Span = NOWHERE
    identity: Expr | None = None

    @property
    def view(self) -> Space:
        return self.like.view if self.like else self

    @property
    def physical(self) -> bool:
        return self.onto is None


@dataclass(frozen=True, slots=True)
class Register:
    """A component that can be read as one word: fields with the bit positions they occupy.

    ``pieces`` are (cell, ((value_high, value_low, word_low), ...)) in lsb0 positions of the word."""

    name: str
    width: int
    fields: tuple[tuple[Cell, tuple[tuple[int, int, int], ...]], ...]


# ---- expressions ------------------------------------------------------------------


class Expr:
    """An expression; ``width`` is the number of bits of its value."""

    __slots__ = ("width",)
    width: int


class Const(Expr):
    """The number ``value``."""

    __slots__ = ("value",)

    def __init__(self, width: int, value: int):
        self.width, self.value = width, value & ((1 << width) - 1)


class Read(Expr):
    """The current value of a component."""

    __slots__ = ("cell",)

    def __init__(self, cell: Cell):
        self.width, self.cell = cell.width, cell


class ReadElement(Expr):
    """An array element; ``index`` has exactly the array's index width."""

    __slots__ = ("array", "index")

    def __init__(self, array: Array, index: Expr):
        self.width, self.array, self.index = array.width, array, index


class Load(Expr):
    """``width`` bits from a space at ``address`` (several bytes in the ISA's byte order)."""

    __slots__ = ("address", "space")

    def __init__(self, space: Space, address: Expr, width: int):
        self.width, self.space, self.address = width, space, address


class Field(Expr):
    """An encoding field, prefix, context, or the ambient ``ilen`` and ``next``."""

    __slots__ = ("name",)

    def __init__(self, name: str, width: int):
        self.width, self.name = width, name


class Local(Expr):
    """A parameter or local of the enclosing body; names are unique within it."""

    __slots__ = ("name",)

    def __init__(self, name: str, width: int):
        self.width, self.name = width, name


class Apply(Expr):
    """An operator of :mod:`isa_specs.ops` applied to operands of equal width."""

    __slots__ = ("args", "op")

    def __init__(self, op: Operator, args: tuple[Expr, ...]):
        self.op, self.args = op, args
        self.width = 1 if op.result == "bit" else args[0].width


class Extract(Expr):
    """Bits ``high``..``low`` (lsb0) of ``arg``."""

    __slots__ = ("arg", "high", "low")

    def __init__(self, arg: Expr, high: int, low: int):
        self.width, self.arg, self.high, self.low = high - low + 1, arg, high, low


class Extend(Expr):
    """``arg`` widened to ``width``, by zeros or copies of the sign."""

    __slots__ = ("arg", "signed")

    def __init__(self, arg: Expr, width: int, signed: bool):
        self.width, self.arg, self.signed = width, arg, signed


class Concat(Expr):
    """``parts`` joined, most significant first."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Expr, ...]):
        self.width, self.parts = sum(p.width for p in parts), parts


class Choice(Expr):
    """``then`` where ``condition`` is 1, else ``other``; only the chosen one is evaluated."""

    __slots__ = ("condition", "other", "then")

    def __init__(self, condition: Expr, then: Expr, other: Expr):
        self.width, self.condition, self.then, self.other = then.width, condition, then, other


class CallFunction(Expr):
    """The result of a function; its effects and traps happen here."""

    __slots__ = ("args", "function")

    def __init__(self, function: Function, args: tuple[Expr, ...]):
        assert function.result is not None
        self.width, self.function, self.args = function.result, function, args


class CallExtern(Expr):
    """A pure operation implemented in the machine and uninterpreted to the solver."""

    __slots__ = ("args", "name")

    def __init__(self, name: str, args: tuple[Expr, ...], width: int):
        self.width, self.name, self.args = width, name, args


class Undefined(Expr):
    """A value the manual leaves undefined."""

    __slots__ = ()

    def __init__(self, width: int):
        self.width = width


_OPERANDS: dict[type[Expr], Callable[[Any], tuple[Expr, ...]]] = {
    ReadElement: lambda e: (e.index,),
    Load: lambda e: (e.address,),
    Apply: lambda e: e.args,
    Extract: lambda e: (e.arg,),
    Extend: lambda e: (e.arg,),
    Concat: lambda e: e.parts,
    Choice: lambda e: (e.condition, e.then, e.other),
    CallFunction: lambda e: e.args,
    CallExtern: lambda e: e.args,
}


def operands(expr: Expr) -> tuple[Expr, ...]:
    """The expressions ``expr`` is directly made of."""
    get = _OPERANDS.get(type(expr))
    return get(expr) if get is not None else ()


# ---- statements -------------------------------------------------------------------


class Stmt:
    """A statement. ``span`` is its place in the source."""

    __slots__ = ("span",)
    span: Span


class SetLocal(Stmt):
    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Expr, span: Span):
        self.name, self.value, self.span = name, value, span


class Write(Stmt):
    __slots__ = ("cell", "value")

    def __init__(self, cell: Cell, value: Expr, span: Span):
        self.cell, self.value, self.span = cell, value, span


class WriteElement(Stmt):
    __slots__ = ("array", "index", "value")

    def __init__(self, array: Array, index: Expr, value: Expr, span: Span):
        self.array, self.index, self.value, self.span = array, index, value, span


class Store(Stmt):
    __slots__ = ("address", "space", "value")

    def __init__(self, space: Space, address: Expr, value: Expr, span: Span):
        self.space, self.address, self.value, self.span = space, address, value, span


class If(Stmt):
    __slots__ = ("condition", "other", "then")

    def __init__(self, condition: Expr, then: list[Stmt], other: list[Stmt], span: Span):
        self.condition, self.then, self.other, self.span = condition, then, other, span


class Loop(Stmt):
    """``body`` for ``local`` = ``first`` .. ``last`` (inclusive), ended by the first 0 of ``condition``."""

    __slots__ = ("body", "condition", "first", "last", "local", "width")

    def __init__(self, local: str, width: int, first: int, last: int, condition: Expr | None, body: list[Stmt], span: Span):
        self.local, self.width, self.first, self.last = local, width, first, last
        self.condition, self.body, self.span = condition, body, span


class Raise(Stmt):
    """End the instruction with a trap."""

    __slots__ = ("args", "trap")

    def __init__(self, trap: Trap, args: tuple[Expr, ...], span: Span):
        self.trap, self.args, self.span = trap, args, span


class Call(Stmt):
    __slots__ = ("args", "function")

    def __init__(self, function: Function, args: tuple[Expr, ...], span: Span):
        self.function, self.args, self.span = function, args, span


class Return(Stmt):
    """Only at the end of a path of a function body; ``value`` is None in procedures."""

    __slots__ = ("value",)

    def __init__(self, value: Expr | None, span: Span):
        self.value, self.span = value, span


class Execute(Stmt):
    """Carry out the instruction whose bytes are ``value`` (left-aligned) in place of this one; ends the body."""

    __slots__ = ("value",)

    def __init__(self, value: Expr, span: Span):
        self.value, self.span = value, span


class Mark(Stmt):
    """A named operand region: ``condition`` holds here for states that belong to it."""

    __slots__ = ("condition", "label")

    def __init__(self, label: str, condition: Expr, span: Span):
        self.label, self.condition, self.span = label, condition, span


# ---- the description ----------------------------------------------------------------


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

    @property
    def keeps_effects(self) -> bool:
        return self.ending in ("complete", "terminate")


@dataclass(frozen=True, slots=True)
class OpcodeByte:
    """One byte: ``value``, whose low three bits are the field ``field`` when given."""

    value: int
    field: str = ""


@dataclass(frozen=True, slots=True)
class ModRM:
    """A ModRM byte with SIB and displacement; ``digit`` fixes its reg field."""

    digit: int | None


@dataclass(frozen=True, slots=True)
class Immediate:
    """A field of ``width`` bits (whole bytes), in the ISA's byte order."""

    field: str
    width: int


@dataclass(frozen=True, slots=True)
class Format:
    """A fixed format: fields from the most significant bit on, as (name, width)."""

    name: str
    fields: tuple[tuple[str, int], ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return sum(w for _, w in self.fields) // 8


@dataclass(frozen=True, slots=True)
class FixedEncoding:
    format: Format
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ByteEncoding:
    elements: tuple[OpcodeByte | ModRM | Immediate, ...]


MODRM_FIELDS = {"mod": 2, "reg": 3, "rm": 3, "scale": 2, "index": 3, "base": 3, "disp": 32, "has_sib": 1}


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
