"""Models that answered earlier questions, tried on later ones before a solver is asked.

Many questions about a form have the same witness, or one that differs in a single component: to evaluate a question in a state
costs a hundredth of solving it. What holds in a model is satisfiable whoever found the model, so nothing has to be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from checker.definitions import Question
from checker.models import Evaluator, Model
from checker.states import FIRST, PLAIN, States
from checker.term import Term
from checker.trials import Candidates, Trial, holds
from isa_specs import core

FLAGS = 4  # low bits of a field that may tell one form from another


class Precedents:
    """The last model found for each form and region, and for each instruction and region; ``broken`` has a state that breaks the
    square, by the form's identity."""

    def __init__(self, states: States, broken: Mapping[int, Model]):
        allowed = states.allowed()
        self._fixed = {PLAIN + name: term.data for name in states.owned if (term := allowed[name]).is_const}
        self._broken = {form: paired(states, model) for form, model in broken.items()}
        self._own: dict[tuple[int, str], Model] = {}
        self._kin: dict[tuple[str, str], Model] = {}
        self._recoded: dict[tuple[int, int], list[Model]] = {}  # by form and model
        self._trials: dict[int, Trial] = {}  # by model
        self._models: list[Model] = []  # all of them, so that no other one gets the identity of one

    def add(self, form: core.Form, region: str, model: Model) -> None:
        """Keep the model of a satisfiable question, with what the profile fixes: other questions leave that open."""
        kept = Model({**self._fixed, **model.values}, model.cells)
        self._own[id(form), region] = self._kin[form.instruction, region] = kept
        self._models.append(kept)

    def candidates(self, form: core.Form, region: str, question: Question, encoded: Term, touched: Set[str]) -> Iterator[Candidates]:
        """Models worth trying, the likeliest first: what is known, then pairs of states that differ in one component ``touched``.

        ``encoded`` holds where the fields are an encoding of the form; the model of another form is brought to that."""
        own, kin = self._own.get((id(form), region)), self._kin.get((form.instruction, region))
        broken = self._broken.get(id(form))
        known = [own] if own is not None else self.recoded(form, kin, question, encoded) if kin is not None else []
        for model in [*known, broken] if broken is not None else known:
            trial = self._trials.setdefault(id(model), Trial(FIRST))
            yield trial, [model, *_pairs(model, question, touched)] if question.varied else [model]

    def recoded(self, form: core.Form, model: Model, question: Question, encoded: Term) -> list[Model]:
        """See :func:`recoded`; found out once."""
        key = id(form), id(model)
        if key not in self._recoded:
            self._recoded[key] = [*recoded(model, question, encoded)]
        return self._recoded[key]


def recoded(model: Model, question: Question, encoded: Term) -> Iterator[Model]:
    """The model of another form if it is an encoding of this one, else with a bit of a field changed so that it is."""
    if holds([encoded], model):
        yield model
        return
    for field in question.fields.values():
        for bit in range(min(field.width, FLAGS) if field.op == "var" else 0):
            candidate = Model({**model.values, field.data: model.get(field.data) ^ 1 << bit}, model.cells)
            if holds([encoded], candidate):
                yield candidate


def _pairs(model: Model, question: Question, touched: Set[str]) -> Iterator[Model]:
    """Pairs of states that differ in one component alone, the second as in the model."""
    (_, one), (_, two) = question.runs
    values, cells = dict(model.values), dict(model.cells)
    for name in question.varied:
        first, second = one.start[name], two.start[name]
        if first.address:
            cells.update({(first.data, at): value for (memory, at), value in model.cells.items() if memory == second.data})
        else:
            values[first.data] = second.data if second.is_const else model.get(second.data)
    for name in sorted(question.varied & touched):
        first = one.start[name]
        if not first.address:
            yield Model({**values, first.data: 0 if values[first.data] else (1 << first.width) - 1}, cells)


def paired(states: States, model: Model) -> Model:
    """A state that breaks a square, the virtual and the real one as the first and the second of a pair."""
    virtual = states.free()
    real, values, cells = states.real(virtual), dict(model.values), dict(model.cells)
    for name in states.owned:
        (there, here), first = (virtual[name], real[name]), FIRST + name
        if there.address:
            moved = {(memory, at): value for (memory, at), value in model.cells.items() if memory in (there.data, here.data)}
            cells.update({(first, at): value for (memory, at), value in moved.items() if memory == there.data})
            cells.update({(there.data, at): model.cells.get((here.data, at), 0) for _, at in moved})
        else:
            values[first] = model.get(there.data)
            values[there.data] = Evaluator([here])(model)[0]
    return Model(values, cells)
