"""Squares under a profile, and the search for control values under which they commute.

A profile may leave components as ``control``: constants the monitor chooses once. Whether there is a choice under which no
state breaks any square is found by counterexample-guided search: propose the choice that sets the fewest bits, look for a
state that breaks it, and keep what that state demands of the controls as a constraint on the next proposal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from checker.conditions import conjuncts
from checker.definitions import Definitions, Question
from checker.footprint import Footprint, Footprints
from checker.models import Model
from checker.obligations import Asker, Pending
from checker.precedents import handed, recoded
from checker.regions import regions
from checker.solve import Solver
from checker.states import States
from checker.term import Term, walk
from checker.terms import Substitution
from isa_specs import core

MAX_ROUNDS = 400


@dataclass
class Square:
    """One form's square (or a delivery's) under a profile: proved, refuted or unknown; ``broken`` is the question that refuted it."""

    form: core.Form
    verdict: str
    certificate: str
    broken: Pending | None = None
    reason: str = ""


@dataclass
class Squares:
    """All squares of a profile under ``controls``."""

    states: States
    controls: dict[str, int]
    squares: list[Square]
    rounds: int = 0
    reason: str = ""
    minimal: bool = True
    demands: dict[str, list[str]] = field(default_factory=dict)


class SquareChecker:
    """Decides the squares of one profile."""

    def __init__(self, states: States, solver: Solver, footprints: Footprints):
        self.states, self.solver, self.footprints = states, solver, footprints
        self.terms = states.terms
        self.asker = Asker(states.terms, solver)
        self.control_cells = {
            name: keep.target for name, keep in states.owned.items() if keep.how == "control" and isinstance(keep.target, core.Cell)
        }

    def flows(self, footprint: Footprint) -> bool:
        """Touches only what is the guest's own, and nothing a map follows: both runs are the same run."""
        return not (footprint.reads | footprint.writes) & set(self.states.owned) and not self.states.following(footprint.writes)

    def check(self, forms: list[core.Form]) -> Squares:
        """The verdict on every form, after the controls have been found."""
        open_forms = []
        done: dict[int, Square] = {}
        questions: dict[int, Question] = {}
        controls: dict[str, int]
        for form in forms:
            if self.flows(self.footprints.form(form)):
                done[id(form)] = Square(form, "proved", "flow")
            else:
                open_forms.append(form)
        controls, rounds, reason = {}, 0, ""
        if self.control_cells:
            questions = {id(form): Definitions(self.states, form).square() for form in open_forms}
            controls, rounds, reason = self.search(list(questions.values()))
        fix = self.fixing(controls)
        # Region by region where a form declares them: smaller questions, and one that breaks the square settles it.
        stages = {id(form): regions(form) for form in open_forms}
        waiting = open_forms
        pending: dict[int, Pending] = {}
        while waiting:
            firsts = {form.instruction: form for form in reversed(waiting)}
            # What breaks the square of the first form of an instruction often breaks the others.
            for form in sorted(waiting, key=lambda form: firsts[form.instruction] is not form):
                region = stages[id(form)].pop(0)
                asked = None if region else questions.get(id(form))
                question = self.fixed(asked or Definitions(self.states, form, region).square(), fix)
                first = firsts[form.instruction]
                start = None if first is form else self.like(pending[id(first)], form, question)
                pending[id(form)] = self.asker.ask(question, model=True, start=start)
            for form in waiting:
                pending[id(form)].proceed()
            waiting = [form for form in waiting if pending[id(form)].verdict == "unsat" and stages[id(form)]]
        for form in open_forms:
            last = pending[id(form)]
            verdict = {"sat": "refuted", "unsat": "proved"}.get(last.verdict, "unknown")
            done[id(form)] = Square(form, verdict, "smt", last if verdict == "refuted" else None, last.answer.reason)
        return Squares(self.states, controls, [done[id(form)] for form in forms], rounds, reason)

    def like(self, first: Pending, form: core.Form, question: Question) -> Model | None:
        """A state that may break the square of a form, if there is one that breaks the square of ``first``."""
        if first.verdict != "sat":
            return None
        encoding, model = self.states.symbolic.sound_fields(form, self.states.free(), question.fields), first.model()
        return recoded(model, handed(first.question, model), question, encoding)

    # ---- the search for controls ----------------------------------------------------------------

    def variable(self, name: str) -> Term:
        return self.terms.var("control." + name, self.control_cells[name].width)

    def fixing(self, controls: dict[str, int]) -> Substitution | None:
        if not controls:
            return None
        leaves = {self.variable(n).ident: self.terms.const(self.control_cells[n].width, v) for n, v in controls.items()}
        return Substitution(self.terms, leaves)

    def fixed(self, question: Question, fix: Substitution | None) -> Question:
        if fix is None:
            return question
        more = question.more
        return replace(
            question, asserted=[fix(term) for term in question.asserted], more=None if more is None else lambda: self.fixed(more(), fix)
        )

    def search(self, questions: list[Question]) -> tuple[dict[str, int], int, str]:
        """(controls, rounds, reason). Questions that no choice of controls can save are left out of the search."""
        t = self.terms
        whole = [question.whole for question in questions]
        live = [q for q in whole if not q.settled and any(self.depends(term) for term in q.asserted)]
        constraints: list[Term] = []
        controls = dict.fromkeys(self.control_cells, 0)
        for rounds in range(1, MAX_ROUNDS + 1):
            fix = self.fixing(controls)
            asked = [(q, self.asker.ask(self.fixed(q, fix), model=True)) for q in live]
            demands = []
            for question, pending in asked:
                if pending.verdict == "sat":
                    demand = self.demand(question, pending)
                    if demand is t.false:
                        live.remove(question)
                    else:
                        demands.append((question, demand))
            if not demands:
                return controls, rounds, ""
            proposal = self.propose([*constraints, *(d for _, d in demands)])
            while proposal is None and demands:
                # No choice serves all: the first demand that cannot be met takes its instruction out of the search.
                question, _ = demands.pop()
                live.remove(question)
                proposal = self.propose([*constraints, *(d for _, d in demands)])
            if proposal is None:
                return controls, rounds, "no choice of controls serves all instructions"
            constraints += [d for _, d in demands]
            controls = proposal
        return controls, MAX_ROUNDS, f"the search for controls was given up after {MAX_ROUNDS} rounds"

    def depends(self, term: Term) -> bool:
        return any(node.op == "var" and str(node.data).startswith("control.") for node in walk([term]))

    def demand(self, question: Question, pending: Pending) -> Term:
        """What the controls must satisfy for this state not to break the square."""
        t, model = self.terms, pending.model()
        leaves: dict[int, Term] = {}
        for term in walk(question.asserted):
            if term.op == "var" and not str(term.data).startswith("control."):
                leaves[term.ident] = t.const(term.width, model.values.get(term.data, 0))
        put = Substitution(t, leaves)
        rest = t.all([put(term) for term in question.asserted])
        # Cells looked at have constant addresses now; give them the model's contents, and so those whose addresses they hold.
        while cells := [term for term in walk([rest]) if self.fixed_cell(term)]:
            rest = Substitution(t, {cell.ident: self.contents(cell, model) for cell in cells})(rest)
        return t.negate(rest)

    def fixed_cell(self, term: Term) -> bool:
        return term.op == "select" and term.args[0].op == "memory" and term.args[1].is_const

    def contents(self, cell: Term, model: Model) -> Term:
        memory, address = cell.args
        return self.terms.const(cell.width, model.cells.get((memory.data, address.data), 0))

    def propose(self, constraints: list[Term]) -> dict[str, int] | None:
        """The control values that satisfy ``constraints`` with the fewest bits set, found bit by bit in one optimisation."""
        t = self.terms
        variables = {name: self.variable(name) for name in self.control_cells}
        writer = self.asker.writer
        text, _ = writer.text(conjuncts(t, constraints), list(variables.values()))
        names = [writer.value(variable) for variable in variables.values()]
        if any(c is t.false for c in constraints):
            return None
        soft = []
        for term, name in zip(variables.values(), names, strict=True):
            for bit in range(term.width):
                soft.append(f"(assert-soft (= ((_ extract {bit} {bit}) {name}) #b0))")
        answer = self.solver.solve(text + "\n".join(soft) + "\n", names, optimise=True)
        if answer.verdict != "sat":
            return None
        return {cell: int(answer.values[name]) for cell, name in zip(variables, names, strict=True)}
