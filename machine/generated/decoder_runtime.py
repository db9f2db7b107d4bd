"""The decoder of generated code: one engine over tables that :mod:`decoding` makes from the encodings.

Its text stands in each generated module. It does what :class:`isa_specs.encoding.Decoder` does, byte for byte: a byte is
fetched only when all before it fit, for fetching it can fault.
"""

from __future__ import annotations

from machine.generated.primitives import (
    COUNTER,
    COUNTER_MASK,
    F_BASE,
    F_DISP,
    F_HAS_SIB,
    F_INDEX,
    F_MOD,
    F_RM,
    F_SCALE,
    F_WIDE,
    LD,
    LITTLE,
    LSHR,
    NO_FORM,
    ST,
    TOO_LONG,
    contexts,
    fetch_byte,
    fits,
    outline,
    prefixes,
)
from machine.generated.slots import BYTES, DECODES, FORM, KNOWN, LEAVES, LENGTH, NODES, PROGRAMS, WORDS

# ---- decoding ---------------------------------------------------------------------------


@outline
def more(s: int, i: int) -> int:
    """Fetch on to byte i."""
    n = LD(s + KNOWN)
    while n <= i:
        if n >= 15:
            return TOO_LONG
        b = fetch_byte(s, LD(s + COUNTER) + n & COUNTER_MASK)
        if b < 0:
            return b
        ST(s + BYTES + 8 * n, b)
        n += 1
        ST(s + KNOWN, n)
    return LD(s + BYTES + 8 * i)


def byte(s: int, i: int) -> int:
    """Byte i of the instruction, fetched with all before it if need be."""
    if i < LD(s + KNOWN) and i < 15:
        return LD(s + BYTES + 8 * i)
    return more(s, i)


def joined(s: int, at: int, n: int) -> int:
    """The ``n`` <= 8 bytes from ``at`` on, all fetched, as a number."""
    value = 0
    for i in range(0, n):
        if LITTLE == 1:
            value |= LD(s + BYTES + 8 * (at + i)) << 8 * i
        else:
            value = value << 8 | LD(s + BYTES + 8 * (at + i))
    return value


def fetched(s: int, at: int, n: int) -> int:
    """Have the ``n`` bytes from ``at`` on; negative when that traps."""
    if n > 0:
        return byte(s, at + n - 1)
    return 0


@outline
def address(s: int, at: int) -> int:
    """SIB and displacement, as :class:`isa_specs.elements.Address` reads them; where they end."""
    mod = LD(s + F_MOD)
    rm = LD(s + F_RM)
    wide = 1
    if F_WIDE >= 0:
        wide = int(LD(s + F_WIDE) != 0)
    sib = 0
    has = int(wide == 1 and mod != 3 and rm == 4)
    if has == 1:
        sib = byte(s, at)
        if sib < 0:
            return sib
        at += 1
    absolute = int(rm == 6)
    full = 2
    if wide == 1:
        absolute = int(rm == 5 or (rm == 4 and sib & 7 == 5))
        full = 4
    n = 0
    if mod == 1:
        n = 1
    if mod == 2 or (mod == 0 and absolute == 1):
        n = full
    disp = 0
    if n > 0:
        t = byte(s, at + n - 1)
        if t < 0:
            return t
        half = 1 << 8 * n - 1
        disp = (joined(s, at, n) ^ half) - half & 0xFFFFFFFF
    ST(s + F_SCALE, sib >> 6)
    ST(s + F_INDEX, sib >> 3 & 7)
    ST(s + F_BASE, sib & 7)
    ST(s + F_DISP, disp)
    ST(s + F_HAS_SIB, has)
    return at + n


def matches(s: int, program: int, start: int) -> int:
    """Read the form a program describes: 1 when it fits, 0 when not, or a trap."""
    at = start
    last = 0
    w0 = 0
    w1 = 0
    w2 = 0
    p = LD(s + PROGRAMS) + program
    while LD(p) != 0:
        op = LD(p)
        a = LD(p + 8)
        b = LD(p + 16)
        c = LD(p + 24)
        p += 32
        if op == 1:  # TEST: the next byte in the bits a is b
            last = byte(s, at)
            if last < 0:
                return last
            at += 1
            if (last ^ b) & a != 0:
                return 0
        elif op == 2:  # KEEP: field a is the last value from bit b on, in the bits c
            ST(s + a, LSHR(last, b, 64) & c)
        elif op == 3:  # JOIN: the last value is the last a bytes
            last = joined(s, at - a, a)
        elif op == 4:  # NUMBER: field b is the next a bytes
            t = fetched(s, at, a)
            if t < 0:
                return t
            ST(s + b, joined(s, at, a))
            at += a
        elif op == 5:  # ADDRESS
            at = address(s, at)
            if at < 0:
                return at
        elif op == 6:  # WHERE: condition a holds
            if fits(s, a) == 0:
                return 0
        elif op == 7:  # LITERAL: field a is b
            ST(s + a, b)
        elif op == 8:  # PACK: field a goes into word b at bit c
            value = LD(s + a) << c
            if b == 0:
                w0 |= value
            elif b == 1:
                w1 |= value
            else:
                w2 |= value
        elif op == 9 and start != 0:  # ALONE: no prefixes
            return 0
    ST(s + FORM, LD(p + 8))
    ST(s + LENGTH, at)
    ST(s + WORDS, w0)
    ST(s + WORDS + 8, w1)
    ST(s + WORDS + 16, w2)
    return 1


@outline
def decode(s: int) -> int:
    """FORM, LENGTH and WORDS of the instruction whose bytes are fetched or named; a trap when the fetch is refused."""
    ST(s + DECODES, LD(s + DECODES) + 1)
    ST(s + FORM, NO_FORM)
    at = prefixes(s)
    if at == TOO_LONG:
        return 0
    if at < 0:
        return at
    t = contexts(s)
    if t < 0:
        return t
    depth = at
    node = LD(LD(s + NODES))
    while node & 1 == 0 and node != 0:
        b = byte(s, depth)
        if b == TOO_LONG:
            return 0
        if b < 0:
            return b
        node = LD(LD(s + NODES) + (node >> 1) * 8 + b * 8)
        depth += 1
    if node == 0:
        return 0
    leaf = LD(s + LEAVES) + (node >> 1) * 8
    while LD(leaf) >= 0:
        t = matches(s, LD(leaf), at)
        if t == 1:
            return 0
        if t == TOO_LONG:
            return 0
        if t < 0:
            return t
        leaf += 8
    return 0
