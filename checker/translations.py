"""The memory system, decided once per translation instead of once per load.

Instructions are checked in guest-relative storage: both runs of a pair share one array. That is right when the translation sends
one address to one place whatever the mode, which is decided here; where it does not, every load and store is
sensitive, and it is reported once.
"""

from __future__ import annotations

from dataclasses import dataclass

from checker.definitions import Question
from checker.footprint import Footprint, Footprints
from checker.obligations import Asker
from checker.states import States
from checker.steps import Start, Step
from checker.term import Term
from isa_specs import core


@dataclass
class Lemma:
    """One fact about a translation: proved, refuted or unknown. ``matters`` when a refutation refutes Theorem 1."""

    title: str
    verdict: str
    reason: str
    translation: core.Function
    matters: bool


class Translations:
    """Lemmas about every translation of a description under a profile."""

    def __init__(self, states: States, asker: Asker, footprints: Footprints):
        self.states, self.asker, self.footprints = states, asker, footprints
        self.terms, self.isa = states.terms, states.isa

    def lemmas(self) -> list[Lemma]:
        out: list[Lemma] = []
        seen: set[str] = set()
        for space in self.isa.spaces.values():
            if space.translation is None or space.translation.name in seen:
                continue
            seen.add(space.translation.name)
            if space.identity is not None:
                out.append(self.identity(space.translation, space.identity))
            out.append(self.one_place(space.translation))
        return out

    def run(self, function: core.Function, start: Start) -> tuple[Step, Term, tuple[Term, ...]]:
        args = tuple(self.terms.var(f"argument.{name}", width) for name, width in function.params)
        step, result = self.states.symbolic.call(function, start, args, {})
        assert result is not None
        return step, result, args

    def identity(self, function: core.Function, condition: core.Expr) -> Lemma:
        """Where the description says so, the translation is the identity and never traps."""
        t, start = self.terms, self.states.free()
        step, result, args = self.run(function, start)
        address = args[0]
        wider = max(result.width, address.width)
        moved = t.negate(t.eq(t.extend(result, wider, False), t.extend(address, wider, False)))
        wrong = t.either(step.trapped(t), moved)
        question = Question(
            "identity", [self.states.symbolic.expr(condition, start), self.states.legal(start), wrong], (("state", step),), {}, False
        )
        return self.lemma(
            f"{function.name} is the identity where declared",
            question,
            function,
            False,
            f"{function.name} traps or moves an address in a state for which it is declared the identity",
        )

    def one_place(self, function: core.Function) -> Lemma:
        """Two states that differ only in mode: where neither faults, an address lands in one place."""
        t, states = self.terms, self.states
        title = f"{function.name} maps an address to one place in every mode"
        footprint: Footprint = self.footprints.function(function)
        if not footprint.reads & states.classes["mode"]:
            return Lemma(title, "proved", "it does not look at the mode", function, True)
        first, second = states.pair(states.classes["mode"], restricted=True)
        one, left, _ = self.run(function, first)
        two, right, _ = self.run(function, second)
        conditions = [
            states.legal(first),
            states.legal(second),
            t.negate(one.trapped(t)),
            t.negate(two.trapped(t)),
            t.negate(t.eq(left, right)),
        ]
        question = Question("one place", conditions, (("virtual", one), ("real", two)), {}, True)
        return self.lemma(
            title,
            question,
            function,
            True,
            f"in another mode {function.name} sends the same address elsewhere: every load, store and fetch of a guest kernel "
            "that runs in user mode goes astray, whatever the instruction",
        )

    def lemma(self, title: str, question: Question, function: core.Function, matters: bool, reason: str) -> Lemma:
        asked = self.asker.ask(question)
        verdict = {"sat": "refuted", "unsat": "proved"}.get(asked.verdict, "unknown")
        return Lemma(title, verdict, reason if verdict == "refuted" else asked.answer.reason, function, matters)
