"""What stands around the processor: storage, devices, and the state the machine starts in.

A description says what instructions and interrupts do. How much storage is installed, which component a console listens to and which
interrupt a clock asks for is the board's affair; it is declared in a file ``board.toml``, by names of the description.
docs/monitors.md has its form.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isa_specs import core
from isa_specs.core import Isa
from isa_specs.diagnostics import nearest
from isa_specs.walk import components
from machine.errors import MachineError
from machine.monitors.processor import Condition, Watch
from machine.plain import Machine
from machine.state import Place, State

_PLACE = re.compile(r"([\w.]+)(?:\[(\w+)\]|\((\w+)\))?")


class BoardError(MachineError):
    """A board that does not fit the description."""

    def __init__(self, message: str, hint: str = ""):
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Request:
    """An interrupt as a device asks for it."""

    interrupt: core.Interrupt
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """Asks for an interrupt every ``every`` instructions of the guest."""

    request: Request
    every: int


@dataclass(frozen=True, slots=True)
class Console:
    """Takes the byte each instruction leaves in ``output``. What is typed appears in ``input`` one byte every ``every`` instructions,
    each with an interrupt."""

    output: Place | None
    input: Place | None = None
    request: Request | None = None
    every: int = 1000


@dataclass(frozen=True, slots=True)
class Assisted:
    """How a monitor uses hardware that runs guests: ``program`` is what it executes to enter one, in assembly; ``leave`` the exit
    an event for the monitor causes, as trap and arguments; ``start`` the state the monitor runs in and the program's labels name."""

    program: str
    origin: int
    leave: tuple[str, tuple[int, ...]]
    start: Mapping[str, int]
    controls: Mapping[str, int]


@dataclass(slots=True)
class Board:
    """``size`` bytes of storage are installed in ``space``, of which each monitor keeps ``own`` for itself; ``told`` is the component
    that says how many blocks of ``unit`` bytes there are, or with ``last`` the number of the last one."""

    isa: Isa
    space: str
    size: int
    own: int
    origin: int
    told: tuple[str, int, bool] | None = None
    start: dict[str, int] = field(default_factory=dict)
    host: dict[str, int] = field(default_factory=dict)
    console: Console | None = None
    clocks: tuple[Clock, ...] = ()
    assisted: dict[str, Assisted] = field(default_factory=dict)
    machine: Machine = field(init=False)
    _taken_apart: dict[core.Expr, Condition | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.machine = Machine(self.isa)

    def require(self, isa: Isa) -> None:
        """Refuse processors of another copy of the description: its interrupts and components are not this board's, whatever their
        names. Raises :class:`BoardError`."""
        if isa is not self.isa:
            what = f"another copy of {isa.name}" if isa.name == self.isa.name else isa.name
            raise BoardError(f"the board was read for {self.isa.name}, and the processor is one of {what}",
                             "read the board with the description the processor was made of: load_board(processor.isa, path)")

    def waiting(self, state: State) -> bool:
        """Whether the processor does nothing until an interrupt."""
        return self.isa.idle is not None and bool(self.machine.evaluate(self.isa.idle, state))

    def enabled(self, request: Request, state: State) -> bool:
        """Whether the processor would take the interrupt now."""
        told = zip((name for name, _ in request.interrupt.trap.params), request.arguments, strict=True)
        return bool(self.machine.evaluate(request.interrupt.condition, state, dict(told)))

    def watched(self, pending: Iterable[Request]) -> Watch:
        """What the board has to be told of: output, waits, and that a pending interrupt is let in."""
        looked = [request.interrupt.condition for request in pending]
        parts = [(expr, self._conjuncts(expr)) for expr in (*looked, *([self.isa.idle] if self.isa.idle is not None else []))]
        written = {name for expr, listed in parts if listed is None for name in components(expr)}
        if self.console is not None and self.console.output is not None:
            written.add(self.console.output[0])
        return Watch(frozenset(written), tuple(listed for _, listed in parts if listed is not None))

    def _conjuncts(self, expr: core.Expr) -> Condition | None:
        # Asked before every stretch of a run; the description's conditions stay what they are.
        if expr not in self._taken_apart:
            self._taken_apart[expr] = conjuncts(expr)
        return self._taken_apart[expr]


def conjuncts(expr: core.Expr) -> Condition | None:
    """``a == 1 and b == 2`` as places with values; None for an expression that says anything else."""
    match expr:
        case core.Apply(op=op, args=(a, b)) if op.name == "and" and expr.width == 1:
            left, right = conjuncts(a), conjuncts(b)
            return None if left is None or right is None else left + right
        case core.Apply(op=op, args=(core.Read() as read, core.Const() as value)) if op.name == "eq":
            return (((read.cell.name, 0), value.value),)
    return None


def place_of(isa: Isa, text: str) -> Place:
    """``psw.wait``, ``gpr[4]`` or ``ports(0xE9)``. Raises :class:`BoardError`."""
    found = _PLACE.fullmatch(text.replace(" ", ""))
    name = found[1] if found else text
    known = [component.name for component in isa.components()]
    if found is None or name not in known:
        raise BoardError(f"{isa.name} has no component '{name}'", nearest(name, known))
    index = found[2] or found[3]
    if (index is None) != (name in isa.cells):
        raise BoardError(f"'{text}' is not one place", f"{name}[0] or {name}(0)" if index is None else name)
    return name, int(index, 0) if index else 0


def load_board(isa: Isa, path: Path) -> Board:
    """Read a board. Raises :class:`BoardError`, OSError."""
    try:
        return _Reader(isa, tomllib.loads(path.read_text(encoding="utf-8")), path.parent).board()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BoardError(f"{path.name}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BoardError(f"{path.name}: {type(error).__name__} {error}", "docs/monitors.md shows what a board says") from None


class _Reader:
    def __init__(self, isa: Isa, data: Mapping[str, Any], folder: Path):
        self.isa, self.data, self.folder = isa, data, folder

    def board(self) -> Board:
        data, storage = self.data, self.data["storage"]
        space = self.isa.spaces.get(storage["space"])
        if space is None or not space.physical:
            raise BoardError(f"{self.isa.name} has no storage '{storage['space']}'")
        told = (storage["told"], storage["unit"], storage.get("last", False)) if "told" in storage else None
        return Board(
            self.isa, space.name, storage["size"], storage["own"], storage.get("origin", 0), told,
            self._components(data.get("start", {})), self._components(data.get("host", {})),
            self._console(data.get("console")),
            tuple(Clock(self._request(clock), clock["every"]) for clock in data.get("clock", ())),
            # What a monitor of an extension needs is of no use to the base.
            {name: self._assisted(table) for name, table in data.get("assisted", {}).items() if name in self.isa.monitors},
        )

    def _components(self, table: Mapping[str, int]) -> dict[str, int]:
        known = {*self.isa.cells, *self.isa.arrays, *self.isa.registers}
        for name in table:
            if name not in known:
                raise BoardError(f"{self.isa.name} has no component '{name}'", nearest(name, known))
        return dict(table)

    def _console(self, table: Mapping[str, Any] | None) -> Console | None:
        if table is None:
            return None
        output, typed = (place_of(self.isa, table[key]) if key in table else None for key in ("output", "input"))
        return Console(output, typed, self._request(table) if "interrupt" in table else None, table.get("every", 1000))

    def _request(self, table: Mapping[str, Any]) -> Request:
        name, arguments = table["interrupt"], tuple(table.get("arguments", ()))
        found = self.isa.interrupts.get(name)
        if found is None:
            raise BoardError(f"{self.isa.name} has no interrupt '{name}'", nearest(name, self.isa.interrupts))
        widths = [width for _, width in found.trap.params]
        if len(arguments) != len(widths) or any(not 0 <= value < 1 << width for value, width in zip(arguments, widths, strict=True)):
            raise BoardError(f"interrupt '{name}' takes {len(widths)} arguments of {widths} bits, not {list(arguments)}")
        return Request(found, arguments)

    def _assisted(self, table: Mapping[str, Any]) -> Assisted:
        leave = table["leave"]
        if leave["trap"] not in self.isa.traps:
            raise BoardError(f"{self.isa.name} has no trap '{leave['trap']}'")
        program = (self.folder / table["program"]).read_text(encoding="utf-8")
        return Assisted(program, table["origin"], (leave["trap"], tuple(leave["arguments"])),
                        self._components(table["start"]), self._components(table["controls"]))


__all__ = ["Assisted", "Board", "BoardError", "Clock", "Console", "Request", "load_board", "place_of"]
