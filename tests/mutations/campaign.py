"""Deciding mutants: only what the deleted statement can matter to is decided again, and only until something changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from checker.case import Case
from checker.classify import Classifier
from checker.controls import Squares
from checker.definitions import Definitions
from checker.deliveries import delivery_form
from checker.monitor_verdicts import Monitors
from checker.obligations import Asker
from checker.options import Options
from checker.profiles import Profile
from checker.solve import Solver
from checker.states import States
from checker.translations import Translations
from isa_specs import core

from .sites import Mutant, Subject

BATCH = 3  # subjects decided at once: sharing saves time, but the first to change settles the mutant
EXITS = "), exits under "  # the weakest change there is: the list of exits is another, and no verdict
WORDS: dict[bool | str | None, str] = {True: "yes", False: "no", None: "nothing happens"}
PRESERVES = ") preserves: "
Verdicts = dict[str, bool | str | None]


class Campaign:
    """Tries the mutants of one description."""

    def __init__(self, isa: core.Isa, solver: Solver):
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        self.isa, self.solver = isa, solver
        self.baselines: dict[tuple[Subject, ...], Verdicts] = {}

    def killed(self, mutant: Mutant) -> str:
        """The verdict that changes first when the statements are deleted; empty when none does."""
        for at in range(0, len(mutant.subjects), BATCH):
            subjects = mutant.subjects[at : at + BATCH]
            if subjects not in self.baselines:
                self.baselines[subjects] = Verdict(self.isa, self.solver, subjects).everything()
            before = self.baselines[subjects]
            with mutant.applied():
                after = Verdict(self.isa, self.solver, subjects).everything()
            known = [key for key in {**before, **after} if decided(before, key) and decided(after, key)]
            changed = [key for key in known if before.get(key) != after.get(key)]
            if changed:
                key = min(changed, key=lambda key: EXITS in key)
                return f"{key}: {WORDS.get(before.get(key), before.get(key))} -> {WORDS.get(after.get(key), after.get(key))}"
        return ""


def decided(found: Verdicts, key: str) -> bool:
    """Whether the verdict was reached in time. One that is missing was, of a region where nothing happens, say; but who does not touch
    an invariant cannot be said to preserve it."""
    return found[key] not in (None, "unknown") if key in found else PRESERVES not in key


class Verdict:
    """All that a report would say of some subjects, except for counterexamples."""

    def __init__(self, isa: core.Isa, solver: Solver, subjects: Sequence[Subject]):
        self.isa, self.solver = isa, solver
        self.forms = [subject.form for subject in subjects if subject.form is not None]
        self.traps = {subject.trap.name: subject.trap for subject in subjects if subject.trap is not None}
        self.memory = any(subject.form is None and subject.trap is None for subject in subjects)
        self.case = Case(replace(isa, forms=self.forms), Options(), solver)
        self.asker = Asker(self.case.terms, solver)
        # Deliveries are made into forms when looked at, and steps are remembered by a form's identity: none may be forgotten and reused.
        self.kept: list[Squares] = []

    def everything(self) -> Verdicts:
        found: Verdicts = {}
        states: States | None = None
        for monitor in self.isa.monitors.values():
            made = found | dict(self.profile(monitor))
            found, states = made, states or self.states
        assert states is not None
        found |= dict(self.classes(states))
        found |= dict(self.invariants(states))
        if self.memory:
            lemmas = Translations(states, self.asker, self.case.footprints).lemmas()
            found |= {lemma.title: lemma.verdict for lemma in lemmas}
        return found

    def profile(self, monitor: core.Monitor) -> Iterator[tuple[str, bool | str | None]]:
        """Squares, swaps and exits; exits last, for a square says more."""
        case = self.case
        part = replace(self.isa, forms=self.forms, traps=self.traps)
        profile = Profile(case.terms, part, monitor, self.solver, case.footprints)
        squares = profile.check(self.forms)
        self.states = squares.states
        self.kept.append(squares)
        for lost in profile.not_swapped:
            yield f"{lost.culprit}, swap of {lost.component} under {monitor.name}", "refuted"
        for culprit in profile.not_left:
            yield f"{culprit}, leaving under {monitor.name}", "refuted"
        for number, square in enumerate(squares.squares):
            yield f"{square.form.instruction} ({square.form.template}), square {number} under {monitor.name}", square.verdict
        for form in self.forms:
            case.forms = [form]  # for its own exits, which in the report are those of all forms of the instruction
            for leaves in Monitors(case).exits(profile, squares, self.asker):
                yield f"{form.instruction} ({form.template}{EXITS}{monitor.name}", " ".join((leaves.when, *leaves.controls))

    def classes(self, states: States) -> Iterator[tuple[str, bool | str | None]]:
        for item in Classifier(states, self.asker, self.case.footprints).classify(self.forms):
            for label, judged in (("under controls", item.restricted), ("over all states", item.unrestricted)):
                key = f"{item.form.instruction} ({item.form.template}{', ' + item.region if item.region else ''}) {label}"
                yield f"{key}, privileged", judged.privileged
                yield f"{key}, critical", judged.critical
                for kind, value in judged.sensitive.items():
                    yield f"{key}, {kind} sensitive", value

    def invariants(self, states: States) -> Iterator[tuple[str, bool | str | None]]:
        for form in [*self.forms, *map(delivery_form, self.traps.values())]:
            writes = self.case.footprints.form(form).writes
            for text, condition in self.isa.invariants:
                if writes & self.case.footprints.expression(condition).reads:
                    asked = self.asker.ask(Definitions(states, form).breaks_invariant([condition]))
                    verdict = {"unsat": "proved", "sat": "refuted"}.get(asked.verdict)
                    yield f"{form.instruction} ({form.template}{PRESERVES}{text}", verdict
