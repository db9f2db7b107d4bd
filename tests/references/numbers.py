"""Random numbers biased to edges."""

from __future__ import annotations

import random


def number(width: int, rng: random.Random) -> int:
    """Zeros, ones, single bits, the ends of signed ranges, small numbers of either sign, and any number at all."""
    ones = (1 << width) - 1
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice((0, 1, ones, ones >> 1, 1 << width - 1, ones - 1, (ones >> 1) - 1 & ones))
    if kind == 1:
        return 1 << rng.randrange(width)
    if kind == 2:
        return rng.randrange(1, 17) & ones
    if kind == 3:
        return -rng.randrange(1, 257) & ones
    if kind == 4:
        return ones ^ (1 << rng.randrange(width))
    if kind == 5:
        return rng.getrandbits(max(1, width // 2))
    return rng.getrandbits(width)


def hexadecimal(rng: random.Random) -> int:
    """A long hexadecimal floating-point number: characteristics near one another or near the ends, fractions with zero digits in front
    and behind."""
    characteristic = rng.choice((0x40, 0x40, 0x3F, 0x41, 0x42, 0x46, 0x47, 0x4E, 0, 1, 13, 0x20, 0x60, 0x7E, 0x7F, rng.getrandbits(7)))
    fraction = rng.choice((number(56, rng), number(24, rng) << 32, rng.getrandbits(56), -(rng.getrandbits(8)) & (1 << 56) - 1))
    fraction = fraction >> 4 * rng.choice((0, 0, 0, 1, 2, 6, 13)) & -1 << 4 * rng.choice((0, 0, 1, 8, 13))
    return rng.getrandbits(1) << 63 | characteristic << 56 | fraction


def packed(length: int, rng: random.Random) -> bytes:
    """A packed decimal number of so many bytes, most often a valid one, with zeros in front."""
    digits = rng.choice((0, 1, length, 2 * length - 1, rng.randrange(2 * length)))
    value = rng.choice((10**digits - 1, 10**digits, rng.randrange(10**digits), int(f"{rng.randrange(10**digits)}") // 10 * 10))
    text = f"{value:0{2 * length - 1}}"[-(2 * length - 1) :] + rng.choice("CCCDDDABEF")
    if rng.random() < 0.04:
        at = rng.randrange(2 * length)
        text = text[:at] + rng.choice("0123456789ABCDEF") + text[at + 1 :]
    return bytes.fromhex(text)


def data(length: int, rng: random.Random) -> bytes:
    """Bytes of storage: any, equal ones, or decimal digits with a sign now and then."""
    kind = rng.randrange(5)
    if kind == 0:
        return bytes([rng.choice((0, 0xFF, rng.getrandbits(8)))]) * length
    if kind == 1:
        return bytes(rng.randrange(10) << 4 | (rng.randrange(10, 16) if i % 8 == 7 else rng.randrange(10)) for i in range(length))
    if kind == 2:
        return b"".join(number(32, rng).to_bytes(4, "big") for _ in range(length // 4))
    return rng.randbytes(length)
