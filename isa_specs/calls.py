"""Calls in expressions: built-in functions, spaces, and what the description defines."""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Mistake
from isa_specs.operators import Operators
from isa_specs.reader import Node, Word
from isa_specs.scope import MAX_WIDTH, Body
from isa_specs.values import Number, Result, Value, apply, bits, extend, invert, is_pure, low, shorten

BUILTINS = ("zext", "sext", "low", "width", "parity", "min", "max")


class Calls(Operators):
    """The part of the elaborator that reads calls; instantiation is added by those built on it."""

    def x_call(self, node: Node, body: Body, want: int | None) -> Result:
        name: Word = node.children[0]
        args: list[Node] = node.children[1].children if node.children[1] is not None else []
        if name in BUILTINS and name not in self.definitions:
            return self.builtin(name, args, node, body, want)
        if name in self.isa.spaces:
            return self.load(self.isa.spaces[name], args, node, body)
        return self.call_function(name, args, node, body)

    def call_function(self, name: Word, args: list[Node], node: Node, body: Body) -> Value:
        raise NotImplementedError  # pragma: no cover - provided by the elaborator

    def load(self, space: core.Space, args: list[Node], node: Node, body: Body) -> Value:
        address, width = self.access(space, args, node, body)
        if not space.physical:
            body.impure = True
        return Value(core.Load(space, address, width))

    def access(self, space: core.Space, args: list[Node], node: Node, body: Body) -> tuple[core.Expr, int]:
        """Address and width in bits of ``space(address[, width])``."""
        if space.cell_width == 8:
            if len(args) != 2:
                raise Mistake("SP212", f"{space.name} takes an address and a width: {space.name}(a, 32)", node.span)
            width = self.constant(args[1], body)
            if width % 8 or not 8 <= width <= MAX_WIDTH:
                raise Mistake("SP207", f"an access of {shorten(width)} bits is not possible", args[1].span, "a multiple of 8")
        else:
            if len(args) != 1:
                raise Mistake("SP212", f"{space.name} takes one argument, the number of the cell", node.span)
            width = space.cell_width
        return self.expr(args[0], body, space.address_width), width

    def builtin(self, name: Word, args: list[Node], node: Node, body: Body, want: int | None) -> Result:
        count = 1 if name in ("width", "parity") else 2
        if len(args) != count:
            raise Mistake("SP212", f"{name} takes {count} argument{'s' * (count > 1)}, not {len(args)}", node.span)
        if name == "width":
            return Number(self.value(args[0], body).expr.width)
        if name == "parity":
            value = self.value(args[0], body).expr
            if not is_pure(value):
                raise Mistake("SP209", "name this value with 'let' first", args[0].span)
            self.spend(value.width, node.span)
            while value.width > 64:  # by halves, so that the expression stays shallow
                half = (value.width + 1) // 2
                value = apply("xor", low(value, half), extend(core.Extract(value, value.width - 1, half), half))
            odd: core.Expr = core.Extract(value, 0, 0)
            for position in range(1, value.width):
                odd = apply("xor", odd, core.Extract(value, position, position))
            return Value(invert(odd))
        if name in ("min", "max"):
            a, b = self.agree(*self.pair(args[0], args[1], body, want), node, want)
            if not (is_pure(a) and is_pure(b)):
                raise Mistake("SP209", "name these values with 'let' first", node.span)
            return Value(core.Choice(apply("ule", a, b), a, b) if name == "min" else core.Choice(apply("ule", a, b), b, a))
        width = self.possible(self.constant(args[1], body), args[1])
        inner = self.infer(args[0], body, None)
        if isinstance(inner, Number):
            return Value(self.const(inner.value, width, args[0].span))
        value = self.settle(inner, args[0], None).expr
        if name == "low":
            if width > value.width:
                raise Mistake("SP201", f"cannot take the low {bits(width)} of {bits(value.width)}", node.span, "zext or sext widens")
            return Value(low(value, width))
        if width < value.width:
            raise Mistake("SP201", f"cannot extend {bits(value.width)} to {bits(width)}", node.span, "low or a slice narrows")
        return Value(value if width == value.width else core.Extend(value, width, name == "sext"))
