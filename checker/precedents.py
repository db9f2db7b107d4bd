"""Models that answered earlier questions, tried on later ones before a solver is asked.

Many questions about a form have the same witness, or one that differs in a single component: to evaluate a question in a state
costs a hundredth of solving it. What holds in a model is satisfiable whoever found the model, so nothing has to be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from checker.definitions import Question
from checker.inversion import Inversion, brought
from checker.models import Evaluator, Model
from checker.states import FIRST, PLAIN, States
from checker.steps import Parameter, Step
from checker.term import Term
from checker.trials import Candidates, Trial
from isa_specs import core

Given = Mapping[Parameter, int]
"""Values of the parameters of functions."""


class Precedents:
    """The last model found for each form and region, and for each instruction and region; ``broken`` has a state that breaks the
    square, by the form's identity."""

    def __init__(self, states: States, broken: Mapping[int, Model]):
        allowed = states.allowed()
        self._fixed = {PLAIN + name: term.data for name in states.owned if (term := allowed[name]).is_const}
        self._broken = {form: paired(states, model) for form, model in broken.items()}
        self._own: dict[tuple[int, str], Model] = {}
        self._kin: dict[tuple[str, str], tuple[Model, Given]] = {}
        self._refused: set[tuple[str, str, str, bool]] = set()
        self._recoded: dict[tuple[int, int], Model | None] = {}  # by form and model
        self._trials: dict[int, Trial] = {}  # by model
        self._bare = Model(dict(self._fixed))
        self._models: list[Model] = []  # all of them, so that no other one gets the identity of one

    def add(self, form: core.Form, region: str, question: Question, model: Model, *, solved: bool) -> None:
        """Keep the model of a satisfiable question, with what the profile fixes: other questions leave that open. Other forms get it
        if it was ``solved`` for, or else the first."""
        kept = Model({**self._fixed, **model.values}, model.cells)
        self._own[id(form), region] = kept
        if solved or (form.instruction, region) not in self._kin:
            self._kin[form.instruction, region] = kept, handed(question, kept)
        self._models.append(kept)

    def refuse(self, form: core.Form, region: str, question: Question) -> None:
        """A question has no model: then the same question about the other forms of the instruction mostly has none."""
        self._refused.add((form.instruction, region, question.name, question.restricted))

    def start(self, form: core.Form, region: str, question: Question, encoded: Term) -> Model | None:
        """A model from where one of the question may be found, if that is likely at all: without one at hand nothing but zeros, an
        ``encoded`` form all the same."""
        if (form.instruction, region, question.name, question.restricted) in self._refused:
            return None
        found = next(iter(self.known(form, region, question, encoded)), None)
        return self.recoded(form, self._bare, {}, question, encoded) if found is None else found

    def known(self, form: core.Form, region: str, question: Question, encoded: Term) -> list[Model]:
        """Models of other questions about the form, or else about others of the instruction, brought to an ``encoded`` one of the form."""
        own, kin = self._own.get((id(form), region)), self._kin.get((form.instruction, region))
        if own is None and kin is not None:
            own = self.recoded(form, *kin, question, encoded)
        return [model for model in (own, self._broken.get(id(form))) if model is not None]

    def candidates(self, form: core.Form, region: str, question: Question, encoded: Term, touched: Set[str]) -> Iterator[Candidates]:
        """Models worth trying, the likeliest first: what is known, then pairs of states that differ in one component ``touched``.

        ``encoded`` holds where the fields are an encoding of the form; the model of another form is brought to that."""
        for model in self.known(form, region, question, encoded):
            trial = self._trials.setdefault(id(model), Trial(FIRST))
            yield trial, [model, *_pairs(model, question, touched)] if question.varied else [model]

    def recoded(self, form: core.Form, model: Model, operands: Given, question: Question, encoded: Term) -> Model | None:
        """See :func:`recoded`; found out once."""
        key = id(form), id(model)
        if key not in self._recoded:
            self._recoded[key] = recoded(model, operands, question, encoded)
        return self._recoded[key]


def recoded(model: Model, operands: Given, question: Question, encoded: Term) -> Model | None:
    """The model of another form with fields changed so that it is an encoding of this one. What this form's body gives to functions has
    the values ``operands`` to them in that other form, as far as that can be had: the operands are the same, wherever they come from."""
    fields = {field.data for field in question.fields.values() if field.op == "var"}
    search = Inversion(model, fields)
    if not search.reach([encoded]):
        return None
    given = _stated(question).given.items()
    return brought(search.model, [(term, operands[parameter], -1) for parameter, term in given if parameter in operands])


def handed(question: Question, model: Model) -> Given:
    """What a form's body gives to functions in a model of a question."""
    terms = _stated(question).given
    return dict(zip(terms, Evaluator([*terms.values()])(model), strict=True))


def _stated(question: Question) -> Step:
    """The step from the state whose variables are plain: of a pair the second, of a square the virtual one."""
    return question.runs[0 if question.name == "square" else -1][1]


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
