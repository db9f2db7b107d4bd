"""The verdict on each monitor profile: its squares, what they presuppose, what leaves the guest."""

from __future__ import annotations

from collections.abc import Iterator

from checker import model as report
from checker.case import Case, by_instruction
from checker.controls import Square, Squares
from checker.definitions import Definitions, Question
from checker.deliveries import is_delivery
from checker.models import Model
from checker.obligations import Asker
from checker.profiles import Profile
from checker.regions import regions
from checker.replay import hex_
from checker.states import States
from checker.term import Term
from checker.translations import Translations
from checker.witnesses import Witnesses
from isa_specs import core


class Monitors:
    """Words the verdicts on the monitor profiles of a description."""

    def __init__(self, case: Case):
        self.case = case

    def witnesses(self, found: Squares, asker: Asker) -> Witnesses:
        """Has the counterexamples to squares solved that :meth:`verdict` is going to show."""
        witnesses = Witnesses(found.states, asker, self.case.argument(), self.case.replays)
        for squares in by_instruction(found.squares).values():
            first = next((s for s in squares if s.verdict == "refuted"), None)
            if first is not None and first.broken is not None and not is_delivery(first.form):
                witnesses.prepare(first.broken.question, first.form, "", first.broken.model())
        return witnesses

    def verdict(self, name: str, profile: Profile, found: Squares, asker: Asker, witnesses: Witnesses) -> report.Monitor:
        verdicts: dict[str, report.Verdict] = {}
        breaks: list[report.Break] = []
        for instruction, squares in by_instruction(found.squares).items():
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
                self.case.unknown.append(report.Unknown(what=f"{instruction}: its square under {name}", reason=reason))
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
            self.case.unknown.append(
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
        for lemma in Translations(states, asker, self.case.footprints).lemmas():
            if lemma.matters and lemma.verdict == "refuted":
                out.append(report.Break(instruction=f"memory system ({lemma.translation.name})", clause="effect", reason=lemma.reason))
        for name in self.case.with_trait(states, asker, "terminate", lambda define: define.imprecise()):
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
            if is_delivery(square.form):
                return report.Break(
                    instruction=square.form.instruction,
                    form=square.form.template,
                    clause="effect",
                    reason=f"the {square.form.instruction} arrives elsewhere on the real machine",
                )
            for question, region, model in self.variants(witnesses, square):
                shown = witnesses.find(question, square.form, region, model)
                if shown.witness.replayed:
                    return report.Break(
                        instruction=square.form.instruction,
                        form=square.form.template,
                        clause=shown.clause,  # type: ignore[arg-type]
                        reason=shown.witness.reason,
                        witness=shown.witness,
                    )
                problem = problem or shown.witness.note or shown.witness.disputed
        self.case.unknown.append(
            report.Unknown(
                what=f"{refuted[0].form.instruction}: its square is refuted by the solver but not on the machine", reason=problem
            )
        )
        return None

    def variants(self, witnesses: Witnesses, square: Square) -> Iterator[tuple[Question, str, Model | None]]:
        """The question that broke the square, then the other operand regions, in case its witness cannot be run."""
        assert square.broken is not None
        yield square.broken.question, "", square.broken.model()
        for region in regions(square.form)[1:]:
            question = Definitions(witnesses.states, square.form, region).square()
            if not question.settled:
                yield question, region, None

    def shown_controls(self, found: Squares) -> dict[str, int]:
        pinned = {n: k.value.value for n, k in found.states.owned.items() if k.how == "pinned" and isinstance(k.value, core.Const)}
        return {**pinned, **found.controls}

    def assumptions(self, monitor: core.Monitor) -> list[str]:
        """What every verdict under this profile rests on."""
        out = [text for text, _ in monitor.assumptions]
        hosted = [
            s
            for s in self.case.isa.spaces.values()
            if s.base is not None and monitor.keeps.get(s.base.name) is not None and monitor.keeps[s.base.name].how != "guest"
        ]
        if hosted:
            out.append(f"the monitor keeps tables of equal contents: {', '.join(s.name for s in hosted)}")
        for space in self.case.isa.spaces.values():
            if space.translation is not None and space.like is None:
                out.append(f"{space.name}: where the real translation does not fault, it reaches the byte the guest's own would reach")
            elif space.recorded is not None:
                out.append(f"{space.recorded.name}: both machines record the same accesses to {space.name}")
        out.append("an instruction's accesses through different views of storage do not overlap")
        return out

    def bounds(self) -> list[str]:
        return ["one instruction at a time, repeated ones one unit a step; loops to the bound the description gives"]

    def exits(self, profile: Profile, found: Squares, asker: Asker) -> list[report.Exit]:
        """Which instructions leave the guest by hardware exit: always, under some control, for some operands, never."""
        exit_traps = {trap.name for trap in self.case.isa.traps.values() if trap.kind == "exit"}
        hardware = "exit" in profile.monitor.traps and profile.monitor.traps != frozenset(core.TRAP_KINDS)
        if not exit_traps or not hardware:
            return []
        free = States(self.case.terms, self.case.isa, profile.monitor, {})
        by_name: dict[str, list[report.Exit]] = {}
        for form in self.case.forms:
            by_name.setdefault(form.instruction, []).append(self.exit(free, form, exit_traps, asker))
        return [of_all_forms(found) for found in by_name.values()]

    def exit(self, states: States, form: core.Form, exit_traps: set[str], asker: Asker) -> report.Exit:
        """When one form leaves the guest. A call of the guest's own system, a breakpoint say, stays in it like one that completes."""
        footprint, t = self.case.footprints.form(form), self.case.terms
        if not footprint.traps & exit_traps:
            return report.Exit(instruction=form.instruction, when="never")
        define = Definitions(states, form)
        virtual = states.free()
        real = states.real(virtual)
        step = define.step(real)

        def none(name: str, condition: Term) -> bool:
            question = define.question(name, True, [*define.sound(real, step), states.assumed(virtual), condition], ("real", step))
            return asker.ask(question).verdict == "unsat"

        calls = step.trapped(t, {"call"} - states.monitor.traps)
        if none("exits always", t.either(define.goes_on(step), calls)):
            return report.Exit(instruction=form.instruction, when="always")
        controls = sorted(n for n, k in states.owned.items() if k.how == "control" and n in footprint.reads)
        if controls:
            return report.Exit(instruction=form.instruction, when="control", controls=controls)
        never = none("exits never", step.trapped(t, {"exit"}))
        return report.Exit(instruction=form.instruction, when="never" if never else "sometimes")


def of_all_forms(found: list[report.Exit]) -> report.Exit:
    """When an instruction exits, from when its forms do."""
    kinds = {item.when for item in found}
    when = found[0].when if len(kinds) == 1 else "control" if "control" in kinds else "sometimes"
    return report.Exit(instruction=found[0].instruction, when=when, controls=sorted({name for item in found for name in item.controls}))
