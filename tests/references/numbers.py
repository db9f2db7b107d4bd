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
