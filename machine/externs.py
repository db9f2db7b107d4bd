"""Operations a description declares ``extern``: uninterpreted to the solver, carried out here.

Each takes and gives unsigned bit patterns; the machine masks the result to the declared width. The floating-point ones
are IEEE 754, rounding to nearest, with the default NaN: plain names on 64 bits, names ending in 32 on 32 bits.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable

_FORMATS = {64: (">d", ">Q", 0x7FF8_0000_0000_0000), 32: (">f", ">I", 0x7FC0_0000)}


def from_bits(pattern: int, width: int) -> float:
    real, whole, _ = _FORMATS[width]
    return float(struct.unpack(real, struct.pack(whole, pattern))[0])


def to_bits(value: float, width: int) -> int:
    real, whole, nan = _FORMATS[width]
    if math.isnan(value):
        return nan
    try:
        packed = struct.pack(real, value)
    except OverflowError:  # too large for 32 bits
        packed = struct.pack(real, math.copysign(math.inf, value))
    return int(struct.unpack(whole, packed)[0])


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    sign = math.copysign(1, a) * math.copysign(1, b)
    return math.nan if not a or math.isnan(a) else sign * math.inf


def _square_root(a: float) -> float:
    return math.nan if a < 0 else math.sqrt(a)


def _on_patterns(operation: Callable[..., float], width: int) -> Callable[..., int]:
    # Rounding a 64-bit result once more to 32 bits gives the correctly rounded 32-bit result of these operations:
    # 53 >= 2 * 24 + 2 (Figueroa, "When is double rounding innocuous?", SIGNUM Newsletter 30(3), 1995).
    def extern(*patterns: int) -> int:
        return to_bits(operation(*(from_bits(pattern, width) for pattern in patterns)), width)

    return extern


_OPERATIONS: dict[str, Callable[..., float]] = {
    "fadd": operator.add, "fsub": operator.sub, "fmul": operator.mul, "fdiv": _divide, "fsqrt": _square_root,
}  # fmt: skip

EXTERNS: dict[str, Callable[..., int]] = {
    "isqrt": math.isqrt,
    **{name: _on_patterns(operation, 64) for name, operation in _OPERATIONS.items()},
    **{name + "32": _on_patterns(operation, 32) for name, operation in _OPERATIONS.items()},
}
