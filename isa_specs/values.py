"""What an expression of a description turns out to be, and the small things that are made of it."""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Mistake, Span
from isa_specs.ops import OPERATORS
from isa_specs.reader import Word
from isa_specs.scope import MAX_WIDTH, Component, File, Layout

MAX_DIGITS = 1300  # a number of MAX_WIDTH bits


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


def extend(expr: core.Expr, width: int) -> core.Expr:
    return expr if expr.width == width else core.Extend(expr, width, False)


def low(expr: core.Expr, width: int) -> core.Expr:
    return expr if expr.width == width else core.Extract(expr, width - 1, 0)


def join(parts: list[core.Expr]) -> core.Expr:
    return parts[0] if len(parts) == 1 else core.Concat(tuple(parts))


def pick(whole: core.Expr, pieces: tuple[tuple[int, int], ...]) -> core.Expr:
    """The bits of ``whole`` at ``pieces`` (high, low), joined from left to right."""
    return join([core.Extract(whole, high, low) for high, low in pieces])


def is_pure(expr: core.Expr) -> bool:
    """Whether evaluating ``expr`` again changes nothing, gives the same and cannot trap."""
    # Parts can be shared, so that as a tree the expression may be exponentially large: each is looked at once.
    seen: set[int] = set()
    work = [expr]
    while work:
        part = work.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        match part:
            case core.CallFunction(function=function) if not function.pure:
                return False
            case core.Load(space=space) if not space.physical:
                return False
            case core.Undefined():
                return False
        work.extend(core.operands(part))
    return True


def number(text: Word) -> int:
    """The value of a decimal, 0x or 0b number, underscores ignored."""
    if len(text) > MAX_DIGITS:
        raise Mistake("SP208", "this number is too long", text.span, f"widths are at most {MAX_WIDTH}")
    return plain_number(text)


def plain_number(text: str) -> int:
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


def shift(operator: str, a: int, amount: int, span: Span) -> int:
    """A shift of a number without a width."""
    if not 0 <= amount <= MAX_WIDTH or (operator == "<<" and a.bit_length() + amount > MAX_WIDTH):
        raise Mistake("SP208", f"a shift by {shorten(amount)} makes no sense", span)
    return a << amount if operator == "<<" else a >> amount


def bits(width: int) -> str:
    return "1 bit" if width == 1 else f"{shorten(width)} bits"


def shorten(value: int) -> str:
    """A number for a message: huge ones abbreviated."""
    if -(1 << 64) < value < 1 << 64:
        return str(value)
    return f"about {'-' * (value < 0)}2^{value.bit_length()}"
