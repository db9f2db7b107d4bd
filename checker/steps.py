"""What symbolic runs start from and come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from checker.term import Term
from checker.terms import Terms
from isa_specs import core
from isa_specs.diagnostics import Span

ELSEWHERE = "@elsewhere"

Parameter = tuple[Span, str]
"""A parameter of a function, whatever widths it is called with."""


@dataclass
class Trapping:
    """A way the instruction traps: under ``condition``, with the state then (only for endings that keep effects)."""

    condition: Term
    trap: core.Trap
    args: tuple[Term, ...]
    kind: str
    state: dict[str, Term] | None = None


@dataclass(eq=False)
class Step:
    """What an instruction does to a state: traps, an ``execute``, or the state after (valid under ``completes``). It depends on the
    components ``looked_at`` alone, which are what is written here."""

    start: Start
    looked_at: dict[str, Term] = field(default_factory=dict)
    traps: list[Trapping] = field(default_factory=list)
    execute: list[tuple[Term, Term]] = field(default_factory=list)
    written: dict[str, Term] = field(default_factory=dict)
    completes: Term | None = None
    label: str = ""
    moved: dict[str, core.Space] = field(default_factory=dict)  # tables accessed after their base was assigned
    marks: dict[str, Term] = field(default_factory=dict)
    given: dict[Parameter, Term] = field(default_factory=dict)  # what functions are given that the body itself calls
    assumed: dict[object, Term] = field(default_factory=dict)  # conditions taken to hold, or not to, for being in a region, by their place

    def fits(self, start: Start) -> bool:
        """Whether it is the same step from ``start``."""
        return all(start[name] is term for name, term in self.looked_at.items())

    def after(self, name: str) -> Term:
        """The component's value after completion."""
        return self.written.get(name, self.start[name])

    def trapped(self, terms: Terms, kinds: frozenset[str] | set[str] | None = None) -> Term:
        """Whether it traps (with one of ``kinds``)."""
        return terms.any([t.condition for t in self.traps if kinds is None or t.kind in kinds])


class Start:
    """The state before a step: a term for each component, made by ``maker`` when first asked for."""

    def __init__(self, maker: Callable[[str], Term]):
        self._maker = maker
        self.values: dict[str, Term] = {}

    def __getitem__(self, name: str) -> Term:
        found = self.values.get(name)
        if found is None:
            found = self.values[name] = self._maker(name)
        return found


def elsewhere(space: core.Space) -> str:
    """The view of a table after its base was assigned: what lies there is unknown, and need not be what the table held before."""
    return space.name + ELSEWHERE


def unknown(terms: Terms, isa: core.Isa, prefix: str, name: str) -> Term:
    """A variable for the component or view ``name``; ``prefix`` tells apart the states that differ in it."""
    if name in isa.cells:
        return terms.var(prefix + name, isa.cells[name].width)
    if name in isa.arrays:
        array = isa.arrays[name]
        return terms.memory(prefix + name, array.index_width, array.width)
    space = isa.spaces[name.removesuffix(ELSEWHERE)]
    return terms.memory(prefix + name, space.address_width, space.cell_width)
