"""The symbolic reading specialised to concrete states, held against the plain machine.

A symbolic step over unknowns is evaluated with the values of a state and has to say what the machine does from that
state: the same trap with the same arguments, or the same components and storage afterwards.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from checker.conditions import conjuncts
from checker.footprint import Footprints
from checker.models import Evaluator, Model
from checker.obligations import Asker
from checker.regions import OUTSIDE, regions
from checker.states import PLAIN, States
from checker.steps import ELSEWHERE, Step
from checker.term import Term, walk
from checker.terms import Terms
from isa_specs import core
from isa_specs.encoding import Decoded, decoder, padded
from isa_specs.walk import levels
from machine.activation import READ
from machine.externs import EXTERNS
from machine.outcomes import Executes, Outcome, Trapped
from machine.plain import Machine
from machine.sampling import LegalStates, number
from machine.state import Place, Recorder, State

Parts = dict[tuple[Any, ...], Any]  # values of the parts of a step, by their place in its layout
POOL = 60


class Values(dict[str, int]):
    """Variables of a symbolic step as a state has them; operations unknown to the solver are carried out as by the machine."""

    def __init__(self, state: State, fields: Mapping[str, int]):
        super().__init__({PLAIN + name: value for name, value in state.cells.items()})
        self.update({f"field.{name}": value for name, value in fields.items()})

    def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]
        if key.startswith("extern."):
            name, _, args = key[len("extern.") :].partition("[")
            return EXTERNS[name](*(int(arg) for arg in args.rstrip("]").split(",")))
        return super().get(key, default)


class Cells(dict[tuple[str, int], int]):
    """Memories of a symbolic step as a state has them, looked up where the machine finds them; ``used`` is what was asked for."""

    def __init__(self, machine: Machine, state: State):
        super().__init__()
        self.machine, self.state = machine, state
        self.used: dict[tuple[str, int], int] = {}

    def get(self, key: tuple[str, int], default: int = 0) -> int:  # type: ignore[override]
        value = self.used[key] = self._looked_up(key, default)
        return value

    def _looked_up(self, key: tuple[str, int], default: int) -> int:
        name, index = key[0][len(PLAIN) :].removesuffix(ELSEWHERE), key[1]
        if name in self.state.arrays or name in self.state.memory:
            return self.state.get((name, index))
        place = self.machine.place(self.machine.isa.spaces[name], index, self.state, READ)
        return default if place is None else self.state.get(place)


@dataclass
class Read:
    """A form's step, ready to be evaluated. ``layout`` names its parts in the order of the evaluator's roots."""

    form: core.Form
    step: Step
    evaluator: Evaluator
    layout: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A state to run an instruction from; what the manual leaves undefined is all ones with ``ones``, else all zeros."""

    state: State
    decoded: Decoded
    ones: bool = False


class Skipped(Exception):
    """The case shows nothing; says why."""


class Differ(Exception):
    """The readings do not agree; says where."""


def require(condition: object, what: str) -> None:
    if not condition:
        raise Differ(what)


class Readings:
    """Both readings of one description."""

    def __init__(self, isa: core.Isa):
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        self.isa, self.terms = isa, Terms()
        self.states = States(self.terms, isa, next(iter(isa.monitors.values())), {})
        self.symbolic, self.start = self.states.symbolic, self.states.free()
        self.footprints = Footprints(isa)
        self.machines = {ones: Machine(isa, oracle=lambda width, ones=ones: (1 << width) - 1 if ones else 0)  # type: ignore[misc]
                         for ones in (False, True)}
        self.machine = self.machines[False]
        spaces = list(isa.spaces.values())
        translations = [space.translation for space in spaces if space.translation is not None]
        self.faults = {name for translation in translations for name in self.footprints.function(translation).traps}

    # ---- symbolic -------------------------------------------------------------------------------

    def read(self, form: core.Form, region: str = "") -> Read:
        """The step of a form, or of that part of it that lies in ``region``."""
        fields = self.symbolic.fields(form)
        step = self.symbolic.form(form, self.start, fields, region)
        layout: list[tuple[Any, ...]] = []
        roots: list[Term] = []

        def add(term: Term, *what: Any) -> None:
            layout.append(what)
            roots.append(term)

        assert step.completes is not None
        add(step.completes, "completes")
        add(self.symbolic.sound_fields(form, self.start, fields), "sound")
        for name, value in step.written.items():
            add(value, "after", name)
        for at, trap in enumerate(step.traps):
            add(trap.condition, "trap", at)
            for position, arg in enumerate(trap.args):
                add(arg, "argument", at, position)
            for name, value in (trap.state or {}).items():
                add(value, "kept", at, name)
        for at, (condition, value) in enumerate(step.execute):
            add(condition, "executes", at)
            add(value, "executed", at)
        if region == OUTSIDE:
            add(self.terms.negate(self.terms.any(list(step.marks.values()))), "mark")
        elif region:
            add(step.marks.get(region, self.terms.false), "mark")
        return Read(form, step, Evaluator(roots), layout)

    def reads(self, form: core.Form) -> list[Read]:
        """The whole form, then each of its regions."""
        whole = self.read(form)
        return [whole, *(self.read(form, region) for region in regions(form) if region)]

    # ---- comparison ---------------------------------------------------------------------------------

    def compare(self, reads: list[Read], case: Case) -> str:
        """Run the machine and evaluate the steps; what the machine did. The first of ``reads`` is the whole form, the others are its
        regions, which have to agree where the state lies in them. Raises Differ on a difference, Skipped when the state is no
        fair one."""
        machine, recorder = self.machines[case.ones], Recorder()
        before, after = case.state, case.state.copy()
        outcome = machine.execute(case.decoded.form, case.decoded.fields, case.decoded.length, after, recorder)
        self.fair(reads[0], before, outcome, recorder)
        model = self.model(case)
        for place, read in enumerate(reads):
            values = dict(zip(read.layout, read.evaluator(model), strict=True))
            require(values["sound",], "the decoder delivers fields the symbolic reading excludes")
            if place == 0 or values["mark",]:
                self.same(read.step, values, before, after, outcome, recorder)
        return outcome.trap.name if isinstance(outcome, Trapped) else type(outcome).__name__.lower()

    def model(self, case: Case) -> Model:
        """The state as values of the unknowns of a symbolic step."""
        model = Model(Values(case.state, case.decoded.fields), Cells(self.machine, case.state))
        if case.ones:
            model.values.update({term.data: (1 << term.width) - 1 for term in self.symbolic.undefined_values()})
        return model

    def ask(self, read: Read, case: Case, asker: Asker) -> str:
        """Have the solver itself say what the step comes to from this state, held against its evaluation here: "unsat" when they
        agree, "sat" when not, "unknown" where operations unknown to the solver, or its time, leave that open."""
        t, model, roots = self.terms, self.model(case), read.evaluator.roots
        leaves = walk(roots)
        if any(term.op == "call" for term in leaves):
            return "unknown"
        results, named = [], []
        for slot, (root, value) in enumerate(zip(roots, read.evaluator(model), strict=True)):
            if root.address:
                # By a name of its own: here, each cell looked at would become a choice among all that was stored.
                after = t.memory(f"evaluated.{slot}", root.address, root.width)
                named.append(t.same(after, root))
                results += [t.eq(t.select(after, t.const(root.address, at)), t.const(root.width, cell)) for at, cell in value[1].items()]
            else:
                results.append(t.eq(root, t.const(root.width, value)))
        used = cast(Cells, model.cells).used
        cells = {term: {at: cell for (name, at), cell in used.items() if name == term.data} for term in leaves if term.op == "memory"}
        given = {term: model.values.get(term.data, 0) for term in leaves if term.op == "var"}
        asserted = conjuncts(t, [*named, t.negate(t.all(results))])
        text, _ = asker.writer.text(asserted, given={**given, **cells})
        return asker.solver.solve(text).verdict

    def fair(self, read: Read, before: State, outcome: Outcome, recorder: Recorder) -> None:
        """Translations that fault, and views of storage that overlap, are decided elsewhere (see checker.translations). What a table
        holds where it has been moved to is not part of the state before."""
        used = (self.isa.spaces[name] for name in sorted(self.footprints.form(read.form).spaces))
        identities = [space.identity for top in used for space in levels(top) if space.translation is not None]
        whole = all(identity is not None and self.machine.evaluate(identity, before) for identity in identities)
        if not whole and isinstance(outcome, Trapped) and outcome.kind == "memory" and outcome.trap.name in self.faults:
            raise Skipped("a translation faults")
        owner: dict[Place, str] = {}
        for view in recorder.views:
            space = self.isa.spaces[view[0]]
            place = self.machine.place(space, view[1], before, READ)
            if place is None:
                raise Skipped("written, but not to be read")
            if space in read.step.moved.values() and place not in recorder.read | recorder.written:
                raise Skipped("a table is moved")
            if owner.setdefault(place, space.view.name) != space.view.name and place in recorder.written:
                raise Skipped("views overlap")
        if recorder.looked_at_traces(self.isa):
            raise Skipped("looks at what it has recorded itself")
        if not whole:
            # Tables of translations lie in storage too.
            hidden = {place for place in recorder.read if place[0] in before.memory} - set(owner)
            touched = {name for name, space in self.isa.spaces.items() if space.physical} & {name for name, _ in recorder.written}
            if hidden and touched:
                raise Skipped("a table may be written")

    def same(self, step: Step, values: Parts, before: State, after: State, outcome: Outcome, recorder: Recorder) -> None:
        traps = [n for n in range(len(step.traps)) if values["trap", n]]
        executes = [n for n in range(len(step.execute)) if values["executes", n]]
        completes = values["completes",]
        require(len(traps) + bool(completes) == 1, f"{len(traps)} traps, and completes: {completes}")
        if isinstance(outcome, Trapped):
            require(traps, f"the machine raises {outcome}, the symbolic step does not trap")
            trap = step.traps[traps[0]]
            arguments = tuple(values["argument", traps[0], position] for position in range(len(trap.args)))
            require((trap.trap.name, arguments) == (outcome.trap.name, outcome.args),
                    f"the machine raises {outcome}, the symbolic step {trap.trap.name}{arguments}")
            kept = {key[2]: value for key, value in values.items() if key[0] == "kept" and key[1] == traps[0]}
            if trap.state is not None:
                self.same_state(kept, before, after, recorder)
            return
        require(completes, f"the machine does not trap, the symbolic step raises {step.traps[traps[0]].trap.name if traps else ''}")
        if isinstance(outcome, Executes):
            require([values["executed", n] for n in executes] == [outcome.value], "another instruction is executed")
            return
        require(not executes, "the symbolic step executes another instruction")
        self.same_state({key[1]: value for key, value in values.items() if key[0] == "after"}, before, after, recorder)

    def same_state(self, written: dict[str, Any], before: State, after: State, recorder: Recorder) -> None:
        """All the symbolic step writes is as on the machine, and the machine writes nothing else."""
        expected: dict[Place, int] = {}
        for name, value in written.items():
            if name in before.cells:
                expected[name, 0] = value
                continue
            base, overlay = value
            require(base == PLAIN + name, f"{name} became {base}")
            for index, cell in overlay.items():
                place: Place | None = (name, index)
                if name not in before.arrays and name not in before.memory:
                    place = self.machine.place(self.isa.spaces[name.removesuffix(ELSEWHERE)], index, before, READ)
                if place is None:
                    raise Differ(f"{name}({index:#x}) is written where nothing is")
                expected[place] = cell
        for place in {*expected, *recorder.written}:
            found = expected.get(place, before.get(place))
            require(found == after.get(place), f"{place[0]}[{place[1]:#x}] was {before.get(place):#x}, is {after.get(place):#x} on the "
                                               f"machine and {found:#x} in the symbolic step")

    # ---- states ----------------------------------------------------------------------------------------

    def case(self, form: core.Form, rng: random.Random) -> Case | None:
        """A legal state at random, and fields the decoder can deliver there for the form; None when none was found."""
        for _ in range(40):
            state = rng.choice(self.pool).copy()
            for name, array in self.isa.arrays.items():
                state.arrays[name] = [number(array.width, rng) for _ in range(array.length)]
            decoded = self.decoded(form, state, rng)
            if decoded is not None:
                return Case(state, decoded, rng.random() < 0.3)
        return None

    @cached_property
    def pool(self) -> list[State]:
        """Legal states to begin with: where there are invariants they take a search."""
        return LegalStates(self.isa).pool(POOL, 0.7)

    def decoded(self, form: core.Form, state: State, rng: random.Random) -> Decoded | None:
        codes = decoder(self.isa)
        return self.decode(form, codes.encode(form, codes.random_fields(form, rng)), state)

    def decode(self, form: core.Form, data: bytes, state: State) -> Decoded | None:
        """The fields of an instruction, if in this state it is one of the form."""
        known: dict[str, int] = {}

        def contexts(prefixes: Mapping[str, int]) -> dict[str, int]:
            known.clear()
            known.update(prefixes)
            for name, expr in self.isa.contexts.items():
                known[name] = self.machine.evaluate(expr, state, known)
            return {name: known[name] for name in self.isa.contexts}

        found = decoder(self.isa).decode(padded(data), contexts)
        return found if found is not None and found.form is form else None
