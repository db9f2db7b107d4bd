"""The whole check of one description: profiles, classification, theorems, witnesses, report."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from checker import model as report
from checker.cache import Cache
from checker.case import Case, by_instruction
from checker.classify import Classified, Classifier, Truth
from checker.controls import Square, Squares
from checker.definitions import Question
from checker.invariants import Invariants
from checker.monitor_verdicts import Monitors
from checker.obligations import Asker, Pending
from checker.options import Options
from checker.profiles import Profile
from checker.solve import Solver
from checker.states import BEHAVIOUR, OBSERVED, States
from checker.theorems import theorems
from checker.translations import Lemma, Translations
from checker.witnesses import Shown, Witnesses
from isa_specs import core
from isa_specs.load import collector_paused

if TYPE_CHECKING:
    from machine.jitted import JittedMachine

RECURSION = 20_000  # terms are walked iteratively, but one unshared expression may still be deep
ORDER = ("mode in user mode", "resource in user mode", "location in user mode", "control in user mode", "control", "resource", "location")
VERDICTS = {True: "proved", False: "refuted", None: "unknown"}


def analyse(isa: core.Isa, options: Options) -> report.Report:
    """Check a description. Raises :class:`checker.solve.SolverError` when there is no solver."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    cache = Cache(options.cache) if options.cache is not None else None
    with collector_paused(), ThreadPoolExecutor(1) as background, Solver(options.processes, options.timeout, cache) as solver:
        if options.export is not None:
            solver.export(options.export)
        found = Analysis(Case(isa, options, solver), background).run()
    if cache is not None:
        cache.close()
    return found


class Analysis:
    """One run over one description. The ``background`` is for what can be done meanwhile."""

    def __init__(self, case: Case, background: Executor):
        self.case, self.background = case, background
        self.unconfirmed: set[str] = set()
        self.prepared: set[tuple[str, str, str]] = set()
        self.seconds: dict[str, float] = defaultdict(float)

    def run(self) -> report.Report:
        names = [n for n in self.case.isa.monitors if not self.case.options.monitors or n in self.case.options.monitors]
        checked: dict[str, tuple[Profile, Squares]] = {}
        for number, name in enumerate(names):
            self.case.options.progress("squares", number, len(names))
            with self.timed("squares"):
                profile = Profile(self.case.terms, self.case.isa, self.case.isa.monitors[name], self.case.solver, self.case.footprints)
                checked[name] = profile, profile.check(self.case.forms)
        headline = names[0]
        states = checked[headline][1].states
        asker = Asker(self.case.terms, self.case.solver)
        self.case.options.progress("classification", 0, 1)
        with self.timed("classification"):
            preserved = Invariants(states, asker, self.case.footprints, self.case.forms)  # for the solver to be busy with
            machine = self.machine([squares for _, squares in checked.values()])
            words = Monitors(self.case)
            breaks = {name: words.witnesses(squares, asker) for name, (_, squares) in checked.items()}
            witnesses = Witnesses(states, asker, self.case.argument(), self.case.replays)
            classifier = Classifier(states, asker, self.case.footprints, checked[headline][1].squares)
            classified = classifier.classify(self.case.forms, lambda item: self.prepare(witnesses, item))
        with self.timed("memory system"):
            lemmas = Translations(states, asker, self.case.footprints).lemmas()
            imprecise = self.case.with_trait(states, asker, "terminate", lambda define: define.imprecise())
            timed = self.time_dependent(states, asker, False), self.time_dependent(states, asker, True)
            preserved.complete()
        self.case.options.progress("witnesses", 0, 1)
        with self.timed("witnesses"):
            instructions = self.instructions(witnesses, classified, checked)
            invariants, undecided = preserved.verdicts()
            monitors = [words.verdict(name, profile, squares, asker, breaks[name]) for name, (profile, squares) in checked.items()]
        self.case.unknown += undecided
        self.note_unknown(classified, lemmas)
        made = report.Report(
            isa=self.case.isa.name,
            title=self.case.isa.title,
            cites=self.case.isa.cites,
            source=next(reversed(self.case.isa.sources), ""),
            monitor=headline,
            theorems=theorems(classified, lemmas, imprecise, timed, checked[headline][1].controls, frozenset(self.unconfirmed)),
            instructions=instructions,
            monitors=monitors,
            memory_system=[self.memory(lemma) for lemma in lemmas] + self.precision(imprecise),
            invariants=invariants,
            unknown=self.case.unknown,
        )
        made.unconfirmed = self.confirm(made, machine)
        made.statistics = self.statistics(classified)
        made.expectations = self.expectations(made)
        return made

    def machine(self, checked: list[Squares]) -> Future[JittedMachine] | None:
        """Generated code of the forms whose counterexamples may have to be shown, made in the background."""
        squares = [square for found in checked for square in found.squares if square.certificate != "flow"]
        if self.case.options.confirm is False or all(square.broken is None for square in squares):
            return None
        forms = {(square.form.instruction, square.form.title): square.form for square in reversed(squares)}

        def make() -> JittedMachine:
            from checker.confirm import machine_of

            return machine_of(self.case.isa, forms.values())

        return self.background.submit(make)

    def confirm(self, made: report.Report, machine: Future[JittedMachine] | None) -> str:
        """Has the counterexamples of the report run on generated code; returns why not, where there is none and it may be done without."""
        held = {id(witness) for witness in made.witnesses()}
        shown = [(witness, replayed) for witness, replayed in self.case.replays if id(witness) in held]
        if not shown or self.case.options.confirm is False:
            return ""
        from checker.confirm import NotGenerated, confirm  # the compiler takes its time to load

        try:
            with self.timed("confirmation"):
                confirm(self.case.isa, shown, None if machine is None else machine.result())
        except (NotGenerated, ImportError) as reason:
            if self.case.options.confirm:
                raise
            return str(reason)
        return ""

    def timed(self, part: str) -> Timer:
        return Timer(self.seconds, part)

    def time_dependent(self, states: States, asker: Asker, restricted: bool) -> list[str]:
        """Instructions for which a monitor would itself depend on time (Theorem 2)."""
        return self.case.with_trait(states, asker, "time", lambda define: define.depends_on_time(restricted))

    # ---- instructions -----------------------------------------------------------------------------------

    def prepare(self, witnesses: Witnesses, decided: Classified) -> None:
        """Has the counterexample solved that is likely to be shown: of each operand region that of the form decided first."""
        key = decided.form.instruction, decided.region, decided.form.title
        for _, found in self.exhibited([decided]) if key not in self.prepared else ():
            self.prepared.add(key)
            witnesses.prepare(found[0].question, decided.form, decided.region, found[0].model())

    def instructions(
        self, witnesses: Witnesses, classified: list[Classified], checked: dict[str, tuple[Profile, Squares]]
    ) -> list[report.Instruction]:
        squares = {name: {id(s.form): s for s in found.squares} for name, (_, found) in checked.items()}
        out = []
        for name, items in by_instruction(classified).items():
            shown = self.exhibit(witnesses, items)
            made = report.Instruction(
                name=name,
                title=items[0].form.title,
                cites=items[0].form.cites,
                place=self.case.place(items[0].form.span),
                privileged=self.all_verdict([item.restricted.privileged for item in items]),
                sensitive=[kind for kind in ("control", *BEHAVIOUR) if any(i.restricted.sensitive.get(kind) for i in items)],  # type: ignore[misc]
                observes=[kind for kind in OBSERVED if any(i.restricted.in_user_mode.get(kind) for i in items)],  # type: ignore[misc]
                user_sensitive=some([item.restricted.user_sensitive for item in items]),
                critical=some([item.restricted.critical for item in items]),
                critical_unconditional=some([item.unrestricted.critical for item in items]),
                forms=[self.form(item, {m: s[id(item.form)] for m, s in squares.items()}) for item in items],
                certificate="smt" if any(item.certificate == "smt" for item in items) else "flow",
                reasons=list(dict.fromkeys(s.witness.reason for s in shown if s.witness.reason)),
            )
            if shown:
                made.witness = shown[0].witness
                if not shown[0].witness.replayed:
                    self.unconfirmed.add(name)
                    made.critical = None
                if not shown[0].witness.replayed and not shown[0].witness.disputed:
                    what = f"{name}: its counterexample was not replayed"
                    self.case.unknown.append(report.Unknown(what=what, reason=shown[0].witness.note))
            out.append(made)
        return out

    def exhibited(self, items: list[Classified]) -> Iterator[tuple[Classified, list[Pending]]]:
        """The critical forms of an instruction, with the questions that make them so, the most telling first."""
        for item in items:
            judged = item.restricted if item.restricted.critical else item.unrestricted
            if judged.critical:
                yield item, [judged.witnesses[kind] for kind in ORDER if kind in judged.witnesses]

    def exhibit(self, witnesses: Witnesses, items: list[Classified]) -> list[Shown]:
        """Replayed witnesses of an instruction, one for each critical operand region; the replayed ones first."""
        replayed: list[Shown] = []
        failed: list[Shown] = []
        done: set[tuple[str, str]] = set()
        for item, questions in self.exhibited(items):
            key = (item.region, item.form.title)
            for asked in questions if key not in done else ():
                found = witnesses.find(asked.question, item.form, item.region, asked.model())
                found.witness.place = self.case.place(item.form.span)
                (replayed if found.witness.replayed else failed).append(found)
                if found.witness.replayed:
                    done.add(key)
                    break
        return replayed or failed[:1]

    def form(self, item: Classified, squares: dict[str, Square]) -> report.Form:
        judged = item.restricted
        return report.Form(
            form=item.form.template,
            region=item.region,
            privileged=VERDICTS[judged.privileged],  # type: ignore[arg-type]
            sensitive=[k for k in ("control", *BEHAVIOUR) if judged.sensitive.get(k)],  # type: ignore[misc]
            observes=[k for k in OBSERVED if judged.in_user_mode.get(k)],  # type: ignore[misc]
            user_sensitive=judged.user_sensitive,
            critical=judged.critical,
            critical_unconditional=item.unrestricted.critical,
            squares={name: square.verdict for name, square in squares.items()},  # type: ignore[misc]
            certificate=item.certificate,  # type: ignore[arg-type]
        )

    def all_verdict(self, values: list[Truth]) -> report.Verdict:
        if False in values:
            return "refuted"
        return "unknown" if None in values else "proved"

    # ---- the rest -------------------------------------------------------------------------------------------

    def memory(self, lemma: Lemma) -> report.MemoryFinding:
        place = self.case.place(lemma.translation.span)
        return report.MemoryFinding(title=lemma.title, verdict=lemma.verdict, reason=lemma.reason, place=place)  # type: ignore[arg-type]

    def precision(self, imprecise: list[str]) -> list[report.MemoryFinding]:
        if imprecise:
            return [
                report.MemoryFinding(
                    title="traps leave the state as it was",
                    verdict="refuted",
                    reason=f"{', '.join(imprecise)} can trap with part of the effects done: the monitor cannot carry it out again",
                )
            ]
        return [report.MemoryFinding(title="traps leave the state as it was", verdict="proved")]

    def note_unknown(self, classified: list[Classified], lemmas: list[Lemma]) -> None:
        for item in classified:
            for judged in (item.restricted, item.unrestricted):
                for reason in judged.reasons:
                    what = f"{item.form.instruction} ({item.form.template}{', ' + item.region if item.region else ''})"
                    self.case.unknown.append(report.Unknown(what=what, reason=reason))
        for lemma in lemmas:
            if lemma.verdict == "unknown":
                self.case.unknown.append(report.Unknown(what=lemma.title, reason=lemma.reason))

    def statistics(self, classified: list[Classified]) -> report.Statistics:
        made = report.Statistics(
            instructions=len({item.form.instruction for item in classified}),
            forms=len(classified),
            obligations=self.case.solver.obligations,
            flow=sum(item.certificate == "flow" for item in classified),
            smt=sum(item.certificate == "smt" for item in classified),
        )
        if getattr(self.case.options, "timings", False):
            made.seconds = dict(self.seconds)
        return made

    def expectations(self, made: report.Report) -> list[report.Expectation]:
        from checker.expectations import expectations

        return expectations(self.case.isa, self.case.forms, made)


def some(values: list[Truth]) -> Truth:
    return True if True in values else None if None in values else False


class Timer:
    """Adds the wall-clock seconds of a ``with`` block to a part."""

    def __init__(self, seconds: dict[str, float], part: str):
        self.seconds, self.part = seconds, part

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *ignored: object) -> None:
        self.seconds[self.part] += time.perf_counter() - self.began


__all__ = ["Analysis", "Question", "analyse"]
