"""What generated code has to know of a description to be a monitor for it: when its guests run directly, and the maps of its profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isa_specs.core import Cell, Const, Expr, Monitor
from machine.generated.monitor_slots import IN_USER_MODE, UNTRANSLATED
from machine.generated.names import Role

if TYPE_CHECKING:
    from machine.generated.emit import Unit

RUNTIME = Path(__file__).with_name("monitor_runtime.py")
ASSISTED = Path(__file__).with_name("assisted_runtime.py")


def write(unit: Unit) -> list[str]:
    """Add monitors to a module; the names of the profiles that work so, in the order of their numbers."""
    from machine.generated.emit import runtime_text

    isa = unit.isa
    profiles = [(name, maps_of(monitor)) for name, monitor in isa.monitors.items()]
    able = [(name, maps) for name, maps in profiles if all(_plain(unit, value) for _, value in maps)]
    identities = [space.identity for space in isa.spaces.values() if space.identity is not None]
    user = [isa.modes["user"]] if "user" in isa.modes else []
    asked = [*identities, *user, *(value for monitor in isa.monitors.values() for value in modes_of(monitor).values())]
    if not able or not all(_plain(unit, condition) for condition in asked):
        return []
    body = unit.body(Role.NORMAL, {})
    body.code("def directly(s, mode):")
    body.code.depth = 1
    for mode, conditions in ((IN_USER_MODE, user), (UNTRANSLATED, identities)):
        if conditions:
            body.code(f"if mode == {mode}:")
            body.code.depth = 2
            body.code(f"return {' & '.join(f'({body.value(condition)})' for condition in conditions)}")
            body.code.depth = 1
    body.code("return 1")
    unit.add(body.code.text)
    body = unit.body(Role.NORMAL, {})
    body.code("def guest_mode(s, profile):")
    body.code.depth = 1
    for number, (name, _) in enumerate(able):
        modes = modes_of(isa.monitors[name])
        if modes:
            body.code(f"if profile == {number}:")
            body.code.depth = 2
            tests = " & ".join(f"int({body.read_cell(isa.cells[cell])} == {body.value(value)})" for cell, value in modes.items())
            body.code(f"return {tests}")
            body.code.depth = 1
    body.code("return 1")
    unit.add(body.code.text)
    body = unit.body(Role.NORMAL, {})
    body.code("def mapped(s, r, profile):")
    body.code.depth = 1
    for number, (_, maps) in enumerate(able):
        if maps:
            body.code(f"if profile == {number}:")
            body.code.depth = 2
            for name, value in maps:
                body.code(f"ST(r + {unit.layout.cells[name].name}, {body.value(value)})")
            body.code.depth = 1
    body.code("return 0")
    unit.add(body.code.text)
    unit.add(runtime_text(RUNTIME, "# ---- monitors"))
    if any(keep.saved_in is not None for monitor in isa.monitors.values() for keep in monitor.keeps.values()):
        unit.add(runtime_text(ASSISTED, "# ---- hardware"))
    return [name for name, _ in able]


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
