"""The whole check of one description: profiles, classification, theorems, witnesses, report."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator

from checker import model as report
from checker.cache import Cache
from checker.classify import Classified, Classifier, Truth
from checker.controls import Square, Squares
from checker.definitions import Definitions, Question
from checker.deliveries import delivery_form, is_delivery
from checker.footprint import Footprints
from checker.obligations import Asker
from checker.options import Options
from checker.profiles import Profile
from checker.regions import regions
from checker.replay import hex_
from checker.solve import Solver
from checker.states import BEHAVIOUR, OBSERVED, States
from checker.terms import Terms
from checker.theorems import theorems
from checker.translations import Lemma, Translations
from checker.witnesses import Shown, Witnesses
from isa_specs import core
from isa_specs.diagnostics import Span

RECURSION = 20_000  # terms are walked iteratively, but one unshared expression may still be deep
ORDER = ("mode in user mode", "resource in user mode", "location in user mode", "control in user mode", "control", "resource", "location")
VERDICTS = {True: "proved", False: "refuted", None: "unknown"}


def analyse(isa: core.Isa, options: Options) -> report.Report:
    """Check a description. Raises :class:`checker.solve.SolverError` when there is no solver."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    cache = Cache(options.cache) if options.cache is not None else None
    with Solver(options.processes, options.timeout, cache) as solver:
        if options.export is not None:
            solver.export(options.export)
        found = Analysis(isa, options, solver).run()
    if cache is not None:
        cache.close()
    return found


class Analysis:
    """One run over one description."""

    def __init__(self, isa: core.Isa, options: Options, solver: Solver):
        self.isa, self.options, self.solver = isa, options, solver
        self.terms = Terms()
        self.footprints = Footprints(isa)
        self.unknown: list[report.Unknown] = []
        self.unconfirmed: set[str] = set()
        self.seconds: dict[str, float] = defaultdict(float)
        wanted = set(options.instructions)
        self.forms = [form for form in isa.forms if not wanted or form.instruction in wanted]

    def run(self) -> report.Report:
        names = [n for n in self.isa.monitors if not self.options.monitors or n in self.options.monitors]
        checked: dict[str, tuple[Profile, Squares]] = {}
        for number, name in enumerate(names):
            self.options.progress("squares", number, len(names))
            with self.timed("squares"):
                profile = Profile(self.terms, self.isa, self.isa.monitors[name], self.solver, self.footprints)
                checked[name] = profile, profile.check(self.forms)
        headline = names[0]
        states = checked[headline][1].states
        asker = Asker(self.terms, self.solver)
        self.options.progress("classification", 0, 1)
        with self.timed("classification"):
            classified = Classifier(states, asker, self.footprints).classify(self.forms)
        with self.timed("memory system"):
            lemmas = Translations(states, asker, self.footprints).lemmas()
            imprecise = self.with_trait(states, asker, "terminate", lambda define: define.imprecise())
            timed = self.with_trait(states, asker, "time", lambda define: define.depends_on_time())
            invariants = self.invariants(states, asker)
        self.options.progress("witnesses", 0, 1)
        with self.timed("witnesses"):
            instructions = self.instructions(states, asker, classified, checked)
            monitors = [self.monitor(name, profile, squares, asker) for name, (profile, squares) in checked.items()]
        self.note_unknown(classified, lemmas)
        made = report.Report(
            isa=self.isa.name,
            title=self.isa.title,
            cites=self.isa.cites,
            source=next(reversed(self.isa.sources), ""),
            monitor=headline,
            theorems=theorems(classified, lemmas, imprecise, timed, checked[headline][1].controls, frozenset(self.unconfirmed)),
            instructions=instructions,
            monitors=monitors,
            memory_system=[self.memory(lemma) for lemma in lemmas] + self.precision(imprecise),
            invariants=invariants,
            unknown=self.unknown,
            statistics=self.statistics(classified),
        )
        made.expectations = self.expectations(made)
        return made

    def timed(self, part: str) -> Timer:
        return Timer(self.seconds, part)

    # ---- traits only few forms have ------------------------------------------------------------------

    def with_trait(self, states: States, asker: Asker, trait: str, ask: object) -> list[str]:
        """Instructions with a witness for a question that only makes sense for forms with ``trait``."""
        found: dict[str, None] = {}
        for form in self.forms:
            footprint = self.footprints.form(form)
            endings = {self.isa.traps[name].ending for name in footprint.traps}
            fits = "terminate" in endings if trait == "terminate" else bool(footprint.reads & states.classes["time"])
            if fits:
                pending = asker.ask(ask(Definitions(states, form)))  # type: ignore[operator]
                if pending.verdict == "sat":
                    found.setdefault(form.instruction)
                elif pending.verdict == "unknown":
                    self.unknown.append(report.Unknown(what=f"{form.instruction}: {trait}", reason=pending.answer.reason))
        return list(found)

    def invariants(self, states: States, asker: Asker) -> list[report.Invariant]:
        """Every instruction and every delivery preserves every invariant."""
        bodies = [*self.forms, *(delivery_form(trap) for trap in self.isa.traps.values() if trap.delivery is not None)]
        support = [(condition, self.footprints.expression(condition).reads) for _, condition in self.isa.invariants]
        asked = []
        for form in bodies:
            writes = self.footprints.form(form).writes
            touched = [condition for condition, reads in support if writes & reads]
            if touched:
                asked.append((form, touched, asker.ask(Definitions(states, form).breaks_invariant(touched))))
        found: dict[int, tuple[str, str]] = {id(condition): ("proved", "") for _, condition in self.isa.invariants}
        for form, touched, pending in asked:
            if pending.verdict == "unsat":
                continue
            for condition in touched:  # which of them?
                one = asker.ask(Definitions(states, form).breaks_invariant([condition]))
                if one.verdict == "sat" and found[id(condition)][0] != "refuted":
                    found[id(condition)] = "refuted", form.instruction
                elif one.verdict == "unknown" and found[id(condition)][0] == "proved":
                    found[id(condition)] = "unknown", form.instruction
                    self.unknown.append(report.Unknown(what=f"an invariant after {form.instruction}", reason=one.answer.reason))
        out = []
        for text, condition in self.isa.invariants:
            verdict, culprit = found[id(condition)]
            out.append(report.Invariant(text=text, verdict=verdict, instruction=culprit))  # type: ignore[arg-type]
        return out

    # ---- instructions -----------------------------------------------------------------------------------

    def instructions(
        self, states: States, asker: Asker, classified: list[Classified], checked: dict[str, tuple[Profile, Squares]]
    ) -> list[report.Instruction]:
        by_name: dict[str, list[Classified]] = {}
        for item in classified:
            by_name.setdefault(item.form.instruction, []).append(item)
        squares = {name: {id(s.form): s for s in found.squares} for name, (_, found) in checked.items()}
        witnesses = Witnesses(states, asker, self.argument())
        for items in by_name.values():
            for questions in {(item.region, item.form.title): qs for item, qs in reversed([*self.exhibited(items)])}.values():
                witnesses.prepare(questions[0])
        out = []
        for name, items in by_name.items():
            shown = self.exhibit(witnesses, items)
            made = report.Instruction(
                name=name,
                title=items[0].form.title,
                cites=items[0].form.cites,
                place=self.place(items[0].form.span),
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
                    self.unknown.append(report.Unknown(what=f"{name}: its counterexample was not replayed", reason=shown[0].witness.note))
            out.append(made)
        return out

    def exhibited(self, items: list[Classified]) -> Iterator[tuple[Classified, list[Question]]]:
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
            for question in questions if key not in done else ():
                found = witnesses.find(question, item.form, item.region, simplify=not replayed)
                found.witness.place = self.place(item.form.span)
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

    # ---- profiles ----------------------------------------------------------------------------------------

    def monitor(self, name: str, profile: Profile, found: Squares, asker: Asker) -> report.Monitor:
        witnesses = Witnesses(found.states, asker, self.argument())
        verdicts: dict[str, report.Verdict] = {}
        breaks: list[report.Break] = []
        by_name: dict[str, list[Square]] = {}
        for square in found.squares:
            by_name.setdefault(square.form.instruction, []).append(square)
        for instruction, squares in by_name.items():
            refuted = [s for s in squares if s.verdict == "refuted"]
            if refuted:
                shown = self.break_of(witnesses, refuted)
                if shown is None:
                    verdicts[instruction] = "unknown"
                else:
                    verdicts[instruction] = "refuted"
                    breaks.append(shown)
            elif any(s.verdict == "unknown" for s in squares):
                verdicts[instruction] = "unknown"
                reason = next(s.reason for s in squares if s.verdict == "unknown")
                self.unknown.append(report.Unknown(what=f"{instruction}: its square under {name}", reason=reason))
            else:
                verdicts[instruction] = "proved"
        for item in self.presupposed(found.states, asker):
            breaks.append(item)
            verdicts[item.instruction] = "refuted"
        for lost in profile.not_swapped:
            breaks.append(
                report.Break(
                    instruction=lost.culprit,
                    clause="effect",
                    reason=f"{lost.culprit} does not exchange {lost.component} with {lost.saved_in}: while the guest runs it is the host's",
                )
            )
            verdicts[lost.culprit] = "refuted"
        for culprit in profile.not_left:
            reason = f"the {culprit} does not leave the guest, so the monitor does not learn of it"
            breaks.append(report.Break(instruction=culprit, clause="effect", reason=reason))
            verdicts[culprit] = "refuted"
        if not self.inhabited(found.states, asker):
            self.unknown.append(
                report.Unknown(what=f"profile {name}", reason="no legal state of the real machine fits it, so its squares say nothing")
            )
            verdicts = dict.fromkeys(verdicts, "unknown")
        broken = [n for n, v in verdicts.items() if v == "refuted"]
        undecided = [n for n, v in verdicts.items() if v == "unknown"]
        return report.Monitor(
            name=name,
            title=profile.monitor.doc,
            verdict="refuted" if broken else "unknown" if undecided else "proved",
            broken=broken,
            unknown=undecided,
            controls={n: hex_(v) for n, v in self.shown_controls(found).items()},
            assumptions=self.assumptions(profile.monitor),
            bounds=self.bounds(),
            squares=verdicts,
            breaks=breaks,
            exits=self.exits(profile, found, asker),
        )

    def inhabited(self, states: States, asker: Asker) -> bool:
        """Whether some virtual state has a legal image: squares are proved over those only."""
        virtual = states.free()
        real = states.real(virtual)
        conditions = [states.legal(virtual), states.assumed(virtual), states.legal(real)]
        return asker.ask(Question("inhabited", conditions, (), {}, True)).verdict != "unsat"

    def presupposed(self, states: States, asker: Asker) -> list[report.Break]:
        """What every square takes for granted, where it does not hold: one place for each address, precise traps."""
        out = []
        for lemma in Translations(states, asker, self.footprints).lemmas():
            if lemma.matters and lemma.verdict == "refuted":
                out.append(report.Break(instruction=f"memory system ({lemma.translation.name})", clause="effect", reason=lemma.reason))
        for name in self.with_trait(states, asker, "terminate", lambda define: define.imprecise()):
            out.append(
                report.Break(
                    instruction=name,
                    clause="effect",
                    reason=f"{name} traps with part of its effects done, so the monitor cannot carry it out again",
                )
            )
        return out

    def break_of(self, witnesses: Witnesses, refuted: list[Square]) -> report.Break | None:
        problem = ""
        for square in refuted:
            assert square.question is not None
            if is_delivery(square.form):
                return report.Break(
                    instruction=square.form.instruction,
                    form=square.form.template,
                    clause="effect",
                    reason=f"the {square.form.instruction} arrives elsewhere on the real machine",
                )
            for question, region in self.variants(witnesses, square):
                shown = witnesses.find(question, square.form, region)
                if shown.witness.replayed:
                    return report.Break(
                        instruction=square.form.instruction,
                        form=square.form.template,
                        clause=shown.clause,  # type: ignore[arg-type]
                        reason=shown.witness.reason,
                        witness=shown.witness,
                    )
                problem = problem or shown.witness.note or shown.witness.disputed
        self.unknown.append(
            report.Unknown(
                what=f"{refuted[0].form.instruction}: its square is refuted by the solver but not on the machine", reason=problem
            )
        )
        return None

    def variants(self, witnesses: Witnesses, square: Square) -> Iterator[tuple[Question, str]]:
        """The question that broke the square, then the other operand regions, in case its witness cannot be run."""
        assert square.question is not None
        yield square.question, ""
        for region in regions(square.form)[1:]:
            question = Definitions(witnesses.states, square.form, region).square()
            if not question.settled:
                yield question, region

    def shown_controls(self, found: Squares) -> dict[str, int]:
        pinned = {n: k.value.value for n, k in found.states.owned.items() if k.how == "pinned" and isinstance(k.value, core.Const)}
        return {**pinned, **found.controls}

    def assumptions(self, monitor: core.Monitor) -> list[str]:
        """What every verdict under this profile rests on."""
        out = [text for text, _ in monitor.assumptions]
        hosted = [
            s
            for s in self.isa.spaces.values()
            if s.base is not None and monitor.keeps.get(s.base.name) is not None and monitor.keeps[s.base.name].how != "guest"
        ]
        if hosted:
            out.append(f"the monitor keeps tables of equal contents: {', '.join(s.name for s in hosted)}")
        for space in self.isa.spaces.values():
            if space.translation is not None and space.like is None:
                out.append(f"{space.name}: where the real translation does not fault, it reaches the byte the guest's own would reach")
        out.append("an instruction's accesses through different views of storage do not overlap")
        return out

    def bounds(self) -> list[str]:
        return ["one instruction at a time, repeated ones one unit a step; loops to the bound the description gives"]

    def exits(self, profile: Profile, found: Squares, asker: Asker) -> list[report.Exit]:
        """Which instructions leave the guest by hardware exit: always, under some control, never."""
        exit_traps = {trap.name for trap in self.isa.traps.values() if trap.kind == "exit"}
        hardware = "exit" in profile.monitor.traps and profile.monitor.traps != frozenset(core.TRAP_KINDS)
        if not exit_traps or not hardware:
            return []
        free = States(self.terms, self.isa, profile.monitor, {})
        out: dict[str, report.Exit] = {}
        for form in self.forms:
            footprint = self.footprints.form(form)
            if not footprint.traps & exit_traps:
                out.setdefault(form.instruction, report.Exit(instruction=form.instruction, when="never"))
                continue
            define = Definitions(free, form)
            virtual = free.free()
            real = free.real(virtual)
            step = define.step(real)
            conditions = [*define.sound(real, step), free.assumed(virtual), define.goes_on(step)]
            asked = asker.ask(define.question("exits always", True, conditions, ("real", step)))
            controls = sorted(n for n, k in free.owned.items() if k.how == "control" and n in footprint.reads)
            before = out.get(form.instruction)
            if asked.verdict == "unsat" and (before is None or before.when == "always"):
                out[form.instruction] = report.Exit(instruction=form.instruction, when="always")
            elif asked.verdict != "unsat":
                known = before.controls if before is not None else []
                out[form.instruction] = report.Exit(instruction=form.instruction, when="control", controls=sorted({*known, *controls}))
        return list(out.values())

    # ---- the rest -------------------------------------------------------------------------------------------

    def memory(self, lemma: Lemma) -> report.MemoryFinding:
        return report.MemoryFinding(title=lemma.title, verdict=lemma.verdict, reason=lemma.reason, place=self.place(lemma.translation.span))  # type: ignore[arg-type]

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
                    self.unknown.append(report.Unknown(what=what, reason=reason))
        for lemma in lemmas:
            if lemma.verdict == "unknown":
                self.unknown.append(report.Unknown(what=lemma.title, reason=lemma.reason))

    def statistics(self, classified: list[Classified]) -> report.Statistics:
        made = report.Statistics(
            instructions=len({item.form.instruction for item in classified}),
            forms=len(classified),
            obligations=self.solver.obligations,
            flow=sum(item.certificate == "flow" for item in classified),
            smt=sum(item.certificate == "smt" for item in classified),
        )
        if getattr(self.options, "timings", False):
            made.seconds = dict(self.seconds)
        return made

    def expectations(self, made: report.Report) -> list[report.Expectation]:
        from checker.expectations import expectations

        return expectations(self.isa, self.forms, made)

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
