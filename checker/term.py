"""A term, and what can be seen of one: the terms below it, and how far apart two addresses are."""

from __future__ import annotations

from typing import Any

MAX_WORD = 64  # wider values are there to be taken apart again


Place = tuple[tuple[int, ...], int, int, int]
"""What an address starts from, its distance from there; how many of its low bits are constant, and what they are."""


class Term:
    """A node. ``op`` names it, ``args`` are terms, ``data`` what else defines it.

    ``width`` is in bits; for memories it is the width of a cell and ``address`` that of an address (else 0). ``place`` is what is
    known of it as an address, once that was asked for."""

    __slots__ = ("address", "args", "data", "ident", "op", "place", "width")

    def __init__(self, ident: int, op: str, args: tuple[Term, ...], data: Any, width: int, address: int):
        self.ident, self.op, self.args, self.data, self.width, self.address = ident, op, args, data, width, address
        self.place: Place | None = None

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


def _distance(term: Term) -> tuple[tuple[int, ...], int]:
    """An address as a distance from what it starts from; the same start is the same tuple, that of a number is empty."""
    if term.op == "const":
        return (), term.data
    if term.op == "add" and term.args[1].op == "const":
        start, distance = _distance(term.args[0])
        return start, distance + term.args[1].data & (1 << term.width) - 1
    if term.op == "zext" and term.args[0].op == "concat":
        return _distance(term.args[0])
    if term.op == "concat":
        *parts, low = term.args
        if low.op != "const":
            return tuple([part.ident for part in term.args]), 0
        start, distance = _distance(parts[0]) if len(parts) == 1 else (tuple([part.ident for part in parts]), 0)
        return (*start, -low.width), distance << low.width | low.data
    return ((term.args[0] if term.op == "zext" else term).ident,), 0


def _place(term: Term) -> Place:
    if term.place is None:
        term.place = (*_distance(term), *_low_bits(term))
    return term.place


def apart(a: Term, b: Term) -> bool:
    """Whether two addresses differ for certain: at different distances from one start, or with unlike low bits."""
    start, distance, known, bits = a.place or _place(a)
    other_start, other_distance, other_known, other_bits = b.place or _place(b)
    if start == other_start:
        return distance != other_distance
    return bool((bits ^ other_bits) & (1 << min(known, other_known)) - 1)


def _low_bits(term: Term) -> tuple[int, int]:
    """How many low bits are constant, and what they are."""
    if term.op == "const":
        return term.width, term.data
    if term.op == "zext":
        return _low_bits(term.args[0])
    if term.op == "concat":
        return _low_bits(term.args[-1])
    return 0, 0


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
