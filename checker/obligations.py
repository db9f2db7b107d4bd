"""Questions as SMT-LIB obligations, and models read back as witnesses."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from checker.conditions import conjuncts
from checker.definitions import Question
from checker.inversion import near
from checker.models import Model
from checker.smtlib import Writer
from checker.solve import Answer, Solver
from checker.term import Term, walk
from checker.terms import Terms
from checker.trials import Candidates, holds


@dataclass
class Pending:
    """An obligation under way; ``answer`` waits for it. ``wanted`` are the values a witness is made of, and how to ask for them.

    ``known`` is a model that was at hand already."""

    asker: Asker
    question: Question
    future: Future[Answer] | None = None
    wanted: list[tuple[str, Term]] | None = None
    settled: Answer | None = None
    known: Model | None = None

    def proceed(self) -> bool:
        """Where only a part was asked and has no witness, have more of the question solved; waits for the part alone. Whether so."""
        if self.future is None or self.question.more is None or self.future.result().verdict == "sat":
            return False
        more = self.asker.ask(self.question.more(), model=self.wanted is not None)
        self.question, self.future, self.wanted, self.settled = more.question, more.future, more.wanted, more.settled
        return True

    @property
    def answer(self) -> Answer:
        """The solver's answer to the whole question; waits for it."""
        while self.settled is None and self.proceed():
            pass
        if self.settled is None:
            assert self.future is not None
            self.settled = self.future.result()
        return self.settled

    @property
    def verdict(self) -> str:
        return self.answer.verdict

    def model(self) -> Model:
        """The witness of a satisfiable question asked with ``model``."""
        if self.known is not None:
            return self.known
        model, wanted = Model(), self.wanted or []
        value = {term: int(self.answer.values[name]) for name, term in wanted}
        for _, term in wanted:
            if term.op == "var":
                model.values[term.data] = value[term]
            elif term.op == "select" and term.args[0].op == "memory":
                memory, at = term.args
                model.cells[memory.data, at.data if at.is_const else value[at]] = value[term]
        return model


class Asker:
    """Hands questions to the solver; those settled while terms were built never reach it."""

    def __init__(self, terms: Terms, solver: Solver):
        self.terms, self.solver = terms, solver
        self.writer: Writer = terms.kept(Writer)
        self.asked = 0
        self.settled = 0

    def ask(
        self, question: Question, *, model: bool = False, candidates: Iterable[Candidates] = (), start: Model | None = None
    ) -> Pending:
        """Start solving, unless one of ``candidates`` is an answer, or a model that is found from ``start``. With ``model`` it carries
        the values a witness is made of."""
        if question.settled:
            if question.more is not None:
                return self.ask(question.more(), model=model, candidates=candidates, start=start)
            self.settled += 1
            return Pending(self, question, settled=Answer("unsat"))
        asserted = conjuncts(self.terms, question.asserted)
        if not asserted and not model:
            self.settled += 1
            return Pending(self, question, settled=Answer("sat"))
        found = self.precedent(question, asserted, list(candidates), start)
        if found is not None:
            return found
        text, looks = self.writer.text(asserted)
        self.asked += 1
        if not model:
            return Pending(self, question, self.solver.submit(text))
        wanted = [(self.writer.value(term), term) for term in self.wanted(looks)]
        return Pending(self, question, self.solver.submit(text, list(dict.fromkeys(name for name, _ in wanted))), wanted)

    def precedent(self, question: Question, asserted: list[Term], candidates: list[Candidates], start: Model | None) -> Pending | None:
        """The answer by one of ``candidates``, or else by a model near to ``start``, if it is a model of the question or of all of it."""
        tried = (model for trial, models in candidates for model in models if trial.holds(asserted, model))
        found = next(tried, None) or (near(start, asserted) if start is not None else None)
        if found is not None and holds(asserted, found):  # a verdict rests on it
            self.settled += 1
            return Pending(self, question, settled=Answer("sat"), known=found)
        if question.more is None or not (candidates or start):
            return None
        whole = question.more()
        return None if whole.settled else self.precedent(whole, conjuncts(self.terms, whole.asserted), candidates, start)

    def wanted(self, looks: list[Term]) -> list[Term]:
        """Every variable, and for every cell looked at its address and its contents before the step."""
        found: dict[Term, None] = {}
        for term in looks:
            if term.op == "var":
                found[term] = None
                continue
            memory, at = term.args
            if not at.is_const:
                found[at] = None
            for base in [memory] if memory.op == "memory" else walk([memory]):
                if base.op == "memory":
                    found[self.terms.cell(base, at)] = None
        return list(found)
