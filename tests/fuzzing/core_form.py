"""Whether a description in core form is what its readings rely on: names bound, widths in agreement."""

from __future__ import annotations

from collections.abc import Iterator

from isa_specs import core
from isa_specs.expressions import ILEN_WIDTH


def flaws(isa: core.Isa) -> list[str]:
    """What is wrong with the core form of a description; empty for every description that loads."""
    return [*_Check(isa).everything()]


class _Check:
    def __init__(self, isa: core.Isa):
        self.isa = isa
        self.ambient = {"ilen": ILEN_WIDTH, "next": isa.counter.width}
        self.seen: set[core.Function] = set()

    def everything(self) -> Iterator[str]:
        isa = self.isa
        side = {prefix.name: prefix.width for prefix in isa.prefixes.values()}
        known = dict(side)
        for name, expr in isa.contexts.items():
            yield from self.expr(expr, {}, known, f"context {name}")
            known[name] = expr.width
        for form in isa.forms:
            fields = {**form.fields, **{name: expr.width for name, expr in isa.contexts.items()}}
            if isinstance(form.encoding, core.ByteEncoding):
                fields |= side
                fields |= {"reg": 3} if any(isinstance(e, core.ModRM) for e in form.encoding.elements) else {}
            else:
                fields |= dict(form.encoding.format.fields)
            where = f"{form.instruction} {form.template}"
            if form.where is not None:
                yield from self.bit(form.where, {}, fields, f"where of {where}")
            yield from self.block(form.body, {}, {**fields, **self.ambient}, None, where)
        for trap in isa.traps.values():
            if trap.delivery is not None:
                yield from self.function(trap.delivery, {"ilen": ILEN_WIDTH})
        for space in isa.spaces.values():
            if space.translation is not None:
                assert space.onto is not None
                yield from self.function(space.translation, {})
                if (space.translation.params[0][1], space.translation.result) != (space.address_width, space.onto.address_width):
                    yield f"translation of {space.name}"
            if space.identity is not None:
                yield from self.bit(space.identity, {}, {}, f"identity of {space.name}")
        if isa.fetch is not None:
            yield from self.function(isa.fetch, {})
        for text, expr in isa.invariants:
            yield from self.bit(expr, {}, {}, text)
        for name, expr in isa.modes.items():
            yield from self.bit(expr, {}, {}, name)
        for monitor in isa.monitors.values():
            for keep in monitor.keeps.values():
                if keep.value is not None:
                    assert isinstance(keep.target, core.Cell)
                    yield from self.expr(keep.value, {}, {}, monitor.name)
                    if keep.value.width != keep.target.width:
                        yield f"{monitor.name}: {keep.target.name}"

    def function(self, function: core.Function, fields: dict[str, int]) -> Iterator[str]:
        if function in self.seen:
            return
        self.seen.add(function)
        yield from self.block(function.body, dict(function.params), fields, function.result, function.name)

    def block(self, block: list[core.Stmt], local: dict[str, int], fields: dict[str, int], result: int | None, where: str) -> Iterator[str]:
        for s in block:
            yield from self.statement(s, local, fields, result, f"{where}:{s.span.line}")

    def statement(self, s: core.Stmt, local: dict[str, int], fields: dict[str, int], result: int | None, where: str) -> Iterator[str]:
        def widths(expr: core.Expr, width: int, what: str = "value") -> Iterator[str]:
            yield from self.expr(expr, local, fields, where)
            if expr.width != width:
                yield f"{where}: {what} of {expr.width} bits for {width}"

        match s:
            case core.SetLocal():
                yield from widths(s.value, local.get(s.name, s.value.width))
                local[s.name] = s.value.width
            case core.Write():
                yield from widths(s.value, s.cell.width)
            case core.WriteElement():
                yield from widths(s.index, s.array.index_width, "index")
                yield from widths(s.value, s.array.width)
            case core.Store():
                yield from widths(s.address, s.space.address_width, "address")
                yield from self.expr(s.value, local, fields, where)
                if (s.value.width % 8 if s.space.cell_width == 8 else s.value.width != s.space.cell_width):
                    yield f"{where}: store of {s.value.width} bits"
            case core.If():
                yield from self.bit(s.condition, local, fields, where)
                # A local bound in one branch is not used outside it; a variable is bound before.
                yield from self.block(s.then, dict(local), fields, result, where)
                yield from self.block(s.other, dict(local), fields, result, where)
            case core.Loop():
                inner = {**local, s.local: s.width}
                if not 0 <= s.first <= s.last < 1 << s.width:
                    yield f"{where}: loop {s.first} .. {s.last} in {s.width} bits"
                if s.condition is not None:
                    yield from self.bit(s.condition, inner, fields, where)
                yield from self.block(s.body, inner, fields, result, where)
            case core.Raise():
                yield from self.arguments(s.args, s.trap.params, local, fields, where)
            case core.Call():
                yield from self.called(s.function, s.args, local, fields, where)
            case core.Return():
                if (s.value is None) != (result is None):
                    yield f"{where}: return"
                if s.value is not None:
                    yield from widths(s.value, result or 0)
            case core.Execute():
                yield from widths(s.value, s.value.width // 8 * 8)
            case core.Mark():
                yield from self.bit(s.condition, local, fields, where)
            case _:
                yield f"{where}: {s}"

    def bit(self, expr: core.Expr, local: dict[str, int], fields: dict[str, int], where: str) -> Iterator[str]:
        yield from self.expr(expr, local, fields, where)
        if expr.width != 1:
            yield f"{where}: condition of {expr.width} bits"

    def arguments(self, args: tuple[core.Expr, ...], params: tuple[tuple[str, int], ...], local: dict[str, int], fields: dict[str, int],
                  where: str) -> Iterator[str]:
        if [arg.width for arg in args] != [width for _, width in params]:
            yield f"{where}: arguments"
        for arg in args:
            yield from self.expr(arg, local, fields, where)

    def called(self, function: core.Function, args: tuple[core.Expr, ...], local: dict[str, int], fields: dict[str, int],
               where: str) -> Iterator[str]:
        yield from self.arguments(args, function.params, local, fields, where)
        yield from self.function(function, fields)

    def expr(self, root: core.Expr, local: dict[str, int], fields: dict[str, int], where: str) -> Iterator[str]:
        work, seen = [root], set()
        while work:
            e = work.pop()
            if id(e) in seen:
                continue
            seen.add(id(e))
            work.extend(core.operands(e))
            if not self.agrees(e, local, fields):
                yield f"{where}: {type(e).__name__} of {e.width} bits"
            if isinstance(e, core.CallFunction):
                yield from self.arguments(e.args, e.function.params, local, fields, where)
                yield from self.function(e.function, fields)

    def agrees(self, e: core.Expr, local: dict[str, int], fields: dict[str, int]) -> bool:
        match e:
            case core.Const():
                return 0 <= e.value < 1 << e.width
            case core.Read():
                return self.isa.cells.get(e.cell.name) is e.cell
            case core.ReadElement():
                return e.index.width == e.array.index_width and self.isa.arrays.get(e.array.name) is e.array
            case core.Load():
                whole = e.width % 8 == 0 if e.space.cell_width == 8 else e.width == e.space.cell_width
                return whole and e.address.width == e.space.address_width
            case core.Field():
                return fields.get(e.name) == e.width
            case core.Local():
                return local.get(e.name) == e.width
            case core.Apply():
                return len({arg.width for arg in e.args}) == 1
            case core.Extract():
                return 0 <= e.low <= e.high < e.arg.width
            case core.Extend():
                return e.width > e.arg.width
            case core.Concat():
                return len(e.parts) > 1
            case core.Choice():
                return e.condition.width == 1 and e.then.width == e.other.width
        return e.width > 0
