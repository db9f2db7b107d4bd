"""What stands around the processor: storage, devices, interrupts, and the state the machine starts in.

A description says what instructions do. How much storage is installed, which component a console listens to and what a clock's tick
does is the board's affair; it is declared in a file ``board.toml``, by names of the description. docs/monitors.md has its form.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isa_specs import core
from isa_specs.core import Isa, Trap
from isa_specs.diagnostics import NOWHERE, nearest
from machine.errors import MachineError
from machine.monitors.processor import Watch
from machine.state import Place, State

_PLACE = re.compile(r"([\w.]+)(?:\[(\w+)\]|\((\w+)\))?")


class BoardError(MachineError):
    """A board that does not fit the description."""

    def __init__(self, message: str, hint: str = ""):
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Interrupt:
    """What an event from outside does: ``trap`` is its delivery, possible while ``when`` holds; ``wakes`` is set first."""

    name: str
    trap: Trap
    when: tuple[tuple[Place, int], ...]
    wakes: tuple[tuple[Place, int], ...] = ()

    def enabled(self, state: State) -> bool:
        return all(state.get(place) == value for place, value in self.when)


@dataclass(frozen=True, slots=True)
class Clock:
    """Asks for ``interrupt`` every ``every`` instructions of the guest."""

    interrupt: Interrupt
    every: int


@dataclass(frozen=True, slots=True)
class Console:
    """Takes the byte each instruction leaves in ``output``. What is typed appears in ``input`` one byte every ``every`` instructions,
    each with an interrupt."""

    output: Place | None
    input: Place | None = None
    interrupt: Interrupt | None = None
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
    idle: tuple[tuple[Place, int], ...] = ()
    console: Console | None = None
    clocks: tuple[Clock, ...] = ()
    assisted: dict[str, Assisted] = field(default_factory=dict)

    def waiting(self, state: State) -> bool:
        """Whether the processor does nothing until an interrupt."""
        return any(state.get(place) == value for place, value in self.idle)

    def watched(self, pending: Iterable[Interrupt]) -> Watch:
        """What the board has to be told of: output, waits, and that a pending interrupt is let in."""
        output = self.console.output if self.console is not None else None
        conditions = [*((idle,) for idle in self.idle), *(interrupt.when for interrupt in pending)]
        return Watch(frozenset([output[0]] if output is not None else []), tuple(conditions))


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
        self.interrupts = {name: self._interrupt(name, table) for name, table in data.get("interrupt", {}).items()}

    def board(self) -> Board:
        data, storage = self.data, self.data["storage"]
        space = self.isa.spaces.get(storage["space"])
        if space is None or not space.physical:
            raise BoardError(f"{self.isa.name} has no storage '{storage['space']}'")
        told = (storage["told"], storage["unit"], storage.get("last", False)) if "told" in storage else None
        return Board(
            self.isa, space.name, storage["size"], storage["own"], storage.get("origin", 0), told,
            self._components(data.get("start", {})), self._components(data.get("host", {})), self._values(data.get("idle", {})),
            self._console(data.get("console")),
            tuple(Clock(self.interrupts[clock["interrupt"]], clock["every"]) for clock in data.get("clock", ())),
            # What a monitor of an extension needs is of no use to the base.
            {name: self._assisted(table) for name, table in data.get("assisted", {}).items() if name in self.isa.monitors},
        )

    def _components(self, table: Mapping[str, int]) -> dict[str, int]:
        known = {*self.isa.cells, *self.isa.arrays, *self.isa.registers}
        for name in table:
            if name not in known:
                raise BoardError(f"{self.isa.name} has no component '{name}'", nearest(name, known))
        return dict(table)

    def _values(self, table: Mapping[str, int]) -> tuple[tuple[Place, int], ...]:
        return tuple((place_of(self.isa, text), value) for text, value in table.items())

    def _console(self, table: Mapping[str, Any] | None) -> Console | None:
        if table is None:
            return None
        output, typed = (place_of(self.isa, table[key]) if key in table else None for key in ("output", "input"))
        interrupt = self.interrupts[table["interrupt"]] if "interrupt" in table else None
        return Console(output, typed, interrupt, table.get("every", 1000))

    def _interrupt(self, name: str, table: Mapping[str, Any]) -> Interrupt:
        called = self.isa.functions.get(table["call"])
        if called is None or called.result is not None or len(called.params) != len(table["arguments"]):
            raise BoardError(f"{self.isa.name} has no procedure '{table['call']}' with {len(table['arguments'])} parameters")
        args = tuple(core.Const(width, value) for (_, width), value in zip(called.params, table["arguments"], strict=True))
        delivery = core.Function(name, (), None, [core.Call(called, args, NOWHERE)])
        trap = Trap(name, (), "exit", "complete", f"interrupt {name}", delivery)
        return Interrupt(name, trap, self._values(table.get("when", {})), self._values(table.get("wakes", {})))

    def _assisted(self, table: Mapping[str, Any]) -> Assisted:
        leave = table["leave"]
        if leave["trap"] not in self.isa.traps:
            raise BoardError(f"{self.isa.name} has no trap '{leave['trap']}'")
        program = (self.folder / table["program"]).read_text(encoding="utf-8")
        return Assisted(program, table["origin"], (leave["trap"], tuple(leave["arguments"])),
                        self._components(table["start"]), self._components(table["controls"]))


__all__ = ["Assisted", "Board", "BoardError", "Clock", "Console", "Interrupt", "load_board", "place_of"]
