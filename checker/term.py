"""A term, and what can be seen of one: the terms below it, and how far apart two addresses are."""

from __future__ import annotations

from typing import Any

MAX_WORD = 64  # wider values are there to be taken apart again


class Term:
    """A node. ``op`` names it, ``args`` are terms, ``data`` what else defines it.

    ``width`` is in bits; for memories it is the width of a cell and ``address`` that of an address (else 0)."""

    __slots__ = ("address", "args", "data", "ident", "op", "width")

    def __init__(self, ident: int, op: str, args: tuple[Term, ...], data: Any, width: int, address: int):
        self.ident, self.op, self.args, self.data, self.width, self.address = ident, op, args, data, width, address

    def __repr__(self) -> str:
        if self.op == "const":
            return f"{self.width}'{self.data:#x}"
        if self.op == "var":
            return str(self.data)
        # Arguments by number: written out, shared terms would be repeated without end.
        return f"{self.op}{'' if self.data is None else self.data}({', '.join(f'#{arg.ident}' for arg in self.args)})"

    @property
    def is_const(self) -> bool:
        return self.op == "const"


def walk(roots: list[Term]) -> list[Term]:
    """Every term below ``roots``, arguments before users."""
    seen: set[int] = set()
    order: list[Term] = []
    stack: list[tuple[Term, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        term, done = stack.pop()
        if done:
            order.append(term)
        elif term.ident not in seen:
            seen.add(term.ident)
            stack.append((term, True))
            stack.extend((arg, False) for arg in reversed(term.args) if arg.ident not in seen)
    return order


def base_and_offset(term: Term) -> tuple[Term | None, int]:
    """An address as a distance from a base; None: from zero."""
    if term.op == "const":
        return None, term.data
    if term.op == "add" and term.args[1].op == "const":
        return term.args[0], term.args[1].data
    return term, 0


def apart(a: Term, b: Term) -> bool:
    """Whether two addresses differ for certain: at different distances from one base, or from bases aligned too well to meet."""
    x, i = base_and_offset(a)
    y, j = base_and_offset(b)
    if x is y:
        return i != j
    return bool((i - j) & ((1 << min(alignment(x), alignment(y))) - 1))


def alignment(base: Term | None) -> int:
    """How many low bits of an address are zero for certain."""
    if base is None:
        return MAX_WORD
    if base.op == "const":
        return (base.data & -base.data).bit_length() - 1 if base.data else MAX_WORD
    if base.op == "concat":
        low = alignment(base.args[-1])
        return min(low, base.args[-1].width)
    if base.op == "zext":
        return alignment(base.args[0])
    return 0
