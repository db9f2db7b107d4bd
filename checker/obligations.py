"""Questions as SMT-LIB obligations, and models read back as witnesses."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from checker.definitions import Question
from checker.models import Model
from checker.smtlib import Script
from checker.solve import Answer, Solver
from checker.terms import Term, Terms, walk


@dataclass
class Pending:
    """An obligation under way; ``answer`` waits for it."""

    asker: Asker
    question: Question
    model_wanted: bool
    future: Future[Answer] | None
    wanted: list[tuple[str, Term, str]]
    settled: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The solver's answer to the whole question; waits for it."""
        if self.settled is None:
            assert self.future is not None
            answer = self.future.result()
            if answer.verdict != "sat" and self.question.more is not None:
                whole = self.asker.ask(self.question.more(), model=self.model_wanted)
                answer = whole.answer
                self.question, self.wanted = whole.question, whole.wanted
            self.settled = answer
        return self.settled

    @property
    def verdict(self) -> str:
        return self.answer.verdict

    def model(self) -> Model:
        """The witness of a satisfiable question asked with ``model``."""
        model = Model()
        addresses: dict[int, int] = {}
        for name, term, what in self.wanted:
            value = int(self.answer.values[name])
            if what == "variable":
                model.values[term.data] = value
            elif what == "address":
                addresses[term.ident] = value
            else:
                at = term.args[1]
                model.cells[term.args[0].data, at.data if at.is_const else addresses[at.ident]] = value
        return model


class Asker:
    """Hands questions to the solver; those settled while terms were built never reach it."""

    def __init__(self, terms: Terms, solver: Solver):
        self.terms, self.solver = terms, solver
        self.asked = 0
        self.settled = 0

    def ask(self, question: Question, *, model: bool = False) -> Pending:
        """Start solving. With ``model`` the answer carries the values a witness is made of."""
        if question.settled:
            if question.more is not None:
                return self.ask(question.more(), model=model)
            self.settled += 1
            return Pending(self, question, model, None, [], Answer("unsat"))
        asserted = [term for term in dict.fromkeys(question.asserted) if not term.is_const]
        if not asserted and not model:
            self.settled += 1
            return Pending(self, question, model, None, [], Answer("sat"))
        wanted = self.wanted(asserted) if model else []
        text, names = Script().text(asserted, [term for term, _ in wanted])
        self.asked += 1
        return Pending(self, question, model, self.solver.submit(text, names), [(n, t, w) for n, (t, w) in zip(names, wanted, strict=True)])

    def wanted(self, asserted: list[Term]) -> list[tuple[Term, str]]:
        """Every variable, and for every cell looked at its address and its contents before the step."""
        order = walk(asserted)
        variables = [(term, "variable") for term in order if term.op == "var"]
        addresses: dict[int, Term] = {}
        cells: dict[int, Term] = {}
        for term in order:
            if term.op != "select":
                continue
            memory, at = term.args
            if not at.is_const:
                addresses[at.ident] = at
            for base in walk([memory]):
                if base.op == "memory":
                    cell = self.terms.cell(base, at)
                    cells[cell.ident] = cell
        return variables + [(a, "address") for a in addresses.values()] + [(c, "cell") for c in cells.values()]
