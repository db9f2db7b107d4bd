"""The part of the generated code that is the same for every description; its text stands in each generated module.

Written in what the generator writes, 64-bit integers only, so that both compilers read it.
"""

from __future__ import annotations

from machine.generated.primitives import BYTE, LD, LOAD1, LOAD8, LSHR, SET_BYTE, ST, STORE1, outline
from machine.generated.slots import BYTES, GIVEN, JOURNAL, KEPT, LOG_END, VALUE
from machine.generated.wide_runtime import w_bits

# ---- old values: (address, bytes or 0 for a word of the record, value) -----------------


def keep(s: int, p: int) -> int:
    """Remember a word of the record."""
    k = LD(s + KEPT)
    ST(k, p)
    ST(k + 8, 0)
    ST(k + 16, LD(p))
    ST(s + KEPT, k + 24)
    return 0


def keep_bytes(s: int, p: int, n: int) -> int:
    """Remember ``n`` <= 8 bytes of a space."""
    k = LD(s + KEPT)
    ST(k, p)
    ST(k + 8, n)
    ST(k + 16, bytes_at(p, n))
    ST(s + KEPT, k + 24)
    return 0


@outline
def keep_run(s: int, p: int, n: int) -> int:
    """Remember ``n`` bytes of a space."""
    while n > 8:
        keep_bytes(s, p, 8)
        p = p + 8
        n = n - 8
    return keep_bytes(s, p, n)


def bytes_at(p: int, n: int) -> int:
    value = 0
    for i in range(0, n):
        value |= LOAD1(p + i) << (8 * i)
    return value


def restore(k: int) -> int:
    """Put back one old value."""
    p = LD(k)
    n = LD(k + 8)
    if n == 0:
        ST(p, LD(k + 16))
    for i in range(0, n):
        STORE1(p + i, LSHR(LD(k + 16), 8 * i, 64))
    return 0


@outline
def undo(s: int) -> int:
    """Take back everything written since the journal began; 1 when there was something."""
    k = LD(s + KEPT)
    start = LD(s + JOURNAL)
    some = int(k != start)
    while k != start:
        k -= 24
        restore(k)
    ST(s + KEPT, start)
    return some


# ---- the log of stores: (address, nothing, old word, space and address in it) ---------------


@outline
def log(s: int, base: int, space: int, p: int, n: int) -> int:
    """Note the words that a store of ``n`` <= 8 bytes at ``p`` reaches. A row of stores to one word notes it once."""
    q = p & ~7
    while q < p + n:
        k = LD(s + LOG_END)
        if LD(k - 8) != space + q:
            ST(k, base + q)
            ST(k + 16, LOAD8(base + q))
            ST(k + 24, space + q)
            ST(s + LOG_END, k + 32)
        q += 8
    return 0


# ---- the bytes an EXECUTE gives ---------------------------------------------------------


def spread(s: int) -> int:
    """The leftmost byte of VALUE is byte 0; behind the last there are zeros."""
    count = LD(s + GIVEN)
    for i in range(0, 16):
        value = 0
        if i < count:
            value = w_bits(s + VALUE, 8 * (count - 1 - i), 8) & 255
        ST(s + BYTES + 8 * i, value)
    return 0


# ---- maps: a byte for each page, a bit for each cell ---------------------------------------


def covered(cover: int, p: int) -> int:
    return BYTE(cover + (p >> 3)) >> (p & 7) & 1


def set_cover(cover: int, p: int, value: int) -> int:
    q = cover + (p >> 3)
    SET_BYTE(q, (BYTE(q) & ~(1 << (p & 7))) | value << (p & 7))
    return 0


@outline
def unwatched(cover: int, p: int, line: int) -> int:
    """Whether no cell is covered in the line of this one, of 2**line."""
    q = cover + (p >> line << line - 3)
    for i in range(0, 1 << line - 3):
        if BYTE(q + i) != 0:
            return 0
    return 1


def listed(p: int, n: int, value: int) -> int:
    """Whether ``value`` is among the ``n`` words at ``p``."""
    for i in range(0, n):
        if LD(p + 8 * i) == value:
            return 1
    return 0




# ---- what is waited for: for each condition how many words, then for each where it is and what it has to be ------------------


@outline
def met(s: int, p: int, end: int) -> int:
    """Whether one of the conditions from ``p`` to ``end`` holds."""
    while p != end:
        n = LD(p)
        same = 1
        for j in range(0, n):
            if LD(s + LD(p + 8 + 16 * j)) != LD(p + 16 + 16 * j):
                same = 0
        if same == 1:
            return 1
        p = p + 8 + 16 * n
    return 0
