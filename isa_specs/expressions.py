"""Expressions: names resolved, widths inferred and checked.

A number without a width (:class:`Number`) takes the width of its context; everything else knows its own.
"""

from __future__ import annotations

from typing import Any

from isa_specs import core
from isa_specs.diagnostics import Mistake, Span, nearest
from isa_specs.ops import OPERATORS
from isa_specs.reader import Node, Word
from isa_specs.scope import (
    MAX_WIDTH,
    ArrayComponent,
    Binding,
    Body,
    Cascade,
    CellComponent,
    Component,
    File,
    GroupComponent,
    Layout,
    Poison,
    unknown,
)

BUILTINS = ("zext", "sext", "low", "width", "parity", "min", "max")
AMBIENT = ("ilen", "next")
ILEN_WIDTH = 4
MAX_DIGITS = 1300

_BINARY = {"+": "add", "-": "sub", "*": "mul", "/": "udiv", "/s": "sdiv", "%": "urem", "%s": "srem", "|": "or", "^": "xor", "&": "and",
           "or": "or", "and": "and"}
_COMPARE = {"==": ("eq", False, False), "!=": ("eq", False, True), "<": ("ult", False, False), "<=": ("ule", False, False),
            ">": ("ult", True, False), ">=": ("ule", True, False), "<s": ("slt", False, False), "<=s": ("sle", False, False),
            ">s": ("slt", True, False), ">=s": ("sle", True, False)}
_SHIFT = {"<<": "shl", ">>": "lshr", ">>s": "ashr"}


class Number:
    """A number that has no width yet."""

    __slots__ = ("value",)

    def __init__(self, value: int):
        self.value = value


class Value:
    """An expression, with the layout of its fields if it has one."""

    __slots__ = ("expr", "layout")

    def __init__(self, expr: core.Expr, layout: Layout | None = None):
        self.expr, self.layout = expr, layout


class Place:
    """A component, or the ``file[index]`` member it is reached through."""

    __slots__ = ("component", "file", "index")

    def __init__(self, component: Component | None, file: File | None = None, index: core.Expr | None = None):
        self.component, self.file, self.index = component, file, index


Result = Number | Value | Place | File


def apply(name: str, *args: core.Expr) -> core.Expr:
    return core.Apply(OPERATORS[name], args)


def invert(condition: core.Expr) -> core.Expr:
    return apply("xor", condition, core.Const(1, 1))


def is_pure(expr: core.Expr) -> bool:
    """Whether evaluating ``expr`` again changes nothing and cannot trap."""
    match expr:
        case core.CallFunction():
            return expr.function.pure and all(map(is_pure, expr.args))
        case core.Load():
            return expr.space.physical and is_pure(expr.address)
        case core.Undefined():
            return False
        case core.Apply() | core.CallExtern():
            return all(map(is_pure, expr.args))
        case core.Concat():
            return all(map(is_pure, expr.parts))
        case core.Extract() | core.Extend():
            return is_pure(expr.arg)
        case core.Choice():
            return is_pure(expr.condition) and is_pure(expr.then) and is_pure(expr.other)
        case core.ReadElement():
            return is_pure(expr.index)
    return True


class Expressions:
    """The expression half of the elaborator; the other half provides tables and instantiation."""

    msb0: bool
    consts: dict[str, tuple[int, int | None]]
    state: dict[str, Component]
    files: dict[str, File]
    layouts: dict[str, Layout]
    global_fields: dict[str, int]
    isa: core.Isa

    # ---- entry points ---------------------------------------------------------------

    def value(self, node: Node, body: Body, want: int | None = None) -> Value:
        """The value of an expression; numbers get the width ``want``."""
        return self.settle(self.infer(node, body, want), node, want)

    def settle(self, result: Result, node: Node, want: int | None) -> Value:
        """An inferred result as a value of its own width, or of width ``want`` for a number."""
        if isinstance(result, Number):
            if want is None:
                raise Mistake("SP203", f"the number {result.value} needs a width here", node.span, f"write it as 8'{result.value}, say")
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
            raise unknown(name, ["bits", "bit", "byte", *self.layouts], name.span, "type")
        if not 1 <= width <= MAX_WIDTH:
            raise Mistake("SP207", f"a width of {shorten(width)} is not possible", node.span, f"widths are 1 to {MAX_WIDTH}")
        return width, layout, None if length is None else self.constant(length, body)

    def const(self, value: int, width: int, span: Span) -> core.Const:
        if not -(1 << (width - 1)) <= value < (1 << width):
            raise Mistake("SP208", f"the number {shorten(value)} does not fit in {bits(width)}", span)
        return core.Const(width, value)

    # ---- inference --------------------------------------------------------------------

    def infer(self, node: Node, body: Body, want: int | None) -> Result:
        method = getattr(self, f"x_{node.kind}", None)
        if method is None:  # a chain of binary operators
            return self.x_chain(node, body, want)
        result: Result = method(node, body, want)
        return result

    def x_number(self, node: Node, body: Body, want: int | None) -> Result:
        text = node.children[0]
        if len(text) > MAX_DIGITS:
            raise Mistake("SP208", "this number is too long", node.span, f"widths are at most {MAX_WIDTH}")
        if text.type == "SIZED":
            size, digits = text.split("'")
            width = int(size)
            if not 1 <= width <= MAX_WIDTH:
                raise Mistake("SP207", f"a width of {shorten(width)} is not possible", node.span, f"widths are 1 to {MAX_WIDTH}")
            return Value(self.const(number(digits), width, node.span))
        return Number(number(text))

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
            return Value(core.Field(name, ILEN_WIDTH if name == "ilen" else self.isa.counter.width))
        if name in self.state:
            return Place(self.state[name])
        if name in self.files:
            return self.files[name]
        if name in self.global_fields:
            body.used_fields[name] = node.span
            return Value(core.Field(name, self.global_fields[name]))
        known = body.visible() + list(self.consts) + list(self.state) + list(self.files) + list(self.global_fields) + list(AMBIENT)
        raise unknown(name, known, node.span)

    def x_attribute(self, node: Node, body: Body, want: int | None) -> Result:
        owner, name = node.children
        base = self.infer(owner, body, None)
        if isinstance(base, Place) and base.file is None and isinstance(base.component, GroupComponent):
            group = base.component
            if name in group.children:
                return Place(group.children[name])
            raise unknown(name, list(group.children), name.span, f"field of {group.name}")
        if isinstance(base, Place) and base.file is not None:
            return Place(None, self.subfile(base.file, name), base.index)
        if isinstance(base, Place):
            base = self.read(base, owner.span)
        if isinstance(base, Value) and base.layout is not None:
            pieces = base.layout.fields.get(name)
            if pieces is None:
                raise unknown(name, list(base.layout.fields), name.span, f"field of {base.layout.name}")
            parts = tuple(core.Extract(base.expr, high, low) for high, low in pieces)
            if len(parts) > 1 and not is_pure(base.expr):
                raise Mistake("SP209", "name this value with 'let' before taking a field of it", node.span)
            return Value(parts[0] if len(parts) == 1 else core.Concat(parts))
        raise Mistake("SP210", f"this has no fields, so no '{name}'", node.span, "give it a layout: let x : layout = ...")

    def subfile(self, file: File, name: Word) -> File:
        members: list[Component | None] = []
        for member in file.members:
            if member is None:
                members.append(None)
            elif isinstance(member, GroupComponent) and name in member.children:
                members.append(member.children[name])
            else:
                known = [key for m in file.members if isinstance(m, GroupComponent) for key in m.children]
                raise unknown(name, known, name.span, f"field of {file.name}")
        return File(f"{file.name}[].{name}", tuple(members))

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
                if not 0 <= amount.value <= MAX_WIDTH:
                    raise Mistake("SP208", f"a shift by {shorten(amount.value)} makes no sense", right.span)
                left = Number(left.value << amount.value if operator == "<<" else left.value >> amount.value)
                continue
            value = self.settle(left, node.children[0], want)
            if isinstance(amount, Number):
                by: core.Expr = core.Const(value.expr.width, min(amount.value, (1 << value.expr.width) - 1))
                if amount.value >= value.expr.width and operator != ">>s":
                    left = Value(core.Const(value.expr.width, 0))
                    continue
            else:
                by = self.settle(amount, right, None).expr
            width = max(by.width, value.expr.width)
            wide = core.Extend(value.expr, width, operator == ">>s") if width > value.expr.width else value.expr
            shifted = apply(_SHIFT[operator], wide, extend(by, width))
            left = Value(low(shifted, value.expr.width))
        return left

    def x_chain(self, node: Node, body: Body, want: int | None) -> Result:
        """Left-associative operators: sum, product, bitor, bitxor, bitand, conjunction, disjunction."""
        fixed = {"bitor": "or", "bitxor": "xor", "bitand": "and", "conjunction": "and", "disjunction": "or"}.get(node.kind)
        logical = node.kind in ("conjunction", "disjunction")
        if fixed is not None:
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
                left = Number(fold(operator, left.value, right.value, operand.span))
                continue
            a, b = self.agree(self.rvalue(left, span), self.rvalue(right, operand.span), node, want)
            if logical and a.width != 1:
                raise Mistake("SP202", f"a condition is one bit, this is {bits(a.width)} wide", node.span, "compare it: ... != 0")
            left = Value(apply(operator, a, b))
        return left

    # ---- calls ------------------------------------------------------------------------------

    def x_call(self, node: Node, body: Body, want: int | None) -> Result:
        name: Word = node.children[0]
        args: list[Node] = node.children[1].children if node.children[1] is not None else []
        if name in BUILTINS and name not in getattr(self, "definitions", {}):
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
            odd: core.Expr = core.Extract(value, 0, 0)
            for position in range(1, value.width):
                odd = apply("xor", odd, core.Extract(value, position, position))
            return Value(invert(odd))
        if name in ("min", "max"):
            a, b = self.agree(*self.pair(args[0], args[1], body, want), node, want)
            if not (is_pure(a) and is_pure(b)):
                raise Mistake("SP209", "name these values with 'let' first", node.span)
            return Value(core.Choice(apply("ule", a, b), a, b) if name == "min" else core.Choice(apply("ule", a, b), b, a))
        width = self.constant(args[1], body)
        if not 1 <= width <= MAX_WIDTH:
            raise Mistake("SP207", f"a width of {shorten(width)} is not possible", args[1].span, f"widths are 1 to {MAX_WIDTH}")
        inner = self.infer(args[0], body, None)
        if isinstance(inner, Number):
            return Value(self.const(inner.value, width, args[0].span))
        value = self.rvalue(inner, args[0].span).expr
        if name == "low":
            if width > value.width:
                raise Mistake("SP201", f"cannot take the low {bits(width)} of {bits(value.width)}", node.span, "zext or sext widens")
            return Value(low(value, width))
        if width < value.width:
            raise Mistake("SP201", f"cannot extend {bits(value.width)} to {bits(width)}", node.span, "low or a slice narrows")
        return Value(value if width == value.width else core.Extend(value, width, name == "sext"))

    # ---- helpers ----------------------------------------------------------------------------

    def pair(self, left: Node, right: Node, body: Body, want: int | None) -> tuple[Number | Value, Number | Value]:
        """Both operands; ``undefined`` and numbers on one side take the width of the other."""
        if left.kind == "undefined" and want is None:
            b = self.rvalue(self.infer(right, body, want), right.span)
            return self.rvalue(self.infer(left, body, b.expr.width if isinstance(b, Value) else None), left.span), b
        a = self.rvalue(self.infer(left, body, want), left.span)
        hint = a.expr.width if isinstance(a, Value) else want
        return a, self.rvalue(self.infer(right, body, hint), right.span)

    def rvalue(self, result: Result, span: Span) -> Any:
        if isinstance(result, Place):
            return self.read(result, span)
        if isinstance(result, File):
            raise Mistake("SP204", f"'{result.name}' is a file and needs an index", span)
        return result

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

    def read(self, place: Place, span: Span) -> Value:
        """The value of a component or file member."""
        if place.file is not None:
            assert place.index is not None
            return self.read_member(place.file, place.index, span)
        component = place.component
        if isinstance(component, CellComponent):
            return Value(core.Read(component.cell), component.layout)
        if isinstance(component, ArrayComponent):
            raise Mistake("SP204", f"'{component.array.name}' is an array and needs an index", span)
        assert isinstance(component, GroupComponent)
        if component.layout is None:
            raise Mistake("SP213", f"'{component.name}' has no layout and cannot be read as one word", span,
                          "name a field of it, or give the fields bit positions")
        return Value(self.read_word(component), component.layout)

    def read_word(self, group: GroupComponent) -> core.Expr:
        """The word of a group with positions: its fields in place, unnamed bits zero."""
        assert group.layout is not None
        slots: list[tuple[int, int, core.Expr]] = []
        for name, pieces in group.layout.fields.items():
            child = group.children[name]
            assert isinstance(child, CellComponent)
            used = child.cell.width
            for high, low_ in pieces:
                size = high - low_ + 1
                part = core.Read(child.cell) if size == child.cell.width else core.Extract(core.Read(child.cell), used - 1, used - size)
                slots.append((high, low_, part))
                used -= size
        parts: list[core.Expr] = []
        at = group.layout.width - 1
        for high, low_, part in sorted(slots, key=lambda slot: -slot[0]):
            if at > high:
                parts.append(core.Const(at - high, 0))
            parts.append(part)
            at = low_ - 1
        if at >= 0:
            parts.append(core.Const(at + 1, 0))
        return parts[0] if len(parts) == 1 else core.Concat(tuple(parts))

    def read_member(self, file: File, index: core.Expr, span: Span) -> Value:
        values = [None if member is None else self.read(Place(member), span) for member in file.members]
        present = [value for value in values if value is not None]
        width = present[0].expr.width
        if any(value.expr.width != width for value in present):
            raise Mistake("SP214", f"the members of '{file.name}' differ in width", span)
        if isinstance(index, core.Const):
            chosen = values[index.value]
            return Value(core.Const(width, 0), present[0].layout) if chosen is None else chosen
        result: core.Expr = core.Const(width, 0) if values[-1] is None else values[-1].expr
        for number_ in range(len(values) - 2, -1, -1):
            value = values[number_]
            expr = core.Const(width, 0) if value is None else value.expr
            result = core.Choice(apply("eq", index, core.Const(index.width, number_)), expr, result)
        return Value(result, present[0].layout)


def extend(expr: core.Expr, width: int) -> core.Expr:
    return expr if expr.width == width else core.Extend(expr, width, False)


def low(expr: core.Expr, width: int) -> core.Expr:
    return expr if expr.width == width else core.Extract(expr, width - 1, 0)


def number(text: str) -> int:
    """The value of a decimal, 0x or 0b number, underscores ignored."""
    text = text.replace("_", "")
    return int(text, 16) if text.startswith("0x") else int(text, 2) if text.startswith("0b") else int(text)


def fold(operator: str, a: int, b: int, span: Span) -> int:
    """An operator on numbers without a width."""
    if operator in ("udiv", "sdiv", "urem", "srem") and b == 0:
        raise Mistake("SP208", "division by zero", span)
    if operator == "mul" and a.bit_length() + b.bit_length() > MAX_WIDTH:
        raise Mistake("SP208", "this number is too large", span)
    match operator:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "udiv" | "sdiv":
            return a // b
        case "urem" | "srem":
            return a % b
        case "and":
            return a & b
        case "or":
            return a | b
    return a ^ b


def bits(width: int) -> str:
    return "1 bit" if width == 1 else f"{width} bits"


def shorten(value: int) -> str:
    """A number for a message: huge ones abbreviated."""
    if -(1 << 64) < value < 1 << 64:
        return str(value)
    return f"about 2^{value.bit_length()}"


__all__ = ["Expressions", "Number", "Place", "Value", "apply", "bits", "extend", "invert", "is_pure", "low", "nearest", "number"]
