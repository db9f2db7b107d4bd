"""What generated code has to know of a description to be a monitor for it: when its guests run directly, and the maps of its profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from isa_specs.core import Cell, Const, Expr, Monitor
from machine.generated.monitor_slots import IN_USER_MODE, UNTRANSLATED
from machine.generated.names import Role

if TYPE_CHECKING:
    from machine.generated.bodies import Body
    from machine.generated.emit import Unit

RUNTIME = Path(__file__).with_name("monitor_runtime.py")
ASSISTED = Path(__file__).with_name("assisted_runtime.py")


def write(unit: Unit) -> list[str]:
    """Add monitors to a module; the names of the profiles that work so, in the order of their numbers."""
    from machine.generated.emit import runtime_text

    isa = unit.isa
    profiles = [(name, maps_of(monitor)) for name, monitor in isa.monitors.items()]
    # What hardware keeps current for the guest is read back by the monitors in Python alone.
    able = [(name, maps) for name, maps in profiles if all(_plain(unit, value) for _, value in maps) and not isa.monitors[name].copies()]
    identities = [space.identity for space in isa.spaces.values() if space.identity is not None]
    user = [isa.modes["user"]] if "user" in isa.modes else []
    asked = [*identities, *user, *(value for monitor in isa.monitors.values() for value in modes_of(monitor).values())]
    if not able or not all(_plain(unit, condition) for condition in asked):
        return []
    conditions = {IN_USER_MODE: user, UNTRANSLATED: identities}
    modes = {number: modes_of(isa.monitors[name]) for number, (name, _) in enumerate(able)}
    maps = {number: found for number, (_, found) in enumerate(able)}

    def direct(body: Body, mode: int) -> list[str]:
        return [f"return {' & '.join(f'({body.value(condition)})' for condition in conditions[mode])}"] if conditions[mode] else []

    def in_mode(body: Body, profile: int) -> list[str]:
        tests = [f"int({body.read_cell(isa.cells[cell])} == {body.value(value)})" for cell, value in modes[profile].items()]
        return [f"return {' & '.join(tests)}"] if tests else []

    def stored(body: Body, profile: int) -> list[str]:
        return [f"ST(r + {unit.layout.cells[name].name}, {body.value(value)})" for name, value in maps[profile]]

    by_number(unit, "directly", ("s", "mode"), conditions, direct, otherwise=1)
    by_number(unit, "guest_mode", ("s", "profile"), modes, in_mode, otherwise=1)
    by_number(unit, "mapped", ("s", "r", "profile"), maps, stored, otherwise=0)
    unit.add(runtime_text(RUNTIME, "# ---- monitors"))
    if any(keep.saved_in is not None for monitor in isa.monitors.values() for keep in monitor.keeps.values()):
        unit.add(runtime_text(ASSISTED, "# ---- hardware"))
    return [name for name, _ in able]


def by_number(
    unit: Unit, name: str, parameters: tuple[str, ...], numbers: Iterable[int], arm: Callable[[Body, int], list[str]], otherwise: int
) -> None:
    """Add a function whose last parameter chooses which lines it runs; what falls through them returns ``otherwise``.

    ``arm`` gives the lines for a number; what the values in them need stands before them."""
    body = unit.body(Role.NORMAL, {})
    body.code(f"def {name}({', '.join(parameters)}):")
    for number in numbers:
        body.code.depth = 1
        before = len(body.code.lines)
        body.code(f"if {parameters[-1]} == {number}:")
        body.code.depth = 2
        lines = arm(body, number)
        for line in lines:
            body.code(line)
        if not lines:
            del body.code.lines[before:]
    body.code.depth = 1
    body.code(f"return {otherwise}")
    unit.add(body.code.text)


def modes_of(monitor: Monitor) -> dict[str, Expr]:
    """What the mode is while the guest runs, component by component."""
    return {name: keep.value for name, keep in monitor.keeps.items() if keep.how in ("map", "pinned") and keep.value is not None
            and isinstance(keep.target, Cell) and keep.target.role.name == "mode"}


def maps_of(monitor: Monitor) -> list[tuple[str, Expr]]:
    """The components whose real value depends on the guest's state, and how."""
    return [(keep.target.name, keep.value) for keep in monitor.keeps.values()
            if keep.value is not None and not isinstance(keep.value, Const)]


def _plain(unit: Unit, value: Expr) -> bool:
    facts = unit.analysis.expression(value)
    return value.width <= 64 and not (facts.traps or facts.writes or facts.externs or facts.fields)


__all__ = ["maps_of", "modes_of", "write"]
