"""Operators, choices and comparisons."""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Mistake
from isa_specs.expressions import Expressions
from isa_specs.reader import Node
from isa_specs.scope import MAX_WIDTH, Body
from isa_specs.values import Number, Result, Value, apply, bits, extend, fold, invert, is_pure, low, shift, shorten

_BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "udiv", "/s": "sdiv", "%": "urem", "%s": "srem"}
_COMPARE = {"==": ("eq", False, False), "!=": ("eq", False, True), "<": ("ult", False, False), "<=": ("ule", False, False),
            ">": ("ult", True, False), ">=": ("ule", True, False), "<s": ("slt", False, False), "<=s": ("sle", False, False),
            ">s": ("slt", True, False), ">=s": ("sle", True, False)}
_CHAINS = {"bitor": "or", "bitxor": "xor", "bitand": "and", "conjunction": "and", "disjunction": "or", "sum": "", "product": ""}
_SHIFT = {"<<": "shl", ">>": "lshr", ">>s": "ashr"}


class Operators(Expressions):
    """The part of the elaborator that reads operators; both operands have one width."""

    def x_if_expr(self, node: Node, body: Body, want: int | None) -> Result:
        test, yes, no = node.children
        decided = self.infer(test, body, 1)
        if isinstance(decided, Number):  # a condition on constants chooses while the description is read
            return self.infer(yes if decided.value else no, body, want)
        condition = self.as_condition(decided, test)
        if isinstance(condition, core.Const):
            return self.infer(yes if condition.value else no, body, want)
        then, other = self.pair(yes, no, body, want)
        a, b = self.agree(then, other, node, want)
        return Value(core.Choice(condition, a, b), then.layout if isinstance(then, Value) else None)

    def x_logical_not(self, node: Node, body: Body, want: int | None) -> Result:
        inner = self.infer(node.children[0], body, 1)
        if isinstance(inner, Number):
            return Number(int(not inner.value))
        return Value(invert(self.as_condition(inner, node.children[0])))

    def x_complement(self, node: Node, body: Body, want: int | None) -> Result:
        return Value(apply("not", self.value(node.children[0], body, want).expr))

    def x_negate(self, node: Node, body: Body, want: int | None) -> Result:
        inner = self.infer(node.children[0], body, want)
        if isinstance(inner, Number):
            return Number(-inner.value)
        return Value(apply("neg", self.settle(inner, node.children[0], want).expr))

    def x_compare(self, node: Node, body: Body, want: int | None) -> Result:
        left, operator, right = node.children
        name, swap, negate = _COMPARE[operator]
        a, b = self.pair(left, right, body, None)
        if isinstance(a, Number) and isinstance(b, Number):
            x, y = (b.value, a.value) if swap else (a.value, b.value)
            outcome = x == y if name == "eq" else x < y if name in ("ult", "slt") else x <= y
            return Number(int(outcome != negate))
        x_expr, y_expr = self.agree(a, b, node, None)
        test = apply(name, y_expr, x_expr) if swap else apply(name, x_expr, y_expr)
        return Value(invert(test) if negate else test)

    def x_member(self, node: Node, body: Body, want: int | None) -> Result:
        item = self.value(node.children[0], body).expr
        if not is_pure(item):
            raise Mistake("SP209", "name this value with 'let' first", node.children[0].span)
        test: core.Expr | None = None
        for candidate in node.children[1:]:
            one = apply("eq", item, self.expr(candidate, body, item.width))
            test = one if test is None else apply("or", test, one)
        assert test is not None
        return Value(test)

    def x_concat(self, node: Node, body: Body, want: int | None) -> Result:
        parts = tuple(self.value(child, body).expr for child in node.children)
        width = sum(part.width for part in parts)
        if width > MAX_WIDTH:
            raise Mistake("SP207", f"a width of {width} is not possible", node.span, f"widths are 1 to {MAX_WIDTH}")
        return Value(core.Concat(parts))

    def x_shift(self, node: Node, body: Body, want: int | None) -> Result:
        left = self.infer(node.children[0], body, want)
        for operator, right in zip(node.children[1::2], node.children[2::2], strict=True):
            amount = self.infer(right, body, None)
            if isinstance(left, Number) and isinstance(amount, Number):
                left = Number(shift(operator, left.value, amount.value, right.span))
                continue
            value = self.settle(left, node.children[0], want)
            if isinstance(amount, Number):
                if amount.value < 0:
                    raise Mistake("SP208", f"a shift by {shorten(amount.value)} makes no sense", right.span)
                by: core.Expr = core.Const(value.expr.width, min(amount.value, (1 << value.expr.width) - 1))
                if amount.value >= value.expr.width and operator != ">>s" and is_pure(value.expr):
                    left = Value(core.Const(value.expr.width, 0))
                    continue
            else:
                by = self.settle(amount, right, None).expr
            width = max(by.width, value.expr.width)
            wide = value.expr if width == value.expr.width else core.Extend(value.expr, width, operator == ">>s")
            shifted = apply(_SHIFT[operator], wide, extend(by, width))
            left = Value(low(shifted, value.expr.width))
        return left

    def x_chain(self, node: Node, body: Body, want: int | None) -> Result:
        """Left-associative operators."""
        fixed = _CHAINS[node.kind]
        logical = node.kind in ("conjunction", "disjunction")
        if fixed:
            operands, operators = node.children, [fixed] * (len(node.children) - 1)
        else:
            operands, operators = node.children[0::2], [_BINARY[op] for op in node.children[1::2]]
        if logical:
            want = 1
        left: Result = self.infer(operands[0], body, want)
        span = operands[0].span
        for operator, operand in zip(operators, operands[1:], strict=True):
            right = self.infer(operand, body, want)
            if isinstance(left, Number) and isinstance(right, Number):
                if logical and not {left.value, right.value} <= {0, 1}:
                    raise Mistake("SP202", "a condition is one bit, this is a number", operand.span, "compare it: ... != 0")
                left = Number(fold(operator, left.value, right.value, operand.span))
                continue
            a, b = self.agree(self.rvalue(left, span), self.rvalue(right, operand.span), node, want)
            if logical and a.width != 1:
                raise Mistake("SP202", f"a condition is one bit, this is {bits(a.width)} wide", node.span, "compare it: ... != 0")
            left = Value(apply(operator, a, b))
        return left

    x_sum = x_product = x_bitor = x_bitxor = x_bitand = x_conjunction = x_disjunction = x_chain

    # ---- operands ---------------------------------------------------------------------------

    def pair(self, left: Node, right: Node, body: Body, want: int | None) -> tuple[Number | Value, Number | Value]:
        """Both operands; ``undefined`` and numbers on one side take the width of the other."""
        if left.kind == "undefined" and want is None:
            b = self.rvalue(self.infer(right, body, want), right.span)
            return self.rvalue(self.infer(left, body, b.expr.width if isinstance(b, Value) else None), left.span), b
        a = self.rvalue(self.infer(left, body, want), left.span)
        hint = a.expr.width if isinstance(a, Value) else want
        return a, self.rvalue(self.infer(right, body, hint), right.span)

    def agree(self, a: Number | Value, b: Number | Value, node: Node, want: int | None) -> tuple[core.Expr, core.Expr]:
        """Two operands as expressions of one width."""
        if isinstance(a, Number) and isinstance(b, Number):
            if want is None:
                raise Mistake("SP203", "these numbers need a width here", node.span, "write 8'1, say")
            return self.const(a.value, want, node.span), self.const(b.value, want, node.span)
        if isinstance(a, Number):
            assert isinstance(b, Value)
            return self.const(a.value, b.expr.width, node.span), b.expr
        if isinstance(b, Number):
            return a.expr, self.const(b.value, a.expr.width, node.span)
        if a.expr.width != b.expr.width:
            raise Mistake("SP201", f"the operands are {bits(a.expr.width)} and {bits(b.expr.width)} wide", node.span,
                          "zext, sext, low or a slice changes a width")
        return a.expr, b.expr
