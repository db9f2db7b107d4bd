"""Expressions: names resolved, widths inferred and checked.

A number without a width (:class:`Number`) takes the width of its context; everything else knows its own.
"""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Mistake, Span
from isa_specs.places import Places
from isa_specs.reader import Node, Word
from isa_specs.scope import MAX_WIDTH, ArrayComponent, Binding, Body, Cascade, File, GroupComponent, Layout, Poison
from isa_specs.values import (
    Number,
    Place,
    Result,
    Value,
    apply,
    bits,
    extend,
    is_pure,
    number,
    pick,
        shorten,
)

AMBIENT = ("ilen", "next")
ILEN_WIDTH = 4


class Expressions(Places):
    """The part of the elaborator that reads expressions; calls are added by those built on it."""

    # ---- entry points ---------------------------------------------------------------

    def value(self, node: Node, body: Body, want: int | None = None) -> Value:
        """The value of an expression; numbers get the width ``want``."""
        return self.settle(self.infer(node, body, want), node, want)

    def settle(self, result: Result, node: Node, want: int | None) -> Value:
        """An inferred result as a value of its own width, or of width ``want`` for a number."""
        if isinstance(result, Number):
            if want is None:
                raise Mistake("SP203", f"the number {shorten(result.value)} needs a width here", node.span, "write it as 8'1, say")
            return Value(self.const(result.value, want, node.span))
        if isinstance(result, Place):
            return self.read(result, node.span)
        if isinstance(result, File):
            raise Mistake("SP204", f"'{result.name}' is a file and needs an index", node.span)
        return result

    def expr(self, node: Node, body: Body, width: int | None = None) -> core.Expr:
        """The expression, checked to be ``width`` bits wide when that is given."""
        expr = self.value(node, body, width).expr
        if width is not None and expr.width != width:
            raise Mistake("SP201", f"this is {bits(expr.width)} wide, {bits(width)} needed", node.span,
                          "zext, sext, low or a slice changes a width")
        return expr

    def condition(self, node: Node, body: Body) -> core.Expr:
        return self.as_condition(self.infer(node, body, 1), node)

    def as_condition(self, result: Result, node: Node) -> core.Expr:
        expr = self.settle(result, node, 1).expr
        if expr.width != 1:
            raise Mistake("SP202", f"a condition is one bit, this is {bits(expr.width)} wide", node.span, "compare it: ... != 0")
        return expr

    def constant(self, node: Node, body: Body) -> int:
        """A compile-time number."""
        result = self.infer(node, body, None)
        if isinstance(result, Number):
            return result.value
        if isinstance(result, Value) and isinstance(result.expr, core.Const):
            return result.expr.value
        raise Mistake("SP205", "a constant is needed here", node.span)

    def width_of(self, node: Node | None, body: Body) -> tuple[int, Layout | None, int | None]:
        """A type as (width, layout, array length)."""
        assert node is not None
        name, argument, length = node.children
        if name == "bit":
            width, layout = 1, None
        elif name == "byte":
            width, layout = 8, None
        elif name == "bits":
            if argument is None:
                raise Mistake("SP206", "bits needs a width: bits(8)", node.span)
            width, layout = self.constant(argument, body), None
        elif name in self.layouts:
            layout = self.layouts[name]
            width = layout.width
        else:
            raise self.unknown(name, ["bits", "bit", "byte", *self.layouts], name.span, "type")
        if argument is not None and name != "bits":
            raise Mistake("SP206", f"'{name}' takes no width", node.span)
        return self.possible(width, node), layout, None if length is None else self.constant(length, body)

    def scalar(self, node: Node | None, body: Body) -> tuple[int, Layout | None]:
        """A type that is not an array, as (width, layout)."""
        width, layout, length = self.width_of(node, body)
        if length is not None:
            assert node is not None
            raise Mistake("SP206", "only components of the state can be arrays", node.span)
        return width, layout

    def possible(self, width: int, node: Node) -> int:
        """``width``, if a value can have it."""
        if not 1 <= width <= MAX_WIDTH:
            raise Mistake("SP207", f"a width of {shorten(width)} is not possible", node.span, f"widths are 1 to {MAX_WIDTH}")
        return width

    def const(self, value: int, width: int, span: Span) -> core.Const:
        if not -(1 << (width - 1)) <= value < (1 << width):
            raise Mistake("SP208", f"the number {shorten(value)} does not fit in {bits(width)}", span)
        return core.Const(width, value)

    # ---- inference --------------------------------------------------------------------

    def infer(self, node: Node, body: Body, want: int | None) -> Result:
        self.spend(1, node.span)
        self.descend(node)
        try:
            result: Result = getattr(self, f"x_{node.kind}")(node, body, want)
        finally:
            self.levels -= 1
        return result

    def x_number(self, node: Node, body: Body, want: int | None) -> Result:
        text = node.children[0]
        if text.type != "SIZED":
            return Number(number(text))
        size, _, digits = text.partition("'")
        width = self.possible(number(Word(size, text.span)), node)
        return Value(self.const(number(Word(digits, text.span)), width, node.span))

    def x_undefined(self, node: Node, body: Body, want: int | None) -> Result:
        if want is None:
            raise Mistake("SP203", "undefined needs a width here", node.span, "name it with a type: let x : bits(8) = undefined")
        return Value(core.Undefined(want))

    def x_name(self, node: Node, body: Body, want: int | None) -> Result:
        name: Word = node.children[0]
        bound = body.find(name)
        if isinstance(bound, Poison):
            raise Cascade
        if isinstance(bound, int):
            return Number(bound)
        if isinstance(bound, Binding):
            return Value(bound.local, bound.layout)
        if name in body.fields:
            body.used_fields[name] = node.span
            return Value(core.Field(name, body.fields[name]))
        if name in self.consts:
            value, width = self.consts[name]
            return Number(value) if width is None else Value(core.Const(width, value))
        if name in AMBIENT:
            body.used_fields[name] = node.span
            return Value(core.Field(name, ILEN_WIDTH if name == "ilen" else self.isa.counter.width))
        if name in self.state:
            return Place(self.state[name])
        if name in self.files:
            return self.files[name]
        if name in self.global_fields:
            body.used_fields[name] = node.span
            return Value(core.Field(name, self.global_fields[name]))
        known = body.visible() + list(self.consts) + list(self.state) + list(self.files) + list(self.global_fields) + list(AMBIENT)
        raise self.unknown(name, known, node.span)

    def x_attribute(self, node: Node, body: Body, want: int | None) -> Result:
        owner, name = node.children
        base = self.infer(owner, body, None)
        if isinstance(base, Place) and base.file is None and isinstance(base.component, GroupComponent):
            group = base.component
            if name in group.children:
                return Place(group.children[name])
            raise self.unknown(name, list(group.children), name.span, f"field of {group.name}")
        if isinstance(base, Place) and base.file is not None:
            return Place(None, self.subfile(base.file, name), base.index)
        if isinstance(base, Place):
            base = self.read(base, owner.span)
        if isinstance(base, Value) and base.layout is not None:
            pieces = base.layout.fields.get(name)
            if pieces is None:
                raise self.unknown(name, list(base.layout.fields), name.span, f"field of {base.layout.name}")
            if len(pieces) > 1 and not is_pure(base.expr):
                raise Mistake("SP209", "name this value with 'let' before taking a field of it", node.span)
            return Value(pick(base.expr, pieces))
        raise Mistake("SP210", f"this has no fields, so no '{name}'", node.span, "give it a layout: let x : layout = ...")

    def x_index(self, node: Node, body: Body, want: int | None) -> Result:
        owner, index = node.children
        base = self.infer(owner, body, None)
        if isinstance(base, File):
            width = max(1, (len(base.members) - 1).bit_length())
            at = self.expr(index, body, width)
            if not is_pure(at):
                raise Mistake("SP209", "name this index with 'let' first", index.span)
            return Place(None, base, at)
        if isinstance(base, Place) and base.file is None and isinstance(base.component, ArrayComponent):
            array = base.component.array
            return Value(core.ReadElement(array, self.expr(index, body, array.index_width)), base.component.layout)
        value = self.read(base, owner.span) if isinstance(base, Place) else base
        if not isinstance(value, Value):
            raise Mistake("SP203", "a plain number has no bits to pick", node.span, "give it a width: 8'0x1F")
        return Value(self.bit(value.expr, index, body))

    def bit(self, expr: core.Expr, index: Node, body: Body) -> core.Expr:
        """Bit ``index`` of ``expr`` in the description's numbering."""
        result = self.infer(index, body, None)
        if isinstance(result, Number):
            if not 0 <= result.value < expr.width:
                raise Mistake("SP211", f"there is no bit {shorten(result.value)} in {bits(expr.width)}", index.span)
            position = expr.width - 1 - result.value if self.msb0 else result.value
            return core.Extract(expr, position, position)
        at = self.expr(index, body)
        width = max(at.width, expr.width)
        amount = extend(at, width)
        if self.msb0:
            amount = apply("sub", core.Const(width, expr.width - 1), amount)
        return core.Extract(apply("lshr", extend(expr, width), amount), 0, 0)

    def slice_bounds(self, width: int, first: Node, second: Node, body: Body) -> tuple[int, int]:
        """(high, low) in lsb0 positions of a slice written in the description's numbering."""
        a, b = self.constant(first, body), self.constant(second, body)
        high, low = (width - 1 - a, width - 1 - b) if self.msb0 else (a, b)
        if not 0 <= low <= high < width:
            order = "first:last, 0 is leftmost" if self.msb0 else "high:low, 0 is rightmost"
            raise Mistake("SP211", f"there is no slice [{shorten(a)}:{shorten(b)}] in {bits(width)}", first.span, f"slices are [{order}]")
        return high, low

    def x_slice(self, node: Node, body: Body, want: int | None) -> Result:
        owner, first, second = node.children
        value = self.value(owner, body)
        high, low = self.slice_bounds(value.expr.width, first, second, body)
        return Value(core.Extract(value.expr, high, low))

    def rvalue(self, result: Result, span: Span) -> Number | Value:
        if isinstance(result, Place):
            return self.read(result, span)
        if isinstance(result, File):
            raise Mistake("SP204", f"'{result.name}' is a file and needs an index", span)
        return result
