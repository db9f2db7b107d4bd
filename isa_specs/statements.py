"""Statements: bodies of instructions, functions and deliveries in core form."""

from __future__ import annotations

from typing import Any

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Mistake, Span
from isa_specs.expressions import Expressions, Number, Place, Value, apply, bits, invert, is_pure
from isa_specs.reader import Node, Word
from isa_specs.scope import (
    MAX_ITERATIONS,
    ArrayComponent,
    Binding,
    Body,
    Cascade,
    CellComponent,
    Component,
    File,
    GroupComponent,
    Poison,
    unknown,
)


class Statements(Expressions):
    """The statement half of the elaborator."""

    errors: list[Diagnostic]

    def block(self, node: Node, body: Body) -> list[core.Stmt]:
        """A block in a scope of its own. Mistakes are collected; the rest of the block is still read."""
        body.names.append({})
        try:
            return self.sequence(list(node.children), body)
        finally:
            body.names.pop()

    def sequence(self, nodes: list[Node], body: Body) -> list[core.Stmt]:
        out: list[core.Stmt] = []
        for position, node in enumerate(nodes):
            try:
                made = self.statement(node, body)
            except Mistake as mistake:
                self.errors.append(mistake.diagnostic)
                self.poison(node, body)
                continue
            except Cascade:
                self.poison(node, body)
                continue
            rest = nodes[position + 1 :]
            if made and isinstance(made[-1], core.Return | core.Execute) and rest:
                self.errors.append(Diagnostic("SP300", "this statement is never reached", rest[0].span))
                return out + made
            # An `if` with a branch that returns: what follows belongs to the other branch only.
            if made and isinstance(made[-1], core.If) and rest and _returns_somewhere(made[-1]):
                return out + made[:-1] + [self.early_return(made[-1], rest, body)]
            out += made
        return out

    def early_return(self, branch: core.If, rest: list[Node], body: Body) -> core.If:
        then_ends, other_ends = ends(branch.then), ends(branch.other)
        if then_ends and other_ends:
            self.errors.append(Diagnostic("SP300", "this statement is never reached", rest[0].span))
            return branch
        if then_ends and not _any_return(branch.other):
            return core.If(branch.condition, branch.then, branch.other + self.sequence(rest, body), branch.span)
        if other_ends and not _any_return(branch.then):
            return core.If(branch.condition, branch.then + self.sequence(rest, body), branch.other, branch.span)
        # A chain `if .. return / else if .. return`: what follows goes to the end of the chain.
        tail = branch.other[-1] if branch.other else None
        if then_ends and isinstance(tail, core.If) and _returns_somewhere(tail):
            chained = self.early_return(tail, rest, body)
            return core.If(branch.condition, branch.then, [*branch.other[:-1], chained], branch.span)
        raise Mistake("SP301", "'return' must end every path of the branch it stands in", branch.span)

    def poison(self, node: Node, body: Body) -> None:
        if node.kind in ("let", "var"):
            body.bind(node.children[0], Poison())

    def statement(self, node: Node, body: Body) -> list[core.Stmt]:
        method = getattr(self, f"s_{node.kind}")
        made: list[core.Stmt] = method(node, body)
        return made

    # ---- locals -----------------------------------------------------------------------------

    def s_let(self, node: Node, body: Body, mutable: bool = False) -> list[core.Stmt]:
        name, type_node, value_node = node.children
        width, layout = None, None
        if type_node is not None:
            width, layout, length = self.width_of(type_node, body)
            if length is not None:
                raise Mistake("SP206", "a local cannot be an array", type_node.span)
        result = self.infer(value_node, body, width)
        if isinstance(result, Number) and width is None:
            if not mutable:
                body.bind(name, result.value)
                return []
            raise Mistake("SP203", "this variable needs a width", value_node.span, f"var {name} : bits(8) = {result.value}")
        value = self.settle(result, value_node, width)
        if width is not None and value.expr.width != width:
            raise Mistake("SP201", f"this is {bits(value.expr.width)} wide, {bits(width)} needed", value_node.span,
                          "zext, sext, low or a slice changes a width")
        local = core.Local(body.fresh(name), value.expr.width)
        body.bind(name, Binding(local, layout or value.layout, mutable))
        return [core.SetLocal(local.name, value.expr, node.span)]

    def s_var(self, node: Node, body: Body) -> list[core.Stmt]:
        return self.s_let(node, body, mutable=True)

    # ---- assignment ---------------------------------------------------------------------------

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
                raise unknown(target.children[1], known, target.span, "field")
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
        amount: core.Expr = at if at.width == size else core.Extend(at, size, False)
        if self.msb0:
            amount = apply("sub", core.Const(size, width - 1), amount)
        one = apply("shl", core.Const(size, 1), amount)
        mask = one if size == width else core.Extract(one, width - 1, 0)
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
        assert isinstance(component, GroupComponent) and component.layout is not None
        prefix: list[core.Stmt] = []
        if not isinstance(value, core.Local | core.Const):
            local = core.Local(body.fresh("word"), value.width)
            prefix.append(core.SetLocal(local.name, value, span))
            value = local
        for name, pieces in component.layout.fields.items():
            child = component.children[name]
            assert isinstance(child, CellComponent)
            parts = tuple(core.Extract(value, high, low) for high, low in pieces)
            prefix.append(core.Write(child.cell, parts[0] if len(parts) == 1 else core.Concat(parts), span))
        return prefix

    def write_member(self, file: File, index: core.Expr, value: core.Expr, body: Body, span: Span) -> list[core.Stmt]:
        def one(member: Component | None, new: core.Expr) -> list[core.Stmt]:
            return [] if member is None else self.write(Place(member), new, body, span)

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

    # ---- control -----------------------------------------------------------------------------

    def s_if(self, node: Node, body: Body) -> list[core.Stmt]:
        test, block, *rest = node.children
        branches: list[tuple[Node | None, Node]] = [(test, block)]
        for part in rest:
            if part is None:
                continue
            branches.append((None, part.children[0]) if part.kind == "else" else (part.children[0], part.children[1]))
        result: list[core.Stmt] = []
        for condition, inner in reversed(branches):
            if condition is None:
                result = self.block(inner, body)
                continue
            decided = self.infer(condition, body, 1)
            if isinstance(decided, Number):  # decided while the description is read: the width of a form, say
                result = self.block(inner, body) if decided.value else result
                continue
            expr = self.as_condition(decided, condition)
            result = [core.If(expr, self.block(inner, body), result, condition.span)]
        return result

    def s_match(self, node: Node, body: Body) -> list[core.Stmt]:
        subject, *arms = node.children
        decided = self.infer(subject, body, None)
        prefix: list[core.Stmt] = []
        value: core.Expr | None = None
        if not isinstance(decided, Number):
            value = self.settle(decided, subject, None).expr
            if not isinstance(value, core.Local | core.Read | core.Field):
                local = core.Local(body.fresh("subject"), value.width)
                prefix.append(core.SetLocal(local.name, value, subject.span))
                value = local
        result: list[core.Stmt] = []
        for arm in reversed(arms):
            if len(arm.children) == 1:
                result = self.block(arm.children[0], body)
                continue
            values, inner = arm.children
            if value is None:
                assert isinstance(decided, Number)
                if decided.value in [self.constant(item, body) for item in values.children]:
                    result = self.block(inner, body)
                continue
            test: core.Expr | None = None
            for item in values.children:
                one = apply("eq", value, self.expr(item, body, value.width))
                test = one if test is None else apply("or", test, one)
            assert test is not None
            result = [core.If(test, self.block(inner, body), result, values.span)]
        return prefix + result

    def s_for(self, node: Node, body: Body) -> list[core.Stmt]:
        name, first_node, last_node, condition, block = node.children
        first, last = self.constant(first_node, body), self.constant(last_node, body)
        if first < 0 or last - first >= MAX_ITERATIONS:
            raise Mistake("SP303", f"a loop from {first} to {last} is too long", last_node.span, f"at most {MAX_ITERATIONS} rounds")
        width = max(1, last.bit_length())
        if last < first:
            return []
        body.names.append({})
        try:
            local = core.Local(body.fresh(name), width)
            body.bind(name, Binding(local))
            test = None if condition is None else self.condition(condition, body)
            inner = self.block(block, body)
        finally:
            body.names.pop()
        if _any_return(inner):
            raise Mistake("SP301", "'return' cannot stand in a loop", node.span, "end the loop with 'while'")
        return [core.Loop(local.name, width, first, last, test, inner, node.span)]

    def s_trap_stmt(self, node: Node, body: Body) -> list[core.Stmt]:
        call, condition = node.children
        body.impure = True
        test = None if condition is None else self.condition(condition, body)
        trap, args = self.trap_call(call, body)
        made = core.Raise(trap, args, node.span)
        return [made] if test is None else [core.If(test, [made], [], node.span)]

    def trap_call(self, call: Node, body: Body) -> tuple[core.Trap, tuple[core.Expr, ...]]:
        name, arguments = call.children
        trap = self.isa.traps.get(name)
        if trap is None:
            raise unknown(name, list(self.isa.traps), name.span, "trap")
        nodes = arguments.children if arguments is not None else []
        if len(nodes) != len(trap.params):
            raise Mistake("SP212", f"trap {name} takes {len(trap.params)} arguments, not {len(nodes)}", call.span)
        return trap, tuple(self.expr(arg, body, width) for arg, (_, width) in zip(nodes, trap.params, strict=True))

    def s_call_stmt(self, node: Node, body: Body) -> list[core.Stmt]:
        call, condition = node.children
        test = None if condition is None else self.condition(condition, body)
        name, arguments = call.children
        nodes = arguments.children if arguments is not None else []
        made: list[core.Stmt] = self.call_procedure(name, nodes, call, body)
        return made if test is None else [core.If(test, made, [], node.span)]

    def call_procedure(self, name: Word, args: list[Node], node: Node, body: Body) -> list[core.Stmt]:
        raise NotImplementedError  # pragma: no cover - provided by the elaborator

    def s_return(self, node: Node, body: Body) -> list[core.Stmt]:
        value = node.children[0]
        if body.result is None:
            if value is not None:
                raise Mistake("SP304", "only a function returns a value", node.span)
            return [core.Return(None, node.span)]
        if value is None:
            raise Mistake("SP304", "a function returns a value", node.span)
        return [core.Return(self.expr(value, body, body.result), node.span)]

    def s_execute(self, node: Node, body: Body) -> list[core.Stmt]:
        if body.kind != "instruction":
            raise Mistake("SP305", "'execute' stands in an instruction only", node.span)
        value = self.expr(node.children[0], body)
        if value.width % 8:
            raise Mistake("SP207", "instructions are whole bytes", node.span)
        body.impure = True
        return [core.Execute(value, node.span)]

    def s_region(self, node: Node, body: Body) -> list[core.Stmt]:
        label, condition = node.children
        if body.kind != "instruction":
            raise Mistake("SP305", "'region' stands in an instruction only", node.span)
        test = core.Const(1, 1) if condition is None else self.condition(condition, body)
        if not is_pure(test):
            raise Mistake("SP209", "the condition of a region must not access storage; name what it needs with 'let' first", node.span)
        return [core.Mark(label[1:-1], test, node.span)]

    def s_expect_stmt(self, node: Node, body: Body) -> list[core.Stmt]:
        body.expects.append(tuple(str(word) for word in node.children))
        return []


def replace(whole: core.Expr, new: core.Expr, pieces: tuple[tuple[int, int], ...]) -> core.Expr:
    """``whole`` with the bits at ``pieces`` (left piece first) taken from ``new``."""
    slots: list[tuple[int, int, core.Expr]] = []
    used = new.width
    for high, low in pieces:
        size = high - low + 1
        slots.append((high, low, new if size == new.width else core.Extract(new, used - 1, used - size)))
        used -= size
    parts: list[core.Expr] = []
    at = whole.width - 1
    for high, low, part in sorted(slots, key=lambda slot: -slot[0]):
        if at > high:
            parts.append(core.Extract(whole, at, high + 1))
        parts.append(part)
        at = low - 1
    if at >= 0:
        parts.append(core.Extract(whole, at, 0))
    return parts[0] if len(parts) == 1 else core.Concat(tuple(parts))


def ends(block: list[core.Stmt]) -> bool:
    """Whether every path through the block ends in a return, execute or unconditional trap."""
    if not block:
        return False
    last = block[-1]
    if isinstance(last, core.Return | core.Execute | core.Raise):
        return True
    return isinstance(last, core.If) and ends(last.then) and ends(last.other)


def _any_return(block: list[core.Stmt]) -> bool:
    return any(isinstance(s, core.Return | core.Execute) or (isinstance(s, core.If) and (_any_return(s.then) or _any_return(s.other)))
               for s in block)


def _returns_somewhere(statement: Any) -> bool:
    return isinstance(statement, core.If) and (_any_return(statement.then) or _any_return(statement.other))


__all__ = ["Statements", "ends", "invert", "replace"]
