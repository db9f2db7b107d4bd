"""A mutation campaign: delete one privilege check, guard or VM-exit condition, and see whether the verdict notices.

``python -m tests.mutations`` tries all of them in every bundled description and writes docs/mutations.md; with names, those descriptions.
"""

from __future__ import annotations

import contextlib
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from checker.analysis import Analysis
from checker.classify import Classifier
from checker.footprint import Footprints, expressions, subexpressions
from checker.obligations import Asker
from checker.options import Options
from checker.profiles import Profile
from checker.solve import Solver
from checker.states import States
from isa_specs import core
from isa_specs.load import bundled, load

ROOT = Path(__file__).parent.parent
SURVIVORS = ROOT / "tests" / "data" / "mutation_survivors.toml"
PAGE = ROOT / "docs" / "mutations.md"

GUARDS = frozenset(("privileged", "exit"))  # the kinds of trap that keep a program from what is not its own
Verdicts = dict[str, object]


@dataclass(frozen=True)
class Mutant:
    """A statement that can be deleted: ``block[at]``. ``affected`` are the instructions that come by it."""

    where: str
    what: str
    line: int
    block: list[core.Stmt] = field(repr=False)
    at: int = field(repr=False)
    affected: tuple[str, ...] = field(repr=False)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The description without the statement, for the duration of a ``with``."""
        statement = self.block.pop(self.at)
        try:
            yield
        finally:
            self.block.insert(self.at, statement)


def mutants(isa: core.Isa) -> list[Mutant]:
    """Every check of a form and every guard of a procedure or function that instructions come by."""
    found: list[Mutant] = []
    guards = Guards(isa)
    users: dict[int, tuple[core.Function, dict[str, None]]] = {}
    for form in isa.forms:
        seen: dict[int, core.Function] = {}
        reached(form.body, seen)
        for function in seen.values():
            users.setdefault(id(function), (function, {}))[1].setdefault(form.instruction)
        found += sites(form.body, f"{form.instruction} ({form.template})", (form.instruction,), guards)
    for function, names in users.values():
        found += sites(function.body, function.name, tuple(names), guards)
    return numbered(found)


def numbered(found: list[Mutant]) -> list[Mutant]:
    """Like checks in one place told apart."""
    count: Counter[tuple[str, str]] = Counter()
    out = []
    for mutant in found:
        count[mutant.where, mutant.what] += 1
        number = count[mutant.where, mutant.what]
        out.append(mutant if number == 1 else replace(mutant, what=f"{mutant.what} ({number})"))
    return out


class Guards:
    """What in a description counts as a check: traps of kind privileged and exit, and those that depend on a control."""

    def __init__(self, isa: core.Isa):
        self.footprints = Footprints(isa)
        self.controls = {name for monitor in isa.monitors.values() for name, keep in monitor.keeps.items() if keep.how == "control"}

    def conditional(self, s: core.If) -> bool:
        """Whether it is for a control to say if the branch is taken."""
        return bool(self.footprints.expression(s.condition).reads & self.controls)

    def check(self, function: core.Function) -> bool:
        """A procedure that does nothing but refuse."""
        found = self.footprints.function(function)
        return function.result is None and not found.writes and not found.executes and any(sites(function.body, "", (), self))


def sites(block: list[core.Stmt], where: str, affected: tuple[str, ...], guards: Guards, controlled: bool = False) -> Iterator[Mutant]:
    """The checks in a block; ``controlled`` when a control says whether it is run."""
    for at, s in enumerate(block):
        match s:
            case core.Raise() if s.trap.kind in GUARDS or controlled:
                yield Mutant(where, f"trap {s.trap.name}", s.span.line, block, at, affected)
            case core.Call() if guards.check(s.function):
                yield Mutant(where, s.function.name, s.span.line, block, at, affected)
            case core.If():
                yield from sites(s.then, where, affected, guards, guards.conditional(s))
                yield from sites(s.other, where, affected, guards, guards.conditional(s))
            case core.Loop():
                yield from sites(s.body, where, affected, guards)


def reached(block: Iterable[core.Stmt], seen: dict[int, core.Function]) -> None:
    """The functions a body calls, and those they call."""
    for s in block:
        called = [e.function for root in expressions(s) for e in subexpressions(root) if isinstance(e, core.CallFunction)]
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


class Swapped(Profile):
    """A profile whose swaps were decided before: they are not what is mutated here, and the longest part of a check."""

    known: dict[tuple[int, str], core.Monitor]

    def honest(self, monitor: core.Monitor) -> core.Monitor:
        key = id(self.isa), monitor.name
        if key not in self.known:
            self.known[key] = super().honest(monitor)
        return self.known[key]


class Campaign:
    """Tries the mutants of one description."""

    def __init__(self, isa: core.Isa, solver: Solver):
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        self.isa, self.solver = isa, solver
        self.swaps: dict[tuple[int, str], core.Monitor] = {}
        self.baselines: dict[tuple[str, ...], Verdicts] = {}

    def killed(self, mutant: Mutant) -> str:
        """The verdict that changes first when the statement is deleted; empty when none does."""
        if mutant.affected not in self.baselines:
            self.baselines[mutant.affected] = self.verdicts(mutant.affected)
        before = self.baselines[mutant.affected]
        with mutant.applied():
            after = self.verdicts(mutant.affected)
        changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return f"{changed[0]}: {before.get(changed[0])} -> {after.get(changed[0])}" if changed else ""

    def verdicts(self, instructions: tuple[str, ...]) -> Verdicts:
        """All that a report would say of these instructions, except for counterexamples."""
        found: Verdicts = {}
        analysis = Analysis(self.isa, Options(instructions=instructions), self.solver)
        asker = Asker(analysis.terms, self.solver)
        states: States | None = None
        for name, monitor in self.isa.monitors.items():
            profile = Swapped(analysis.terms, self.isa, monitor, self.solver, analysis.footprints)
            profile.known = self.swaps
            squares = profile.check(analysis.forms)
            states = states or squares.states
            for number, square in enumerate(squares.squares):
                found[f"{square.form.instruction} ({square.form.template}), square {number} under {name}"] = square.verdict
            everything = analysis.forms
            for form in everything:
                analysis.forms = [form]  # for its own exits, which in the report are those of all forms of the instruction
                for leaves in analysis.exits(profile, squares, asker):
                    found[f"{form.instruction} ({form.template}), exits under {name}"] = leaves.when, tuple(leaves.controls)
            analysis.forms = everything
        assert states is not None
        for item in Classifier(states, asker, analysis.footprints).classify(analysis.forms):
            for label, judged in (("under controls", item.restricted), ("over all states", item.unrestricted)):
                key = f"{item.form.instruction} ({item.form.template}{', ' + item.region if item.region else ''}) {label}"
                found[f"{key}, privileged"] = judged.privileged
                found[f"{key}, critical"] = judged.critical
                found[f"{key}, sensitive"] = sorted(kind for kind, value in judged.sensitive.items() if value)
        return found


def survivors() -> dict[tuple[str, str, str], str]:
    """Mutants that change no verdict, and why that is right: (description, where, what) -> reason."""
    listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivor"]
    return {(name, where, row["what"]): row["reason"] for row in listed for name in row["in"] for where in row["where"]}


def explained(name: str, mutant: Mutant) -> str:
    """Why it may survive."""
    return survivors().get((name, mutant.where, mutant.what), "")


def main(names: list[str]) -> int:
    rows, left = [], []
    with Solver(1, 60) as solver:
        for name in names or list(bundled()):
            campaign = Campaign(load(name), solver)
            began, killed, harmless = time.perf_counter(), 0, 0
            everything = mutants(campaign.isa)
            for mutant in everything:
                change = campaign.killed(mutant)
                reason = "" if change else explained(name, mutant)
                killed += bool(change)
                harmless += bool(reason)
                print(f"{name}: {mutant.where}: {mutant.what} (line {mutant.line}): {change or reason or 'SURVIVES'}", flush=True)
                if not change:
                    left.append((name, mutant.where, mutant.what, reason or "unexplained"))
            rows.append((name, len(everything), killed, harmless))
            print(f"{name}: {killed} of {len(everything)} in {time.perf_counter() - began:.0f} s", flush=True)
    if not names:
        PAGE.write_text(page(rows, left), encoding="utf-8")
    return int(any(reason == "unexplained" for *_, reason in left))


def page(rows: list[tuple[str, int, int, int]], left: list[tuple[str, str, str, str]]) -> str:
    out = [
        "# Mutations", "",
        "Delete any one privilege check, any one guard that raises a trap of kind `privileged` or depends on a control the checker is to",
        "find, or any one VM-exit condition from a description, and the verdict on an instruction that comes by it must change: whether it",
        "is privileged, its classes of sensitivity, its square under some profile, or when it exits. `python -m tests.mutations` tries",
        "all of them and writes this page.", "",
        "| description | mutants | killed | explained |", "|---|--:|--:|--:|",
    ]
    out += [f"| {name} | {total} | {killed} | {harmless} |" for name, total, killed, harmless in rows]
    out.append(f"| **all** | **{sum(r[1] for r in rows)}** | **{sum(r[2] for r in rows)}** | **{sum(r[3] for r in rows)}** |")
    if left:
        out += ["", "The others change no verdict, and need not:", ""]
        grouped: dict[tuple[str, str, str], list[str]] = {}
        for name, where, what, reason in left:
            grouped.setdefault((where, what, reason), []).append(name)
        out += [f"- `{what}` in {where} ({', '.join(names)}): {reason}" for (where, what, reason), names in grouped.items()]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
