"""Assignment: to components, fields, bits, elements, spaces and accessors."""

from __future__ import annotations

from isa_specs import core
from isa_specs.calls import Calls
from isa_specs.diagnostics import Mistake, Span
from isa_specs.reader import Node, Word
from isa_specs.scope import ArrayComponent, Binding, Body, Cascade, CellComponent, Component, File, GroupComponent, Poison
from isa_specs.values import Number, Place, Value, apply, extend, is_pure, join, low, pick


class Assignment(Calls):
    """The part of the elaborator that reads assignments."""

    def s_assign(self, node: Node, body: Body) -> list[core.Stmt]:
        target, _, value, condition = node.children
        test = None if condition is None else self.condition(condition, body)
        made = self.assign(target, value, body, node.span)
        return made if test is None else [core.If(test, made, [], node.span)]

    def assign(self, target: Node, value: Node, body: Body, span: Span) -> list[core.Stmt]:
        if target.kind == "call":
            return self.assign_call(target, value, body, span)
        if target.kind == "slice":
            return self.assign_bits(target, value, body, span)
        place = self.destination(target, body)
        if place is None:
            return self.assign_bits(target, value, body, span)
        if isinstance(place, Binding):
            return [core.SetLocal(place.local.name, self.expr(value, body, place.local.width), span)]
        body.impure = True
        if isinstance(place, core.ReadElement):
            return [core.WriteElement(place.array, place.index, self.expr(value, body, place.width), span)]
        width = self.read(place, target.span).expr.width
        return self.write(place, self.expr(value, body, width), body, span)

    def destination(self, target: Node, body: Body) -> Place | Binding | core.ReadElement | None:
        """What is assigned as a whole; None when the target is bits of something."""
        if target.kind == "name":
            bound = body.find(target.children[0])
            if isinstance(bound, Poison):
                raise Cascade
            if isinstance(bound, Binding):
                if not bound.mutable:
                    raise Mistake("SP302", f"'{target.children[0]}' is fixed by 'let'", target.span, "introduce it with 'var'")
                return bound
        if target.kind in ("name", "attribute", "index"):
            result = self.infer(target, body, None) if not self._is_bit_of(target, body) else None
            if isinstance(result, Place):
                return result
            if isinstance(result, Value) and isinstance(result.expr, core.ReadElement):
                return result.expr
            if isinstance(result, Value | Number) and target.kind == "name":
                raise Mistake("SP302", f"'{target.children[0]}' cannot be assigned", target.span)
        return None

    def _is_bit_of(self, target: Node, body: Body) -> bool:
        """Whether an index or field target names bits inside something rather than a component."""
        if target.kind == "name":
            return False
        base = self.infer(target.children[0], body, None)
        if target.kind == "index":
            whole = isinstance(base, File) or (isinstance(base, Place) and isinstance(base.component, ArrayComponent))
            return not whole
        if isinstance(base, Place):
            return base.file is None and not isinstance(base.component, GroupComponent)
        return True

    def assign_bits(self, target: Node, value: Node, body: Body, span: Span) -> list[core.Stmt]:
        """Assign a slice, bit or layout field: read the whole, replace the bits, write the whole."""
        if target.kind not in ("slice", "index", "attribute"):
            raise Mistake("SP302", "this cannot be assigned", target.span, "components, elements, fields, spaces and accessors can")
        owner = target.children[0]
        whole = self.value(owner, body)
        if not is_pure(whole.expr):
            raise Mistake("SP209", "only part of a component or variable can be assigned", target.span)
        width = whole.expr.width
        if target.kind == "slice":
            pieces: tuple[tuple[int, int], ...] = (self.slice_bounds(width, target.children[1], target.children[2], body),)
        elif target.kind == "index":
            result = self.infer(target.children[1], body, None)
            if not isinstance(result, Number):
                return self.assign_computed_bit(target, whole.expr, value, body, span)
            bit_ = self.bit(whole.expr, target.children[1], body)
            assert isinstance(bit_, core.Extract)
            pieces = ((bit_.high, bit_.low),)
        else:
            found = whole.layout.fields.get(target.children[1]) if whole.layout is not None else None
            if found is None:
                known = list(whole.layout.fields) if whole.layout is not None else []
                raise self.unknown(target.children[1], known, target.span, "field")
            pieces = found
        total = sum(high - low + 1 for high, low in pieces)
        new = self.expr(value, body, total)
        if not is_pure(new) and len(pieces) > 1:
            raise Mistake("SP209", "name this value with 'let' first", value.span)
        return self.store_back(owner, replace(whole.expr, new, pieces), body, span)

    def assign_computed_bit(self, target: Node, whole: core.Expr, value: Node, body: Body, span: Span) -> list[core.Stmt]:
        width = whole.width
        at = self.expr(target.children[1], body)
        size = max(at.width, width)
        amount = extend(at, size)
        if self.msb0:
            amount = apply("sub", core.Const(size, width - 1), amount)
        one = apply("shl", core.Const(size, 1), amount)
        mask = low(one, width)
        new = core.Choice(self.expr(value, body, 1), apply("or", whole, mask), apply("and", whole, apply("not", mask)))
        return self.store_back(target.children[0], new, body, span)

    def store_back(self, owner: Node, new: core.Expr, body: Body, span: Span) -> list[core.Stmt]:
        destination = self.destination(owner, body)
        if isinstance(destination, Binding):
            return [core.SetLocal(destination.local.name, new, span)]
        body.impure = True
        if isinstance(destination, core.ReadElement):
            return [core.WriteElement(destination.array, destination.index, new, span)]
        if isinstance(destination, Place):
            return self.write(destination, new, body, span)
        raise Mistake("SP302", "this cannot be assigned", owner.span)

    def write(self, place: Place, value: core.Expr, body: Body, span: Span) -> list[core.Stmt]:
        """Assign a component, register word or file member."""
        if place.file is not None:
            assert place.index is not None
            return self.write_member(place.file, place.index, value, body, span)
        component = place.component
        if isinstance(component, CellComponent):
            return [core.Write(component.cell, value, span)]
        assert isinstance(component, GroupComponent)
        assert component.layout is not None
        self.spend(len(component.layout.fields), span)
        prefix: list[core.Stmt] = []
        if not isinstance(value, core.Local | core.Const):
            local = core.Local(body.fresh("word"), value.width)
            prefix.append(core.SetLocal(local.name, value, span))
            value = local
        for name, pieces in component.layout.fields.items():
            child = component.children[name]
            assert isinstance(child, CellComponent)
            prefix.append(core.Write(child.cell, pick(value, pieces), span))
        return prefix

    def write_member(self, file: File, index: core.Expr, value: core.Expr, body: Body, span: Span) -> list[core.Stmt]:
        def one(member: Component | None, new: core.Expr) -> list[core.Stmt]:
            return [] if member is None else self.write(Place(member), new, body, span)

        self.spend(len(file.members), span)
        if isinstance(index, core.Const):
            return one(file.members[index.value], value)
        prefix: list[core.Stmt] = []
        if not isinstance(value, core.Local | core.Const):
            local = core.Local(body.fresh("value"), value.width)
            prefix.append(core.SetLocal(local.name, value, span))
            value = local
        chain: list[core.Stmt] = []
        for number in range(len(file.members) - 1, -1, -1):
            made = one(file.members[number], value)
            if made or chain:
                chain = [core.If(apply("eq", index, core.Const(index.width, number)), made, chain, span)]
        return prefix + chain

    def assign_call(self, target: Node, value: Node, body: Body, span: Span) -> list[core.Stmt]:
        """``space(address, width) <- e`` and ``accessor(args) <- e``."""
        name: Word = target.children[0]
        args: list[Node] = target.children[1].children if target.children[1] is not None else []
        body.impure = True
        space = self.isa.spaces.get(name)
        if space is not None:
            address, width = self.access(space, args, target, body)
            return [core.Store(space, address, self.expr(value, body, width), span)]
        return self.call_setter(name, args, value, target, body, span)

    def call_setter(self, name: Word, args: list[Node], value: Node, node: Node, body: Body, span: Span) -> list[core.Stmt]:
        raise NotImplementedError  # pragma: no cover - provided by the elaborator


def replace(whole: core.Expr, new: core.Expr, pieces: tuple[tuple[int, int], ...]) -> core.Expr:
    """``whole`` with the bits at ``pieces`` (left piece first) taken from ``new``."""
    slots: list[tuple[int, int, core.Expr]] = []
    used = new.width
    for high, end in pieces:
        size = high - end + 1
        slots.append((high, end, new if size == new.width else core.Extract(new, used - 1, used - size)))
        used -= size
    parts: list[core.Expr] = []
    at = whole.width - 1
    for high, end, part in sorted(slots, key=lambda slot: -slot[0]):
        if at > high:
            parts.append(core.Extract(whole, at, high + 1))
        parts.append(part)
        at = end - 1
    if at >= 0:
        parts.append(core.Extract(whole, at, 0))
    return join(parts)
