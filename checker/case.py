"""What is being checked, for all parts of the check: the description, its forms, the solver, and what stayed unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

from checker import model as report
from checker.definitions import Definitions, Question
from checker.footprint import Footprints
from checker.obligations import Asker
from checker.options import Options
from checker.solve import Solver
from checker.states import States
from checker.terms import Terms
from isa_specs import core
from isa_specs.diagnostics import Span

if TYPE_CHECKING:
    from checker.replay import Replayed


class OfForm(Protocol):
    """What there is one of for a form."""

    form: core.Form


T = TypeVar("T", bound=OfForm)


def by_instruction(items: Iterable[T]) -> dict[str, list[T]]:
    """Items by the instruction their forms are of, in order of first appearance."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(item.form.instruction, []).append(item)
    return found


class Case:
    """One description under check, with the forms asked for. ``unknown`` collects what could not be decided, ``replays`` the
    counterexamples that were run."""

    def __init__(self, isa: core.Isa, options: Options, solver: Solver):
        self.isa, self.options, self.solver = isa, options, solver
        self.terms = Terms()
        self.footprints = Footprints(isa)
        self.unknown: list[report.Unknown] = []
        self.replays: list[tuple[report.Witness, Replayed]] = []
        wanted = set(options.instructions)
        self.forms = [form for form in isa.forms if not wanted or form.instruction in wanted]

    def with_trait(self, states: States, asker: Asker, trait: str, ask: Callable[[Definitions], Question]) -> list[str]:
        """Instructions with a witness for a question that only makes sense for forms with ``trait``."""
        asked = []
        for form in self.forms:
            footprint = self.footprints.form(form)
            endings = {self.isa.traps[name].ending for name in footprint.traps}
            fits = "terminate" in endings if trait == "terminate" else bool(footprint.reads & states.classes["time"])
            if fits:
                asked.append((form, asker.ask(ask(Definitions(states, form)))))
        found: dict[str, None] = {}
        for form, pending in asked:
            if pending.verdict == "sat":
                found.setdefault(form.instruction)
            elif pending.verdict == "unknown":
                self.unknown.append(report.Unknown(what=f"{form.instruction}: {trait}", reason=pending.answer.reason))
        return list(found)

    def argument(self) -> str:
        """How the user names this description on the command line."""
        from isa_specs.load import bundled, display

        source = next(reversed(self.isa.sources), self.isa.name)
        for name, path in bundled().items():
            if display(path) == source:
                return name
        return source

    def place(self, span: Span) -> report.Place:
        lines = self.isa.sources.get(span.file, "").split("\n")
        text = lines[span.line - 1].rstrip("\r") if 0 < span.line <= len(lines) else ""
        end = span.end_column if span.end_line == span.line else len(text) + 1
        return report.Place(file=span.file, line=span.line, column=span.column, end_column=end, text=text)
