"""Operators, slices and joins of at most 64 bits, as texts without effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs import core
from machine.generated import wide
from machine.generated.layout import literal, mask

if TYPE_CHECKING:
    from machine.generated.bodies import Body


def applied(body: Body, e: core.Apply) -> str:
    if e.op.predicate:
        return f"int({body.condition(e)})"
    return f"({operator(body, e)})"


def operator(body: Body, e: core.Apply) -> str:
    width = e.args[0].width
    amount = e.args[-1]
    if e.op.name in ("shl", "lshr") and isinstance(amount, core.Const):
        # The primitives test the amount; a constant one needs no test.
        text = body.value(e.args[0])
        if amount.value >= width:
            return "0"
        if e.op.name == "shl":
            return f"{text} << {amount.value} & {mask(width)}"
        return _right(text, amount.value, width)
    # A word of 64 bits is its own signed reading; x ^ s - s would overflow, of which Numba makes what it likes.
    sign = "0" if width == 64 else literal(1 << width - 1, 64)
    return e.op.jit.format(*body.values(e.args), m=mask(width), w=width, s=sign)


def _right(text: str, amount: int, width: int) -> str:
    """Shifted right by a constant, zeros coming in."""
    if not amount:
        return text
    return f"LSHR({text}, {amount}, 64)" if width == 64 else f"({text} >> {amount})"


def extract(body: Body, e: core.Extract) -> str:
    if e.arg.width > 64:
        return wide.extract(body, e)
    text = body.value(e.arg)
    if e.width == e.arg.width:
        return text
    shifted = _right(text, e.low, e.arg.width)
    return shifted if e.high == e.arg.width - 1 else f"({shifted} & {mask(e.width)})"


def concat(body: Body, e: core.Concat) -> str:
    shift, out = e.width, []
    for part, text in zip(e.parts, body.values(e.parts), strict=True):
        shift -= part.width
        if isinstance(part, core.Const) and not part.value:
            continue
        out.append(f"{text} << {shift}" if shift else text)
    return f"({' | '.join(out)})" if out else "0"
