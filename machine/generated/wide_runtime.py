"""Arithmetic on values of more than 64 bits; its text stands in each generated module, before the rest of the runtime (:mod:`runtime`)."""

from __future__ import annotations

from machine.generated.primitives import LD, LSHR, SHL, ST, UDIV, ULT

# ---- wide values: n words at d, a and b -----------------------------------------------


def copy(d: int, a: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, LD(a + 8 * i))
    return 0


def w_and(d: int, a: int, b: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, LD(a + 8 * i) & LD(b + 8 * i))
    return 0


def w_or(d: int, a: int, b: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, LD(a + 8 * i) | LD(b + 8 * i))
    return 0


def w_xor(d: int, a: int, b: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, LD(a + 8 * i) ^ LD(b + 8 * i))
    return 0


def w_not(d: int, a: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, ~LD(a + 8 * i))
    return 0


def w_neg(d: int, a: int, n: int) -> int:
    carry = 1
    for i in range(0, n):
        x = ~LD(a + 8 * i) + carry
        carry = carry & int(x == 0)
        ST(d + 8 * i, x)
    return 0


def w_add(d: int, a: int, b: int, n: int) -> int:
    carry = 0
    for i in range(0, n):
        x = LD(a + 8 * i)
        y = x + LD(b + 8 * i)
        z = y + carry
        carry = int(ULT(y, x)) | int(ULT(z, y))
        ST(d + 8 * i, z)
    return 0


def w_sub(d: int, a: int, b: int, n: int) -> int:
    borrow = 0
    for i in range(0, n):
        x = LD(a + 8 * i)
        y = LD(b + 8 * i)
        z = x - y - borrow
        borrow = int(ULT(x, y)) | (int(x == y) & borrow)
        ST(d + 8 * i, z)
    return 0


def w_mul(d: int, a: int, b: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, 0)
    for i in range(0, 2 * n):
        carry = 0
        x = w_half(a, i)
        for j in range(0, 2 * n - i):
            t = x * w_half(b, j) + w_half(d, i + j) + carry
            w_set_half(d, i + j, t & 0xFFFFFFFF)
            carry = LSHR(t, 32, 64)
    return 0


def w_high(x: int, y: int) -> int:
    """The upper word of a product of two words, by halves."""
    x0 = x & 0xFFFFFFFF
    x1 = LSHR(x, 32, 64)
    y0 = y & 0xFFFFFFFF
    y1 = LSHR(y, 32, 64)
    t = x1 * y0 + LSHR(x0 * y0, 32, 64)
    u = x0 * y1 + (t & 0xFFFFFFFF)
    return x1 * y1 + LSHR(t, 32, 64) + LSHR(u, 32, 64)


def w_half(a: int, i: int) -> int:
    return LSHR(LD(a + 8 * (i >> 1)), 32 * (i & 1), 64) & 0xFFFFFFFF


def w_set_half(d: int, i: int, value: int) -> int:
    p = d + 8 * (i >> 1)
    shift = 32 * (i & 1)
    ST(p, (LD(p) & ~(0xFFFFFFFF << shift)) | value << shift)
    return 0


def w_word(a: int, i: int, n: int) -> int:
    """Word i; 0 outside."""
    if i < 0 or i >= n:
        return 0
    return LD(a + 8 * i)


def w_bits(a: int, low: int, n: int) -> int:
    """The 64 bits from bit ``low`` on."""
    i = low >> 6
    shift = low & 63
    return LSHR(w_word(a, i, n), shift, 64) | SHL(w_word(a, i + 1, n), 64 - shift, 64)


def w_extract(d: int, a: int, low: int, n: int, given: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, w_bits(a, low + 64 * i, given))
    return 0


def w_fill(d: int, width: int, given: int, n: int) -> int:
    """The words behind the first ``given``: copies of bit ``width`` - 1, zeros when ``width`` is 0."""
    sign = 0
    if width > 0:
        top = LD(d + 8 * (given - 1))
        bit = (width - 1) & 63
        if LSHR(top, bit, 64) & 1 == 1:
            sign = -1
            ST(d + 8 * (given - 1), top | SHL(-1, bit, 64))
    for i in range(given, n):
        ST(d + 8 * i, sign)
    return 0


def w_amount(b: int, n: int, width: int) -> int:
    """A shift amount, at most ``width``."""
    for i in range(1, n):
        if LD(b + 8 * i) != 0:
            return width
    if ULT(LD(b), width):
        return LD(b)
    return width


def w_shl(d: int, a: int, amount: int, n: int, width: int) -> int:
    """From the top down, so that d may be a."""
    skip = amount >> 6
    shift = amount & 63
    if skip > n:
        skip = n
    for k in range(0, n - skip):
        j = n - 1 - k - skip
        x = LD(a + 8 * j) << shift
        if j > 0:
            x |= LSHR(LD(a + 8 * j - 8), 64 - shift, 64)
        ST(d + 8 * (j + skip), x)
    for i in range(0, skip):
        ST(d + 8 * i, 0)
    return 0


def w_or_at(d: int, value: int, amount: int, n: int) -> int:
    """Set the bits of ``value`` << ``amount``, those of one word."""
    i = amount >> 6
    shift = amount & 63
    if i < n:
        ST(d + 8 * i, LD(d + 8 * i) | value << shift)
    if i + 1 < n:
        ST(d + 8 * i + 8, LD(d + 8 * i + 8) | LSHR(value, 64 - shift, 64))
    return 0


def w_lshr(d: int, a: int, amount: int, n: int, width: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, w_bits(a, amount + 64 * i, n))
    return 0


def w_ashr(d: int, a: int, amount: int, n: int, width: int) -> int:
    negative = w_sign(a, width)
    w_lshr(d, a, amount, n, width)
    if negative == 1:
        for i in range(0, n):
            first = width - amount - 64 * i  # bits from here on are copies of the sign
            if first < 0:
                first = 0
            if first < 64:
                ST(d + 8 * i, LD(d + 8 * i) | SHL(-1, first, 64))
    return 0


def w_sign(a: int, width: int) -> int:
    return LSHR(LD(a + 8 * ((width - 1) >> 6)), (width - 1) & 63, 64) & 1


def w_zero(a: int, n: int) -> int:
    for i in range(0, n):
        if LD(a + 8 * i) != 0:
            return 0
    return 1


def w_quotient(high: int, low: int, b: int) -> int:
    """Two words divided by one that is larger than the upper one: half by half of the quotient, the divisor's highest bit being 1.
    Each half is estimated by the divisor's upper half, which gives at most two too many."""
    while b > 0:
        high = high << 1 | LSHR(low, 63, 64)
        low = low << 1
        b = b << 1
    b1 = LSHR(b, 32, 64)
    b0 = b & 0xFFFFFFFF
    quotient = 0
    for _ in range(0, 2):
        x = UDIV(high, b1, 0)
        rest = high - x * b1
        digit = LSHR(low, 32, 64)
        while rest <= 0xFFFFFFFF and (x > 0xFFFFFFFF or ULT(rest << 32 | digit, x * b0)):
            x -= 1
            rest += b1
        high = (high << 32 | digit) - x * b
        low = low << 32
        quotient = quotient << 32 | x
    return quotient


def w_divide(q: int, r: int, a: int, b: int, n: int, width: int) -> int:
    """Long division, word by word if the divisor is but one, else bit by bit; none of the four may overlap."""
    for i in range(0, n):
        ST(q + 8 * i, 0)
        ST(r + 8 * i, 0)
    if w_zero(b + 8, n - 1) == 1:
        for k in range(0, n):
            i = n - 1 - k
            x = w_quotient(LD(r), LD(a + 8 * i), LD(b))
            ST(q + 8 * i, x)
            ST(r, LD(a + 8 * i) - x * LD(b))
        return 0
    for k in range(0, width):
        i = width - 1 - k
        over = w_sign(r, width)
        w_shl(r, r, 1, n, width)
        ST(r, LD(r) | (LSHR(LD(a + 8 * (i >> 6)), i & 63, 64) & 1))
        if over == 1 or w_ult(r, b, n, width) == 0:
            w_sub(r, r, b, n)
            p = q + 8 * (i >> 6)
            ST(p, LD(p) | SHL(1, i & 63, 64))
    return 0


def w_ones(d: int, n: int) -> int:
    for i in range(0, n):
        ST(d + 8 * i, -1)
    return 0


def w_udiv(d: int, a: int, b: int, n: int, width: int, room: int) -> int:
    if w_zero(b, n) == 1:
        return w_ones(d, n)
    return w_divide(d, room, a, b, n, width)


def w_urem(d: int, a: int, b: int, n: int, width: int, room: int) -> int:
    if w_zero(b, n) == 1:
        return copy(d, a, n)
    return w_divide(room, d, a, b, n, width)


def w_trim(d: int, n: int, width: int) -> int:
    if width & 63 != 0:
        p = d + 8 * (n - 1)
        ST(p, LD(p) & LSHR(-1, 64 - (width & 63), 64))
    return 0


def w_magnitude(d: int, a: int, n: int, width: int) -> int:
    if w_sign(a, width) == 1:
        w_neg(d, a, n)
        return w_trim(d, n, width)
    return copy(d, a, n)


def w_sdiv(d: int, a: int, b: int, n: int, width: int, room: int) -> int:
    negative = w_sign(a, width)
    if w_zero(b, n) == 1:
        w_ones(d, n)
        if negative == 1:
            w_neg(d, d, n)
        return 0
    w_magnitude(room, a, n, width)
    w_magnitude(room + 8 * n, b, n, width)
    w_divide(d, room + 16 * n, room, room + 8 * n, n, width)
    if negative != w_sign(b, width):
        w_neg(d, d, n)
    return 0


def w_srem(d: int, a: int, b: int, n: int, width: int, room: int) -> int:
    if w_zero(b, n) == 1:
        return copy(d, a, n)
    w_magnitude(room, a, n, width)
    w_magnitude(room + 8 * n, b, n, width)
    w_divide(room + 16 * n, d, room, room + 8 * n, n, width)
    if w_sign(a, width) == 1:
        w_neg(d, d, n)
    return 0


def w_eq(a: int, b: int, n: int, width: int) -> int:
    for i in range(0, n):
        if LD(a + 8 * i) != LD(b + 8 * i):
            return 0
    return 1


def w_ult(a: int, b: int, n: int, width: int) -> int:
    for k in range(0, n):
        i = n - 1 - k
        if LD(a + 8 * i) != LD(b + 8 * i):
            return int(ULT(LD(a + 8 * i), LD(b + 8 * i)))
    return 0


def w_ule(a: int, b: int, n: int, width: int) -> int:
    return 1 - w_ult(b, a, n, width)


def w_slt(a: int, b: int, n: int, width: int) -> int:
    if w_sign(a, width) != w_sign(b, width):
        return w_sign(a, width)
    return w_ult(a, b, n, width)


def w_sle(a: int, b: int, n: int, width: int) -> int:
    return 1 - w_slt(b, a, n, width)
