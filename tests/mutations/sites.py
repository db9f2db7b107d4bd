"""What can be deleted from a description.

- A *check*: a trap of kind ``privileged`` or ``exit``, one that depends on a control the checker is to find, or a call of a procedure
  that does nothing but refuse. Each is a mutant in every form it is part of, and in every width a procedure is used at.
- A *guard*: any other conditional trap, or call of a procedure that traps or does nothing. One mutant for each statement of the text,
  deleted wherever that statement ends up, and tried on the simplest instructions that come by it, in the description that says it.
- A *swap*: an assignment by which hardware loads or saves what a profile declares as ``guest in``.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from checker.deliveries import delivery_form
from checker.footprint import Footprint, Footprints
from isa_specs import core
from isa_specs.diagnostics import Span
from isa_specs.walk import subexpressions, within

CHECKED = frozenset(("privileged", "exit"))  # the kinds of trap that keep a program from what is not its own
SIMPLEST = 2  # of the instructions that come by a guard, those it is tried on
Place = tuple[list[core.Stmt], int]
Come = dict[str, set[str]]  # local -> the components its value was made from


@dataclass(frozen=True, eq=False)
class Subject:
    """What a verdict is about: a form, a delivery, or a translation."""

    form: core.Form | None = None
    trap: core.Trap | None = None

    @property
    def name(self) -> str:
        if self.form is not None:
            return self.form.instruction
        return f"delivery of {self.trap.name}" if self.trap is not None else "memory system"


MEMORY = Subject()


@dataclass(frozen=True)
class Mutant:
    """Statements that can be deleted, all of one ``kind``, and the subjects whose bodies come by them."""

    kind: str
    where: str
    what: str
    line: int
    places: tuple[Place, ...] = field(repr=False, compare=False)
    subjects: tuple[Subject, ...] = field(repr=False, compare=False)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The description without the statements, for the duration of a ``with``."""
        taken = [(block, at, block.pop(at)) for block, at in reversed(self.places)]
        try:
            yield
        finally:
            for block, at, statement in reversed(taken):
                block.insert(at, statement)


@dataclass(frozen=True)
class Site:
    """One statement in core form: the innermost body it stands in, and who comes by."""

    kind: str
    where: str
    what: str
    span: Span
    place: Place
    subjects: tuple[Subject, ...]


@dataclass
class Body:
    """A body to be looked through: of a form, a function, a delivery."""

    where: str
    block: list[core.Stmt]
    subjects: dict[Subject, None]
    delivery: bool = False


def mutants(isa: core.Isa) -> list[Mutant]:
    """All mutants of a description, in the order of its forms."""
    sites = Sites(isa)
    found = [site for body in bodies(isa) for site in sites.of(body.block, body)]
    single = [site for site in found if site.kind != "guard"]
    out = [Mutant(s.kind, s.where, s.what, s.span.line, (s.place,), tuple(sorted(s.subjects, key=sites.size))) for s in single]
    grouped: dict[tuple[Span, str], list[Site]] = {}
    own = next(reversed(isa.sources))
    for site in found:
        if site.kind == "guard" and site.span.file == own:
            grouped.setdefault((site.span, site.what), []).append(site)
    for (span, what), group in grouped.items():
        # There are hundreds of forms that come by the guards of memory accesses.
        by_name = {subject.name: subject for site in reversed(group) for subject in reversed(site.subjects)}
        subjects = sorted(by_name.values(), key=sites.size)[:SIMPLEST]
        # From the end of each block, so that what is left keeps its place.
        places = sorted((site.place for site in group), key=lambda place: place[1])
        out.append(Mutant("guard", together(group), what, span.line, tuple(places), tuple(subjects)))
    return numbered(out)


def together(group: list[Site]) -> str:
    """One name for the places of one statement of the text: a procedure without its widths, an instruction without its forms."""
    names = list(dict.fromkeys(widthless(site.where.split(" (")[0]) for site in group))
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def widthless(name: str) -> str:
    """The name a function has in the text, without the constants it was made for."""
    return re.sub(r"(_\d+)+$", "", name)


def numbered(found: list[Mutant]) -> list[Mutant]:
    """Like checks in one place told apart."""
    count: Counter[tuple[str, str]] = Counter()
    out = []
    for mutant in found:
        count[mutant.where, mutant.what] += 1
        number = count[mutant.where, mutant.what]
        out.append(mutant if number == 1 else replace(mutant, what=f"{mutant.what} ({number})"))
    return out


# ---- bodies -----------------------------------------------------------------------------------------------------


def bodies(isa: core.Isa) -> list[Body]:
    """The bodies of all forms, deliveries and translations, then those of the functions they call, each once."""
    out: list[Body] = []
    users: dict[int, tuple[core.Function, dict[Subject, None]]] = {}

    def add(where: str, block: list[core.Stmt], subject: Subject) -> None:
        out.append(Body(where, block, {subject: None}, subject.trap is not None))
        seen: dict[int, core.Function] = {}
        reached(block, seen)
        for function in seen.values():
            users.setdefault(id(function), (function, {}))[1].setdefault(subject)

    for form in isa.forms:
        add(f"{form.instruction} ({form.template})", form.body, Subject(form))
    for trap in isa.traps.values():
        if trap.delivery is not None:
            add(f"delivery of {trap.name}", trap.delivery.body, Subject(trap=trap))
    for space in isa.spaces.values():
        if space.translation is not None and space.like is None:
            add(f"translation {space.translation.name}", space.translation.body, MEMORY)
    own = {id(body.block) for body in out}
    out += [Body(f.name, f.body, names, all(s.trap for s in names)) for f, names in users.values() if id(f.body) not in own]
    return out


def reached(block: Iterable[core.Stmt], seen: dict[int, core.Function]) -> None:
    """The functions a body calls, and those they call."""
    for s in block:
        called = [e.function for e in within(s) if isinstance(e, core.CallFunction)]
        if isinstance(s, core.Call):
            called.append(s.function)
        for function in called:
            if id(function) not in seen:
                seen[id(function)] = function
                reached(function.body, seen)
        if isinstance(s, core.If):
            reached(s.then, seen)
            reached(s.other, seen)
        elif isinstance(s, core.Loop):
            reached(s.body, seen)


# ---- statements ---------------------------------------------------------------------------------------------------


class Sites:
    """Finds the statements of a description whose deletion somebody should notice."""

    def __init__(self, isa: core.Isa):
        self.footprints = Footprints(isa)
        keeps = [keep for monitor in isa.monitors.values() for keep in monitor.keeps.items()]
        self.controls = {name for name, keep in keeps if keep.how == "control"}
        self.swapped = {(name, keep.saved_in.name) for name, keep in keeps if keep.saved_in is not None}
        # Where hardware swaps, a delivery may leave the guest: it writes the mode the profile runs guests in.
        modes = {component.name for component in isa.components() if component.role.name == "mode"}
        hardware = [monitor for monitor in isa.monitors.values() if any(keep.saved_in is not None for keep in monitor.keeps.values())]
        self.inside = {n for m in hardware for n, keep in m.keeps.items() if n in modes and keep.how in ("pinned", "map")}

    def of(
        self, block: list[core.Stmt], body: Body, controlled: bool = False, conditional: bool = False, come: Come | None = None
    ) -> Iterator[Site]:
        """The sites in a block. ``controlled`` says that a control decides whether it is run, ``conditional`` that anything does;
        ``come`` what the values of locals were made from."""
        come = {} if come is None else come
        for at, s in enumerate(block):
            if isinstance(s, core.SetLocal):
                come[s.name] = self.reads(s.value, come)
            kind, what = self.kind(s, body, controlled, conditional, come)
            if kind:
                yield Site(kind, body.where, what, s.span, (block, at), tuple(body.subjects))
            if isinstance(s, core.If):
                decided = bool(self.footprints.expression(s.condition).reads & self.controls)
                yield from self.of(s.then, body, decided, True, dict(come))
                yield from self.of(s.other, body, decided, True, dict(come))
            elif isinstance(s, core.Loop):
                yield from self.of(s.body, body, controlled, conditional, dict(come))

    def reads(self, value: core.Expr, come: Come) -> set[str]:
        """The components a value is made from, by way of locals too."""
        found = set(self.footprints.expression(value).reads)
        for part in subexpressions(value):
            if isinstance(part, core.Local):
                found |= come.get(part.name, set())
        return found

    def kind(self, s: core.Stmt, body: Body, controlled: bool, conditional: bool, come: Come) -> tuple[str, str]:
        """("check", "guard", "swap" or nothing, how to call it)."""
        match s:
            case core.Raise() if s.trap.kind in CHECKED or controlled:
                return "check", f"trap {s.trap.name}"
            case core.Raise() if conditional and s.trap.kind != "call":  # a call is what an instruction is there for
                return "guard", f"trap {s.trap.name}"
            case core.Call() if self.refuses(s.function):
                return "check", s.function.name
            case core.Call() if self.only_traps(s.function):
                return "guard", widthless(s.function.name)
            case core.Call() if body.delivery and conditional and self.footprints.function(s.function).writes & self.inside:
                return "check", s.function.name
            case core.Write():
                reads = self.reads(s.value, come)
                if any((s.cell.name == a and b in reads) or (s.cell.name == b and a in reads) for a, b in self.swapped):
                    return "swap", s.cell.name
        return "", ""

    def size(self, subject: Subject) -> int:
        """How much there is to decide, roughly. What changes soon settles the rest."""
        body = subject.form or (delivery_form(subject.trap) if subject.trap is not None else None)
        found = self.footprints.form(body) if body is not None else Footprint()
        return len(found.reads) + len(found.writes)

    def refuses(self, function: core.Function) -> bool:
        """A procedure that does nothing but check."""
        return self.only_traps(function) and any(site.kind == "check" for site in self.of(function.body, Body("", [], {})))

    def only_traps(self, function: core.Function) -> bool:
        """A procedure that traps or does nothing."""
        found = self.footprints.function(function)
        return function.result is None and bool(found.traps) and not found.writes and not found.executes


__all__ = ["MEMORY", "Body", "Mutant", "Subject", "bodies", "mutants"]
