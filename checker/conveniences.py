"""What a witness is asked to satisfy besides, so that its states can be laid out on the machine and read by people."""

from __future__ import annotations

from checker.definitions import Question
from checker.footprint import Footprints
from checker.states import PLAIN, States
from checker.steps import Start, Step, elsewhere
from checker.term import Term, sparse, walk
from isa_specs import core


class Conveniences:
    """Narrows questions of one description under one profile: the search for a witness, never a verdict."""

    def __init__(self, states: States):
        self.states, self.isa, self.terms = states, states.isa, states.terms
        used = Footprints(self.isa).function(self.isa.fetch).spaces if self.isa.fetch is not None else set()
        self.fetched = [space for name in sorted(used) if (space := self.isa.spaces[name]).translation is not None]
        self.tables = [space for space in self.isa.spaces.values() if space.base is not None]

    def of(self, question: Question, *, placed: int, identity: bool | None, far: bool = False) -> list[Term]:
        """Conditions under which a model can be laid out: the instruction can be fetched, undefined results are zero; with
        ``identity`` translations are the identity, with False all but the fetch's, with None only what is accessed is mapped to itself
        (the profile may forbid states without translation); unless ``placed`` is 0, code lies there, and tables apart from it and from
        each other; they do not move, or with ``far`` may."""
        t, symbolic = self.terms, self.states.symbolic
        out: list[Term] = []
        for _, step in question.runs:
            start = step.start
            if placed:
                out += self.placed(start, placed)
            if identity is None:
                out += self.accessible(question, start, step)
            else:
                for space in self.isa.spaces.values():
                    if space.identity is not None and (identity or space not in self.fetched):
                        out.append(symbolic.expr(space.identity, start))
            out += self.mapped(start, alone=identity is None)
            out += self.settled(question, start, step, stays=not far)
            if self.isa.fetch is not None:
                here = start[self.isa.counter.name]
                last = t.add(here, t.extend(question.fields["ilen"], here.width, False)) if here.width >= 4 else here
                for at in (here, last):
                    fetched, _ = symbolic.call(self.isa.fetch, start, (at,), {})
                    out.append(t.negate(fetched.trapped(t)))
        for label in dict.fromkeys(step.label for _, step in question.runs):
            out += [t.eq(value, t.const(value.width, 0)) for value in symbolic.undefined_values(label)]
        return out

    def settled(self, question: Question, start: Start, step: Step, *, stays: bool) -> list[Term]:
        """Where tables are whose base is assigned: where they were, holding what they held, or else, unless ``stays``, far from there."""
        t, out = self.terms, []
        for base, space in step.moved.items():
            same = t.eq(step.after(base), start[base])
            far = t.eq(step.after(base), t.add(start[base], t.const(start[base].width, 1 << start[base].width - 1)))
            out.append(same if stays else t.either(same, far))
            there, here = start[elsewhere(space)], step.after(space.name)
            for term in walk([*question.asserted, *step.written.values()]):
                if term.op == "select" and term.args[0] is there:
                    alike = t.eq(term, t.select(here, term.args[1]))
                    out.append(alike if stays else t.either(t.negate(same), alike))
        return out

    def mapped(self, start: Start, *, alone: bool) -> list[Term]:
        """The translations the fetch goes through do not fault at the counter; tables they need are part of the model. With ``alone``
        they map it to itself, and the tables lie elsewhere."""
        t = self.terms
        out = []
        for space in self.fetched:
            assert space.translation is not None
            here = start[self.isa.counter.name]
            address = (
                t.extend(here, space.address_width, False)
                if here.width < space.address_width
                else t.extract(here, space.address_width - 1, 0)
            )
            step, place = self.states.symbolic.call(space.translation, start, (address, t.const(2, 2)), {})
            out.append(t.negate(step.trapped(t)))
            if alone and place is not None:
                out.append(t.eq(t.extend(place, address.width, False), address))
                for term in walk([step.trapped(t), place]):
                    if term.op == "select" and term.args[1].width == place.width:
                        table, code = (t.extract(at, place.width - 1, space.granule) for at in (term.args[1], place))
                        out.append(t.negate(t.eq(table, code)))
        return out

    def accessible(self, question: Question, start: Start, step: Step) -> list[Term]:
        """Every address the step reads or writes through a translation is mapped to itself, for reading and for writing; of those in
        one granule, which are translated alike, a few stand for all."""
        t = self.terms
        out = []
        for view, addresses in self.accessed(question, start, step):
            base = view.base
            space = view.onto if base is not None else view  # a table: its addresses are offsets
            assert space is not None
            if space.translation is None:
                continue
            for offset in sparse(addresses, space.granule):
                address = t.add(offset, start[base.name]) if base is not None else offset
                for access in (0, 1):  # read, write
                    run, place = self.states.symbolic.call(space.translation, start, (address, t.const(2, access)), {})
                    assert place is not None
                    out += [t.negate(run.trapped(t)), t.eq(t.extend(place, address.width, False), address)]
        return out

    def accessed(self, question: Question, start: Start, step: Step) -> list[tuple[core.Space, list[Term]]]:
        """The addresses at which a question looks at the views of one of its runs."""
        views = {start[name].data: space for name, space in self.isa.spaces.items() if space.view is space}
        views |= {start[elsewhere(space)].data: space for space in self.tables}
        found: dict[str, dict[Term, None]] = {}
        for term in walk([*question.asserted, *step.written.values()]):
            if term.op in ("select", "store"):
                memory = self.terms.writes(term.args[0])[0].data
                if memory in views:
                    found.setdefault(memory, {})[term.args[1]] = None
        return [(views[memory], list(addresses)) for memory, addresses in found.items()]

    def placed(self, start: Start, at: int) -> list[Term]:
        """Code and tables each in a place of their own; tables of the monitor's elsewhere than those of the guest."""
        t = self.terms
        counter = start[self.isa.counter.name]
        out = [t.eq(counter, t.const(counter.width, min(at, 1 << (counter.width - 2))))]
        for number, space in enumerate(self.tables):
            assert space.base is not None
            base = start[space.base.name]
            if base.op == "var":
                shared = str(base.data).startswith(PLAIN)
                out.append(t.eq(base, t.const(base.width, 0x0010_0000 * (number + 1) + (0 if shared else 0x0008_0000))))
        return out

