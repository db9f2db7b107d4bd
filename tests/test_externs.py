"""Extern operations: known bit patterns, and agreement with exact arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.externs import EXTERNS, from_bits, to_bits

ONE, TWO, INF, NAN = 0x3FF0 << 48, 0x4000 << 48, 0x7FF0 << 48, 0x7FF8 << 48
MINUS = 1 << 63


@pytest.mark.parametrize(("name", "args", "result"), [
    ("fadd", (ONE, ONE), TWO), ("fsub", (ONE, ONE), 0), ("fsub", (INF, INF), NAN), ("fmul", (0, INF), NAN),
    ("fdiv", (ONE, MINUS), MINUS | INF), ("fdiv", (0, 0), NAN), ("fdiv", (NAN, 0), NAN), ("fdiv", (INF, 0), INF),
    ("fsqrt", (MINUS,), MINUS), ("fsqrt", (MINUS | ONE,), NAN), ("fsqrt", (INF,), INF),
    ("fmul32", (0x7F000000, 0x7F000000), 0x7F800000), ("fmul32", (0xFF000000, 0x7F000000), 0xFF800000),
])  # fmt: skip
def test_corner_values(name: str, args: tuple[int, ...], result: int) -> None:
    assert EXTERNS[name](*args) == result


@given(st.sampled_from(["fadd", "fsub", "fmul", "fdiv"]), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_single_precision_is_rounded_once(name: str, a: int, b: int) -> None:
    operation = {"fadd": np.add, "fsub": np.subtract, "fmul": np.multiply, "fdiv": np.divide}[name]
    x, y = (np.array(pattern, np.uint32).view(np.float32) for pattern in (a, b))
    with np.errstate(all="ignore"):
        expected = float(operation(x, y))
    assert EXTERNS[name + "32"](a, b) == to_bits(expected, 32)


@given(st.integers(0, 2**200))
def test_integer_square_root(n: int) -> None:
    root = EXTERNS["isqrt"](n)
    assert root * root <= n < (root + 1) ** 2


@given(st.floats(width=64))
def test_patterns_and_numbers(value: float) -> None:
    back = from_bits(to_bits(value, 64), 64)
    assert math.isnan(back) if math.isnan(value) else (back == value and math.copysign(1, back) == math.copysign(1, value))
