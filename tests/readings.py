"""States for the readings that the solver finds."""

from __future__ import annotations

import random

from checker.conveniences import Conveniences
from checker.definitions import Question
from checker.deliveries import is_delivery
from checker.obligations import Asker
from checker.readings import Case, Differ, Read, Skipped
from checker.readings import Readings as BothReadings
from checker.replay import NotReplayable, Replayer
from checker.term import Term
from checker.witnesses import ATTEMPTS
from isa_specs import core
from isa_specs.encoding import Decoded, decoder
from machine.sampling import number
from machine.state import State

__all__ = ["Case", "Differ", "Read", "Readings", "Skipped"]


class Readings(BothReadings):
    """Both readings of one description."""

    def __init__(self, isa: core.Isa):
        super().__init__(isa)
        self.replayer, self.conveniences = Replayer(self.states), Conveniences(self.states)

    def targets(self, read: Read) -> dict[str, Term]:
        """What the form can come to: completing, handing over, each of its traps."""
        t, step = self.terms, read.step
        assert step.completes is not None
        hands_over = t.any([condition for condition, _ in step.execute])
        found = {"next": t.both(step.completes, t.negate(hands_over)), "executes": hands_over}
        for trap in step.traps:
            found[trap.trap.name] = t.either(found.get(trap.trap.name, t.false), trap.condition)
        return {name: term for name, term in found.items() if term is not t.false}

    def solved(self, read: Read, target: Term, asker: Asker) -> Case | None:
        """A state in which the form comes to ``target``, asked of the solver; None when there is none that can be laid out."""
        fields = self.symbolic.fields(read.form)
        conditions = [self.states.legal(self.start), self.symbolic.sound_fields(read.form, self.start, fields), target]
        for attempt in ATTEMPTS:
            question = Question("reached", conditions, (("state", read.step),), fields, False)
            question.asserted = conditions + self.conveniences.of(question, placed=attempt.placed, identity=attempt.identity)
            case = self.laid_out(read.form, question, asker)
            if case is not None and case.decoded.length != fields["ilen"].data:
                # The solver took some length for the instruction; once more with the one it has.
                length = self.terms.const(fields["ilen"].width, case.decoded.length)
                question.asserted.append(self.terms.eq(fields["ilen"], length))
                case = self.laid_out(read.form, question, asker)
            if case is not None:
                return case
        return None

    def laid_out(self, form: core.Form, question: Question, asker: Asker) -> Case | None:
        """A state that answers the question, if it can be made one of the machine's."""
        pending = asker.ask(question, model=True)
        if pending.verdict != "sat":
            return None
        model = pending.model()
        try:
            state = self.replayer.states_of(question, model)[0]
            told = {name: self.replayer.value(term, model) for name, term in question.fields.items() if name in form.fields}
            fields = told if is_delivery(form) else self.replayer.encode(question, form, model)[1]
        except NotReplayable:
            return None
        decoded = self.found(form, fields, state)
        return None if decoded is None else Case(state, decoded)

    def found(self, form: core.Form, fields: dict[str, int], state: State) -> Decoded | None:
        """The fields as the decoder delivers them in the state, if it is the form it finds; an interrupt's, if it is taken there."""
        if not is_delivery(form):
            return self.decode(form, decoder(self.isa).encode(form, fields), state)
        taken = form.where is None or self.machine.evaluate(form.where, state, fields)
        return Decoded(form, fields, 0) if taken else None

    def near(self, case: Case, rng: random.Random) -> Case | None:
        """The case with a few values changed, if that is still a legal state and the same form."""
        state = case.state.copy()
        places = sorted(state.places())
        for name, index in rng.sample(places, min(len(places), rng.randrange(1, 5))):
            component = self.isa.cells.get(name) or self.isa.arrays.get(name)
            width = component.width if component is not None else self.isa.spaces[name].cell_width
            state.put((name, index), number(width, rng))
        if self.machine.legal(state):
            return None
        decoded = self.found(case.decoded.form, case.decoded.fields, state)
        return None if decoded is None else Case(state, decoded, rng.random() < 0.5)
