"""What becomes of a profile when hardware no longer exchanges one register on the way into a guest or out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from checker.deliveries import delivery_form
from checker.footprint import Footprints
from checker.profiles import Profile
from checker.reporting.json import parse
from checker.solve import Solver
from checker.terms import Terms
from isa_specs import core

from .sites import Mutant, Subject

ENOUGH = 6  # instructions that break without a register
REPORTS = Path(__file__).parent.parent.parent / "reports"


@dataclass(frozen=True)
class Lost:
    """A component that is not exchanged, who should have done it, and instructions and deliveries whose squares break for it."""

    monitor: str
    component: str
    culprits: tuple[str, ...]
    broken: tuple[str, ...]


class Swaps:
    """Decides the swaps of one description."""

    def __init__(self, isa: core.Isa, name: str, solver: Solver):
        self.isa, self.solver = isa, solver
        self.controls = known_controls(name)
        self.broken: dict[tuple[str, str], tuple[str, ...]] = {}

    def lost(self, mutant: Mutant) -> Lost | None:
        """What is lost when the mutant's statement is deleted; None if nothing is."""
        culprits: dict[str, None] = {}
        found: dict[tuple[str, str], None] = {}
        with mutant.applied():
            for subject in ordered(mutant.subjects):
                for monitor in self.isa.monitors.values():
                    for item in self.not_swapped(monitor, subject):
                        culprits.setdefault(item[1])
                        found.setdefault((monitor.name, item[0]))
                if found and subject.trap is not None:
                    break  # the other traps leave by the same procedure
        if not found:
            return None
        (name, component), *_ = found
        if (name, component) not in self.broken:
            self.broken[name, component] = self.breaks(self.isa.monitors[name], component)
        return Lost(name, component, tuple(culprits), self.broken[name, component])

    def not_swapped(self, monitor: core.Monitor, subject: Subject) -> list[tuple[str, str]]:
        """(component, culprit), looking at one instruction or delivery only."""
        part = replace(
            self.isa,
            forms=[subject.form] if subject.form is not None else [],
            traps={subject.trap.name: subject.trap} if subject.trap is not None else {},
        )
        profile = Profile(Terms(), part, monitor, self.solver, Footprints(part))
        profile.honest(monitor)
        return [(lost.component, lost.culprit) for lost in profile.not_swapped]

    def breaks(self, monitor: core.Monitor, component: str) -> tuple[str, ...]:
        """Instructions and deliveries that do not commute when ``component`` is the host's while a guest runs; when ENOUGH are found the
        others are not looked at."""
        footprints = Footprints(self.isa)

        def touches(form: core.Form) -> bool:
            found = footprints.form(form)
            return component in found.reads | found.writes

        by_name: dict[str, list[core.Form]] = {}
        for form in filter(touches, self.isa.forms):
            by_name.setdefault(form.instruction, []).append(form)
        traps = {n: t for n, t in self.isa.traps.items() if t.delivery is not None and touches(delivery_form(t))}
        keeps = {n: fixed(keep, self.controls[monitor.name].get(n)) for n, keep in monitor.keeps.items()}
        keeps[component] = replace(keeps[component], how="host", saved_in=None)
        swapless = replace(monitor, keeps={n: replace(keep, saved_in=None) for n, keep in keeps.items()})  # they were decided before
        found: dict[str, None] = {}
        groups = [*by_name.values(), []]
        while groups and len(found) < ENOUGH:
            forms = groups.pop(0)
            part = replace(self.isa, forms=forms, traps={} if groups else traps)
            squares = Profile(Terms(), part, swapless, self.solver, footprints).check(forms).squares
            found.update(dict.fromkeys(square.form.instruction for square in squares if square.verdict != "proved"))
        return tuple(found)


def fixed(keep: core.Keep, value: int | None) -> core.Keep:
    """A control at the value that was found for the whole description."""
    if keep.how != "control" or value is None:
        return keep
    assert isinstance(keep.target, core.Cell)
    return replace(keep, how="pinned", value=core.Const(keep.target.width, value))


def ordered(subjects: Sequence[Subject]) -> list[Subject]:
    """Instructions, then the delivery that is made for leaving, then the other deliveries."""
    return sorted(subjects, key=lambda subject: (subject.trap is not None, subject.trap is not None and subject.trap.kind != "exit"))


def known_controls(name: str) -> dict[str, dict[str, int]]:
    """monitor -> control -> value, from the report on the description as it is."""
    (report,) = parse((REPORTS / f"{name}.json").read_text(encoding="utf-8"))
    return {monitor.name: {control: int(value, 0) for control, value in monitor.controls.items()} for monitor in report.monitors}
