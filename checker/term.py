"""A term, and what can be seen of one: the terms below it, and how far apart two addresses are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")

MAX_WORD = 64  # wider values are there to be taken apart again


Place = tuple[tuple[int, ...], int, int, int, int]
"""What an address starts from, its distance from there and the mask of the bits in which distances tell; the mask of its own bits
that are constant, and what they are."""


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


class Built(dict[tuple[*Ts], Term]):
    """Terms by what they were built from: most are built again and again, as most runs share most of what they do."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[[*Ts], Term]):
        self._build = build

    def __missing__(self, key: tuple[*Ts]) -> Term:
        term = self[key] = self._build(*key)
        return term


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


def _distance(term: Term) -> tuple[tuple[int, ...], int, int]:
    """An address as a distance from what it starts from, and the mask of the bits in which unlike distances make unlike addresses;
    the same start is the same tuple, that of a number is empty."""
    if term.op == "const":
        return (), term.data, -1
    if term.op == "add" and term.args[1].op == "const":
        start, distance, telling = _distance(term.args[0])
        whole = (1 << term.width) - 1
        return start, distance + term.args[1].data & whole, telling & whole
    if term.op == "zext":
        return _distance(term.args[0])
    if term.op == "concat":
        return _joined(term.args)
    return (term.ident,), 0, -1


def _joined(parts: tuple[Term, ...]) -> tuple[tuple[int, ...], int, int]:
    """The distance of a join. What is added to its last part does not carry into those before."""
    *front, last = parts
    if last.op == "const":
        start, distance, telling = _joined(tuple(front)) if len(front) > 1 else _distance(front[0])
        return (*start, -last.width), distance << last.width | last.data, telling << last.width | (1 << last.width) - 1
    start, distance, telling = _distance(last)
    return (*[part.ident for part in front], *start), distance, telling


def _place(term: Term) -> Place:
    if term.place is None:
        term.place = (*_distance(term), *_known(term))
    return term.place


def apart(a: Term, b: Term) -> bool:
    """Whether two addresses differ for certain: at different distances from one start, or in bits that are constant."""
    start, distance, telling, known, bits = a.place or _place(a)
    other_start, other_distance, other_telling, other_known, other_bits = b.place or _place(b)
    if start == other_start and (distance ^ other_distance) & telling & other_telling:
        return True
    return bool((bits ^ other_bits) & known & other_known)


def sparse(addresses: list[Term], granule: int) -> list[Term]:
    """Those of ``addresses`` that are enough for every other to lie in the same block of 2**granule as one of them."""
    lines: dict[object, list[tuple[int, Term]]] = {}
    for address in addresses:
        start, distance, telling, *_ = address.place or _place(address)
        lines.setdefault((start, telling), []).append((distance, address))
    kept = set()
    for line in lines.values():
        line.sort(key=lambda each: each[0])
        last, first = line[0]
        kept |= {first, line[-1][1]}
        for (distance, address), (following, _) in pairwise(line):
            if following - last > 1 << granule:
                last = distance
                kept.add(address)
    return [address for address in addresses if address in kept]


def _known(term: Term) -> tuple[int, int]:
    """The mask of the bits that are constant, and what they are."""
    if term.op == "const":
        return (1 << term.width) - 1, term.data
    if term.op == "zext":
        known, bits = _known(term.args[0])
        return known | (1 << term.width) - (1 << term.args[0].width), bits
    if term.op == "concat":
        known = bits = 0
        for part in term.args:
            part_known, part_bits = _known(part)
            known, bits = known << part.width | part_known, bits << part.width | part_bits
        return known, bits
    return 0, 0


def chosen(term: Term, condition: Term) -> Term:
    """What a term comes to where ``condition`` holds, as far as both ask which number the same term is."""
    if condition.op == "eq" and condition.args[1].op == "const":
        while term.op == "ite":
            asked = term.args[0]
            if asked.op != "eq" or asked.args[0] is not condition.args[0] or asked.args[1].op != "const":
                break
            term = term.args[1 if asked is condition else 2]
    return term


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
