"""Witnesses on the machine: a solver's model becomes two real states and a program, and is run.

Nothing is shown that was not replayed here. A model lives in guest-relative storage; to run it, its cells are put
where the machine finds them when translation is the identity (the witness was asked for in such a state), moved tables
with equal contents in both states, the instruction's bytes at the counter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from checker.definitions import Question
from checker.models import Evaluator, Model
from checker.states import States
from checker.steps import Step, elsewhere
from checker.term import Term
from isa_specs import core
from isa_specs.assembly import disassemble
from isa_specs.elements import EncodeError
from isa_specs.encoding import Decoded, decoder
from machine.errors import MachineError
from machine.outcomes import Next, Trapped
from machine.plain import Machine, StepResult
from machine.state import Memory, Place, Recorder, State

OUTCOME = "outcome"  # how the step ended, among what is different after it


class NotReplayable(Exception):
    """The model cannot be made a state of the machine; says why."""


@dataclass
class Run:
    """One side of a witness: the state before and after the step, what it did, and what it looked at."""

    before: State
    after: State
    result: StepResult
    recorder: Recorder


@dataclass
class Replayed:
    """A witness that was run. ``runs`` are named as in the question; ``confirmed`` when it shows what was claimed."""

    runs: list[tuple[str, Run]]
    form: core.Form
    code: bytes
    text: str
    differences: list[tuple[str, str, str]]  # component, after in the first run, after in the second
    confirmed: bool
    clause: str = "effect"
    code_places: set[Place] = field(default_factory=set)


class Replayer:
    """Replays witnesses of one description under one profile."""

    def __init__(self, states: States):
        self.states, self.isa, self.terms = states, states.isa, states.terms
        self.machine = Machine(self.isa)

    # ---- states ------------------------------------------------------------------------------------

    def states_of(self, question: Question, model: Model) -> list[State]:
        """The starting states of the question's runs, storage laid out."""
        out = []
        for _, step in question.runs:
            start = step.start
            state = State(self.isa)
            for name in self.isa.cells:
                state.cells[name] = self.value(start[name], model)
            for name, array in self.isa.arrays.items():
                base = start[name].data
                state.arrays[name] = [model.cells.get((base, i), 0) for i in range(array.length)]
            for name in state.memory:
                term = start[name]
                state.memory[name] = Memory((at, v) for (base, at), v in model.cells.items() if base == term.data)
            self.lay_out(state, step, model)
            out.append(state)
        return out

    def value(self, term: Term, model: Model) -> int:
        if term.is_const:
            return int(term.data)
        if term.op == "var":
            control = str(term.data).removeprefix("control.")
            return self.states.controls.get(control, 0) if control != term.data else model.values.get(term.data, 0)
        return int(Evaluator([term])(model)[0])

    def lay_out(self, state: State, step: Step, model: Model) -> None:
        """Put the cells of views where the machine finds them, those of a table that moves where it is by then."""
        held: dict[Place, int] = {}
        views = [(space, step.start[name], None) for name, space in self.isa.spaces.items() if not space.physical and space.view is space]
        moved = [(space, step.start[elsewhere(space)], self.value(step.after(base), model)) for base, space in step.moved.items()]
        waiting = [
            (space, address, value, base)
            for space, term, base in [*views, *moved]
            for (memory, address), value in sorted(model.cells.items())
            if memory == term.data
        ]
        while waiting:
            later = []
            for space, address, value, base in waiting:
                place = self.machine.place(space, address, state if base is None else self.based(state, space, base), 0)
                if place is None:  # its page may be mapped by a table not yet in place
                    later.append((space, address, value, base))
                    continue
                if held.setdefault(place, value) != value:
                    raise NotReplayable(f"two views of {place[0]}({place[1]:#x}) with unlike contents")
                state.put(place, value)
            if len(later) == len(waiting):
                raise NotReplayable(f"{later[0][0].name}({later[0][1]:#x}) cannot be reached in the witness state")
            waiting = later

    def based(self, state: State, space: core.Space, base: int) -> State:
        """The state with the table elsewhere."""
        assert space.base is not None
        state = state.copy()
        state.cells[space.base.name] = base
        return state

    def encode(self, question: Question, form: core.Form, model: Model) -> tuple[bytes, dict[str, int]]:
        terms, start = dict(question.fields), question.runs[-1][1].start
        for name, expr in self.isa.contexts.items():  # of the size of an address it depends how one is written
            terms[name] = self.states.symbolic.expr(expr, start, terms)
        fields = {name: self.value(term, model) for name, term in terms.items() if name != "ilen"}
        try:
            return decoder(self.isa).encode(form, fields), fields
        except EncodeError as error:
            raise NotReplayable(f"the fields cannot be encoded: {error}") from None

    def put_code(self, state: State, code: bytes, busy: set[Place]) -> set[Place]:
        """Store the instruction where the machine will fetch it."""
        places: set[Place] = set()
        assert self.isa.fetch is not None
        for offset, byte in enumerate(code):
            place = self.machine.fetch_place(state, offset)
            if place is None:
                raise NotReplayable("the instruction cannot be fetched in the witness state")
            if place in busy and state.get(place) != byte:
                raise NotReplayable("the instruction lies on its own operands")
            state.put(place, byte)
            places.add(place)
        return places

    # ---- runs -----------------------------------------------------------------------------------------

    def replay(self, question: Question, form: core.Form, model: Model) -> Replayed:
        """Run the witness. Raises :class:`NotReplayable` when it cannot be laid out."""
        code, _ = self.encode(question, form, model)
        states = self.states_of(question, model)
        runs: list[tuple[str, Run]] = []
        code_places: set[Place] = set()
        for (name, _), state in zip(question.runs, states, strict=True):
            busy = {(space, at) for space, memory in state.memory.items() for at in memory}
            code_places |= self.put_code(state, code, busy)
            for text in self.machine.legal(state):
                raise NotReplayable(f"the state violates: {text}")
            runs.append((name, self.run(state)))
        decoded = runs[0][1].result.decoded
        if decoded is None or decoded.form is not form:
            raise NotReplayable("the bytes decode to another form")
        judged = self.judge(question, runs)
        if not judged[0]:
            self.check_apart(runs)
        text = self.text(decoded, runs[0][1].before)
        return Replayed(runs, form, code, text, judged[1], judged[0], judged[2], code_places)

    def check_apart(self, runs: list[tuple[str, Run]]) -> None:
        """Views are taken to lie apart; a witness in which they do not shows nothing either way."""
        for _, run in runs:
            if run.recorder.looked_at_traces(self.isa):
                raise NotReplayable("the instruction looks at what its own accesses have recorded")
            owner: dict[Place, str] = {}
            for view in run.recorder.views:
                space = self.isa.spaces[view[0]]
                place = self.machine.place(space, view[1], run.before, 0)
                if place is not None and owner.setdefault(place, space.view.name) != space.view.name:
                    raise NotReplayable(f"{owner[place]} and {space.view.name} overlap in the witness state")
                if space.base is not None and (space.base.name, 0) in run.recorder.written:
                    raise NotReplayable(f"{space.name} moves during the instruction")

    def text(self, decoded: Decoded, state: State) -> str:
        try:
            return disassemble(self.isa, decoded, state.cells[self.isa.counter.name])
        except (MachineError, ValueError, KeyError):  # a template that cannot be printed must not lose a witness
            return decoded.form.template

    def run(self, state: State) -> Run:
        after, recorder = state.copy(), Recorder()
        try:
            result = self.machine.step(after, recorder=recorder)
        except MachineError as error:
            raise NotReplayable(str(error)) from None
        return Run(state, after, result, recorder)

    def judge(self, question: Question, runs: list[tuple[str, Run]]) -> tuple[bool, list[tuple[str, str, str]], str]:
        """(does it show what is claimed, differences after, clause)."""
        if len(runs) == 1:
            return self.judge_single(question, runs[0][1])
        (_, one), (_, two) = runs
        a, b = one.result.outcome, two.result.outcome
        if question.name == "square":
            return self.judge_square(one, two)
        if isinstance(b, Trapped) or (isinstance(a, Trapped) and a.kind == "memory"):
            return False, [], "effect"
        if isinstance(a, Trapped):
            return True, [(OUTCOME, f"traps: {a}", "completes")], "trap"
        found = []
        for place, left, right in self.compared(one, two):
            if left == right:
                continue
            unchanged = place[0] in question.varied and one.before.get(place) == left and two.before.get(place) == right
            if not unchanged:
                found.append((self.shown(place), hex_(left), hex_(right)))
        return bool(found), found, "effect"

    def judge_single(self, question: Question, run: Run) -> tuple[bool, list[tuple[str, str, str]], str]:
        if isinstance(run.result.outcome, Trapped):
            return False, [], "trap"
        if not question.name.startswith("control"):
            return True, [], "effect"
        found = []
        for place in sorted(run.recorder.written):
            if place[0] in self.states.control_classes and run.before.get(place) != run.after.get(place):
                found.append((self.shown(place), hex_(run.before.get(place)), hex_(run.after.get(place))))
        return bool(found), found, "effect"

    def judge_square(self, v: Run, r: Run) -> tuple[bool, list[tuple[str, str, str]], str]:
        a, b = v.result.outcome, r.result.outcome
        if isinstance(b, Trapped) and b.kind in self.states.monitor.traps:
            return False, [], "trap"
        if isinstance(a, Trapped) != isinstance(b, Trapped) or (
            isinstance(a, Trapped) and isinstance(b, Trapped) and (a.trap, a.args) != (b.trap, b.args)
        ):
            return True, [(OUTCOME, said(a), said(b))], "trap"
        record, host, effect, stale = (list[tuple[str, str, str]]() for _ in range(4))
        for place, left, right in [*self.compared(v, r), *self.followed(v, r)]:
            keep = self.states.owned.get(place[0])
            if keep is None:
                if left != right:
                    effect.append((self.shown(place), hex_(left), hex_(right)))
                continue
            copies = self.states.copies.get(place[0])
            if copies is not None:
                held = [(copy.name, r.after.get((copy.name, 0))) for copy in copies]
                record += [(self.shown(place), hex_(left), f"{hex_(value)} in {name}") for name, value in held if value != left]
            elif left != v.before.get(place):
                record.append((self.shown(place), hex_(left), f"{hex_(v.before.get(place))} in the monitor's record"))
            expected = self.machine.evaluate(keep.value, v.after) if keep.how == "map" and keep.value is not None else r.before.get(place)
            if right != expected:
                written = place in r.recorder.written
                (host if written else stale).append((self.shown(place), hex_(left if written else expected), hex_(right)))
        if effect:
            return True, effect, "effect"
        if host:
            return True, host, "host"
        if stale and not record:
            return True, stale, "effect"
        return bool(record), record, "record"

    def compared(self, one: Run, two: Run) -> Iterable[tuple[Place, int, int]]:
        """(place, value after the first, value after the second) for all that either run wrote; storage reached through
        views is compared by the address the program used."""
        seen: set[Place] = set()
        for view in {**one.recorder.views, **two.recorder.views}:
            space = self.isa.spaces[view[0]]
            there = self.machine.place(space, view[1], one.before, 0)
            here = self.machine.place(space, view[1], two.before, 0)
            if there is None or here is None:
                continue
            seen |= {there, here}
            if there in one.recorder.written or here in two.recorder.written:
                yield view, one.after.get(there), two.after.get(here)
        for place in sorted((one.recorder.written | two.recorder.written) - seen):
            yield place, one.after.get(place), two.after.get(place)
        counter = (self.isa.counter.name, 0)
        if counter not in one.recorder.written | two.recorder.written:
            yield counter, one.after.get(counter), two.after.get(counter)

    def followed(self, v: Run, r: Run) -> Iterator[tuple[Place, int, int]]:
        """The like for what neither run wrote, but is mapped from what the virtual machine did."""
        for name in self.states.following(place[0] for place in v.recorder.written):
            if not {(name, 0)} & (v.recorder.written | r.recorder.written):
                yield (name, 0), v.after.get((name, 0)), r.after.get((name, 0))

    def shown(self, place: Place) -> str:
        name, index = place
        if name in self.isa.cells:
            return name
        return f"{name}[{index}]" if name in self.isa.arrays else f"{name}({index:#x})"


def said(outcome: Next | Trapped) -> str:
    return f"traps: {outcome}" if isinstance(outcome, Trapped) else "completes"


def hex_(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"
