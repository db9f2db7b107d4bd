"""Expressions over the components of a state, evaluated for all rows of a batch at once.

A column has one value for each row: words of 64 bits, or Python's integers where a value is wider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isa_specs.core import Apply, Cell, Choice, Concat, Const, Expr, Extend, Extract, Read
from isa_specs.evaluate import NotPure
from machine.batch import Batch
from machine.generated.layout import limbs

Rows = NDArray[np.int64]
Column = NDArray[Any]
WORD = (1 << 64) - 1


def read(batch: Batch, cell: Cell, rows: Rows) -> Column:
    """What a component is in each row."""
    at = batch.column(cell.name)
    words: list[Column] = [rows[:, at + limb].view(np.uint64) for limb in range(limbs(cell.width))]
    if len(words) == 1:
        return words[0]
    return _sum([word.astype(object) << 64 * limb for limb, word in enumerate(words)])


def write(batch: Batch, cell: Cell, rows: Rows, values: Column) -> None:
    """Give a component its values, one a row."""
    at, count = batch.column(cell.name), limbs(cell.width)
    for limb in range(count):
        word = values if count == 1 else values >> 64 * limb & WORD
        rows[:, at + limb] = word.astype(np.uint64).view(np.int64)


def compiled(batch: Batch, expr: Expr) -> Callable[[Rows], Column]:
    """``expr`` as a function of rows; raises :class:`NotPure`, at once, for one that is made of more than scalar components."""
    width, mask = expr.width, (1 << expr.width) - 1
    kind = _kind(width)
    match expr:
        case Const(value=value):
            return lambda rows: np.full(len(rows), value, kind)
        case Read(cell=cell):
            return lambda rows: read(batch, cell, rows)
        case Apply(op=op, args=args):
            columns, operand = [compiled(batch, arg) for arg in args], args[0].width
            # Maps are seldom more than fields put together: the operator's plain reading is quick enough.
            each = np.frompyfunc(lambda *values: op.plain(operand, *values) & mask, len(args), 1)
            return lambda rows: each(*(column(rows).astype(object) for column in columns)).astype(kind)
        case Extract(arg=arg, low=low):
            whole = compiled(batch, arg)
            return lambda rows: (whole(rows) >> low & mask).astype(kind)
        case Extend(arg=arg, signed=signed):
            narrow, sign = compiled(batch, arg), arg.width - 1
            above = mask ^ (1 << arg.width) - 1 if signed else 0

            def extended(rows: Rows) -> Column:
                value: Column = narrow(rows).astype(kind)
                filled: Column = value | (value >> sign & 1) * above
                return filled

            return extended
        case Concat(parts=parts):
            pieces = [(compiled(batch, part), sum(after.width for after in parts[i + 1 :])) for i, part in enumerate(parts)]
            return lambda rows: _sum([piece(rows).astype(kind) << shift for piece, shift in pieces])
        case Choice(condition=condition, then=then, other=other):
            c, a, b = (compiled(batch, part) for part in (condition, then, other))
            return lambda rows: np.where(c(rows) != 0, a(rows), b(rows))
    raise NotPure(type(expr).__name__)


def _kind(width: int) -> type:
    return np.uint64 if width <= 64 else object


def _sum(columns: list[Column]) -> Column:
    whole = columns[0]
    for column in columns[1:]:
        whole = whole | column
    return whole
