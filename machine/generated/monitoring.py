"""What generated code has to know of a description to be a monitor for it: when its guests run directly, and the maps of its profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isa_specs.core import Const, Expr, Monitor
from machine.generated.monitor_slots import IN_USER_MODE, UNTRANSLATED
from machine.generated.names import Role

if TYPE_CHECKING:
    from machine.generated.emit import Unit

RUNTIME = Path(__file__).with_name("monitor_runtime.py")


def write(unit: Unit) -> list[str]:
    """Add monitors to a module; the names of the profiles that work so, in the order of their numbers."""
    from machine.generated.emit import runtime_text

    isa = unit.isa
    profiles = [(name, maps_of(monitor)) for name, monitor in isa.monitors.items()]
    able = [(name, maps) for name, maps in profiles if all(_plain(unit, value) for _, value in maps)]
    identities = [space.identity for space in isa.spaces.values() if space.identity is not None]
    user = [isa.modes["user"]] if "user" in isa.modes else []
    if not able or not all(_plain(unit, condition) for condition in [*identities, *user]):
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
    return [name for name, _ in able]


def maps_of(monitor: Monitor) -> list[tuple[str, Expr]]:
    """The components whose real value depends on the guest's state, and how."""
    return [(keep.target.name, keep.value) for keep in monitor.keeps.values()
            if keep.value is not None and not isinstance(keep.value, Const)]


def _plain(unit: Unit, value: Expr) -> bool:
    facts = unit.analysis.expression(value)
    return value.width <= 64 and not (facts.traps or facts.writes or facts.externs or facts.fields)


__all__ = ["maps_of", "write"]
