"""The symbolic reading: one instruction as terms over the state before it.

Storage is guest-relative: every view (:attr:`Space.view`) is one array indexed by the address the
program uses. Accesses through a translation are taken not to fault; what that rests on is decided once per
translation (:mod:`checker.translations`). Everything else is exact up to the loop bounds of the description.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from checker.code import Code
from checker.conditions import conjuncts
from checker.execution import MOVED, Run
from checker.regions import marks
from checker.steps import Start, Step
from checker.term import Term
from checker.terms import Terms
from isa_specs import core
from isa_specs.expressions import ILEN_WIDTH
from isa_specs.ops import OPERATORS

NEAR = 12  # bits of an address


class Symbolic:
    """Runs bodies of one description on symbolic states."""

    def __init__(self, terms: Terms, isa: core.Isa):
        self.terms, self.isa, self.code = terms, isa, Code(terms)
        self.bases = [MOVED + space.base.name for space in isa.spaces.values() if space.base is not None]
        self._undefined: dict[tuple[object, ...], Term] = {}
        self._steps: dict[tuple[core.Form, str, Step | None], list[Step]] = {}
        self._plain: dict[core.Form, list[list[Term]]] = {}

    # ---- entry points -----------------------------------------------------------------------

    def form(self, form: core.Form, start: Start, fields: dict[str, Term], region: str = "", like: Step | None = None) -> Step:
        """One instruction of this form on ``start``; ``fields`` are its encoding fields (see :meth:`fields`).

        With ``region`` only paths through that region (or outside all) are followed; the caller asserts that the state is there. With
        ``like``, the step of the other run of a pair for which that is asserted, only where the conditions are the very same terms.

        A start that differs from one before in nothing the form looks at is not run again."""
        known = self._steps.setdefault((form, region, like), [] if like is None else [like])
        for step in known:
            if step.fits(start):
                return replace(step, start=start)
        run = Run(self, start, dict(fields), form.label or form.instruction)
        run.region, run.like = region, like
        places = [mark for mark in marks(form.body) if mark.label == region]
        run.goal = places[0] if len(places) == 1 else None
        self.contexts(form, run)
        known.append(run.instruction(self.code.body(form.body)))
        return known[-1]

    def fields(self, form: core.Form) -> dict[str, Term]:
        """Terms for the fields of a form: unknowns, constants where the encoding fixes them."""
        t = self.terms
        out = {name: t.var(f"field.{name}", width) for name, width in form.fields.items()}
        if isinstance(form.encoding, core.ByteEncoding):
            for prefix in self.isa.prefixes.values():
                out[prefix.name] = t.var(f"field.{prefix.name}", prefix.width)
            for element in form.encoding.elements:
                if isinstance(element, core.ModRM) and element.digit is not None:
                    out["reg"] = t.const(3, element.digit)
            out["ilen"] = t.var("field.ilen", ILEN_WIDTH)
        else:
            widths = dict(form.encoding.format.fields)
            for name, value in form.encoding.values:
                out[name] = t.const(widths[name], value)
            length = form.encoding.format.length
            out["ilen"] = t.const(ILEN_WIDTH, length) if length else t.var("field.ilen", ILEN_WIDTH)
        return out

    def contexts(self, form: core.Form, run: Run) -> None:
        """What the decoder computes from state and prefixes before it looks at the opcode."""
        if isinstance(form.encoding, core.ByteEncoding):
            for name, expr in self.isa.contexts.items():
                run.fields[name] = self.code.value(expr)(run, {})

    def sound_fields(self, form: core.Form, start: Start, fields: dict[str, Term]) -> Term:
        """That the fields are ones the decoder can deliver: ``where``, prefix values, ModRM, length."""
        t = self.terms
        run = Run(self, start, dict(fields), "where")
        self.contexts(form, run)
        parts = []
        if form.where is not None:
            parts.append(self.code.value(form.where)(run, {}))
        if isinstance(form.encoding, core.ByteEncoding):
            for prefix in self.isa.prefixes.values():
                legal = {0, *(value for _, value in prefix.bytes)}
                if len(legal) < 1 << prefix.width:
                    parts.append(t.any([t.eq(fields[prefix.name], t.const(prefix.width, value)) for value in sorted(legal)]))
            if any(isinstance(e, core.ModRM) for e in form.encoding.elements):
                parts.append(self.modrm_sound(run.fields))
            size = t.const(ILEN_WIDTH, len(form.encoding.elements))
            parts.append(t.negate(self._ult(fields["ilen"], size)))
        return t.all(parts)

    def modrm_sound(self, f: dict[str, Term]) -> Term:
        """The decoder's promises about ModRM fields: which of SIB and displacement are there, zero where absent."""
        t, is_ = self.terms, partial(self.is_, f)
        long = self.long(f)
        memory = t.negate(is_("mod", 3))
        sib = t.all([long, memory, is_("rm", 4)])
        no_sib = t.all([is_("scale", 0), is_("index", 0), is_("base", 0)])
        direct = t.both(is_("mod", 0), t.ite(long, t.either(is_("rm", 5), t.both(sib, is_("base", 5))), is_("rm", 6)))
        low8 = t.extract(f["disp"], 7, 0)
        short = t.eq(f["disp"], t.extend(low8, 32, True))
        word = t.eq(f["disp"], t.extend(t.extract(f["disp"], 15, 0), 32, True))
        none = t.either(is_("mod", 3), t.both(is_("mod", 0), t.negate(direct)))
        return t.all([
            t.eq(f["has_sib"], sib),
            t.either(sib, no_sib),
            t.ite(none, is_("disp", 0), t.ite(is_("mod", 1), short, t.either(long, word))),
        ])

    def is_(self, f: dict[str, Term], name: str, value: int) -> Term:
        return self.terms.eq(f[name], self.terms.const(f[name].width, value))

    def long(self, f: dict[str, Term]) -> Term:
        """Whether addresses are of 32 bits."""
        return self.terms.true if "addrsize" not in f else self.is_(f, "addrsize", 1)

    def plain(self, form: core.Form, start: Start, fields: dict[str, Term]) -> list[list[Term]]:
        """What makes an instruction with a ModRM byte easy to read, the best first: without prefixes, the operand a register, or in
        memory near to the start of its segment at an address that the instruction has itself. Found out once for each form."""
        if form not in self._plain:
            self._plain[form] = self._made_plain(form, start, fields)
        return self._plain[form]

    def _made_plain(self, form: core.Form, start: Start, fields: dict[str, Term]) -> list[list[Term]]:
        if not isinstance(form.encoding, core.ByteEncoding) or not any(isinstance(e, core.ModRM) for e in form.encoding.elements):
            return []
        run = Run(self, start, dict(fields), "plain")
        self.contexts(form, run)
        t, is_ = self.terms, partial(self.is_, run.fields)
        bare = [is_(prefix.name, 0) for prefix in self.isa.prefixes.values()]
        near = t.eq(t.extract(fields["disp"], 31, NEAR), t.const(32 - NEAR, 0))
        register, absolute = is_("mod", 3), [is_("mod", 0), t.ite(self.long(run.fields), is_("rm", 5), is_("rm", 6)), near]
        sound = conjuncts(t, [self.sound_fields(form, start, fields)])
        return [[*bare, *absolute]] if t.negate(register) in sound else [[*bare, register], [*bare, *absolute]]

    def _ult(self, a: Term, b: Term) -> Term:
        return self.terms.apply(OPERATORS["ult"], (a, b))

    def delivery(self, trap: core.Trap, start: Start, args: tuple[Term, ...], ilen: Term) -> Step:
        """A trap's delivery on the state as it was left by the instruction."""
        run = Run(self, start, {"ilen": ilen}, f"deliver {trap.name}")
        assert trap.delivery is not None
        env = {name: arg for (name, _), arg in zip(trap.params, args, strict=True)}
        return run.body(self.code.body(trap.delivery.body), env)

    def call(self, function: core.Function, start: Start, args: tuple[Term, ...], fields: dict[str, Term]) -> tuple[Step, Term | None]:
        """A function on its own: the step with its traps, and its result."""
        run = Run(self, start, dict(fields), function.name)
        env = {name: arg for (name, _), arg in zip(function.params, args, strict=True)}
        result = self.code.body(function.body)(run, env)
        return run.finish(), result if isinstance(result, Term) else None

    def expr(self, expr: core.Expr, start: Start, fields: dict[str, Term] | None = None) -> Term:
        """A pure expression on a state."""
        return self.code.value(expr)(Run(self, start, dict(fields or {}), "expression"), {})

    def undefined(self, key: tuple[object, ...], width: int) -> Term:
        # The same occurrence gets the same unknown in both runs: outcome sets are compared choice by choice.
        found = self._undefined.get(key)
        if found is None:
            found = self._undefined[key] = self.terms.var(f"undefined.{len(self._undefined)}", width)
        return found

    def undefined_values(self, label: str = "") -> list[Term]:
        """The unknowns standing for results the manual leaves undefined, so far; with ``label`` only those of its steps."""
        return [value for key, value in self._undefined.items() if not label or key[0] == label]
