"""Decimal and hexadecimal floating-point arithmetic: edge cases worked out from GA22-7000, and agreement with exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from s370_machine import machine, step

from machine.state import State

FIRST, SECOND = 0x2000, 0x3000
OVERFLOW, DECIMAL, UNDERFLOW, SIGNIFICANCE = 8, 4, 2, 1  # of the program mask


def ready(code: str, mask: int = 0, fpr: tuple[int, ...] = ()) -> State:
    """``code`` in supervisor state; registers 4 and 5 are the addresses of two operands."""
    state = State(machine("s370").isa)
    state["storage_size"], state["psw.ec"], state["psw.ia"], state["psw.pmask"] = 0x1FFF, 1, 0x1000, mask
    state["gpr"] = [0, 0xAA000000, 0, 0, FIRST, SECOND] + [0] * 10
    state["fpr"] = [*fpr, *[0] * (4 - len(fpr))]
    state.memory["storage"].load(0x1000, bytes.fromhex(code))
    return state


# ---- decimal ------------------------------------------------------------------------------------------


def decimal(op: str, lengths: tuple[int, int], first: str, second: str = "", address: int = SECOND, mask: int = 0) -> tuple[str, int, str]:
    """One instruction on two fields of so many bytes: the first field after it, the condition code, the trap."""
    state = ready(f"{op}{lengths[0] - 1:x}{lengths[1] - 1:x}4000{'5000' if address == SECOND else f'0{address:03x}'}", mask)
    state.memory["storage"].load(FIRST, bytes.fromhex(first))
    state.memory["storage"].load(SECOND, bytes.fromhex(second))
    trap = step(state)
    return bytes(state.memory["storage"][FIRST + i] for i in range(lengths[0])).hex(), int(state["psw.cc"]), trap


def packed(value: int, length: int, sign: str = "") -> str:
    return f"{abs(value):0{2 * length - 1}}{sign or ('d' if value < 0 else 'c')}"


@pytest.mark.parametrize(("op", "lengths", "operands", "result", "cc", "trap"), [
    ("fa", (2, 2), ("999c", "001c"), "000c", 3, ""),  # overflow keeps the sign and what there is room for
    ("fa", (2, 2), ("999d", "001d"), "000d", 3, ""),
    ("fa", (2, 2), ("005d", "005a"), "000c", 0, ""),  # a zero sum is positive, codes A, C, E, F are plus
    ("fa", (2, 2), ("005b", "003e"), "002d", 1, ""),
    ("fb", (1, 2), ("5f", "012f"), "7d", 1, ""),
    ("fb", (1, 2), ("5f", "112f"), "7d", 3, ""),  # the second operand may be longer; its zeros do not count
    ("fb", (1, 2), ("0d", "000c"), "0c", 0, ""),
    ("f8", (1, 2), ("ff", "010d"), "0d", 3, ""),  # the first operand need not be valid
    ("f8", (2, 1), ("ffff", "0d"), "000c", 0, ""),
    ("f8", (2, 1), ("ffff", "7b"), "007d", 1, ""),
    ("f9", (2, 1), ("000d", "0c"), "000d", 0, ""),
    ("f9", (2, 1), ("007d", "5d"), "007d", 1, ""),
    ("f9", (1, 2), ("7f", "500d"), "7f", 2, ""),
    ("fa", (2, 1), ("0a0c", "1c"), "0a0c", 0, "data"),
    ("fa", (2, 1), ("000c", "10"), "000c", 0, "data"),
    ("fa", (2, 1), ("0009", "1c"), "0009", 0, "data"),
    ("fc", (2, 1), ("012c", "7d"), "012c", 0, "data"),  # the product has no room by the rule, though it has by its value
    ("fc", (3, 1), ("00012c", "7d"), "00084d", 0, ""),
    ("fc", (2, 1), ("000c", "5d"), "000d", 0, ""),  # the sign of a product follows algebra, of zero too
    ("fc", (2, 2), ("000c", "005d"), "000c", 0, "specification"),
    ("fc", (16, 9), ("0" * 31 + "c", "0" * 17 + "c"), "0" * 31 + "c", 0, "specification"),
    ("fd", (3, 1), ("00085d", "7c"), "012d1d", 0, ""),
    ("fd", (2, 1), ("007d", "7d"), "1c0d", 0, ""),  # the remainder has the sign of the dividend, zero or not
    ("fd", (2, 1), ("070c", "7c"), "070c", 0, "decimal_divide"),
    ("fd", (2, 1), ("069c", "7c"), "9c6c", 0, ""),
    ("fd", (2, 1), ("000c", "0c"), "000c", 0, "decimal_divide"),
    ("fd", (1, 1), ("0c", "1c"), "0c", 0, "specification"),
])  # fmt: skip
def test_decimal(op: str, lengths: tuple[int, int], operands: tuple[str, str], result: str, cc: int, trap: str) -> None:
    assert decimal(op, lengths, *operands) == (result, cc, trap)


def test_decimal_overflow_interrupts_when_it_may() -> None:
    assert decimal("fa", (1, 1), "9c", "9c", mask=DECIMAL) == ("8c", 3, "decimal_overflow")
    assert decimal("fa", (1, 1), "9c", "9c", mask=OVERFLOW | UNDERFLOW | SIGNIFICANCE) == ("8c", 3, "")


@pytest.mark.parametrize(("digits", "rounding", "field", "result", "cc"), [
    (1, 5, "00123c", "01230c", 2), (3, 5, "00123d", "23000d", 3), (0, 5, "00000d", "00000c", 0), (-1, 5, "00125d", "00013d", 1),
    (-1, 4, "00125c", "00012c", 2), (-3, 5, "99999c", "00100c", 2), (-6, 9, "99999d", "00000c", 0), (31, 0, "00001d", "00000d", 3),
    (-32, 9, "00001c", "00000c", 0),
])  # fmt: skip
def test_shift_and_round(digits: int, rounding: int, field: str, result: str, cc: int) -> None:
    assert decimal("f0", (3, rounding + 1), field, address=digits & 63) == (result, cc, "")


def test_shift_checks_the_rounding_digit_whatever_it_does() -> None:
    assert decimal("f0", (1, 11), "1c", address=1) == ("1c", 0, "data")


MOST = 10**31 - 1
numbers = st.integers(-MOST, MOST) | st.integers(-99, 99) | st.integers(0, 31).map(lambda n: 10**n - 1)


@settings(max_examples=60)
@given(st.sampled_from(["fa", "fb"]), numbers, numbers, st.integers(1, 16), st.integers(1, 16))
def test_sums_are_exact(op: str, a: int, b: int, m: int, n: int) -> None:
    a, b = (abs(x) % 10 ** (2 * k - 1) * (-1 if x < 0 else 1) for x, k in ((a, m), (b, n)))
    exact = a + b if op == "fa" else a - b
    field, cc, _ = decimal(op, (m, n), packed(a, m), packed(b, n))
    room = 10 ** (2 * m - 1)
    assert field == packed(abs(exact) % room, m, "d" if exact < 0 else "c")
    assert cc == (3 if abs(exact) >= room else 1 if exact < 0 else 2 if exact > 0 else 0)


@settings(max_examples=40)
@given(numbers, numbers, st.integers(2, 16), st.integers(1, 8))
def test_products_and_quotients_are_exact(a: int, b: int, m: int, n: int) -> None:
    n = min(n, m - 1)
    b = abs(b) % 10 ** (2 * n - 1) * (-1 if b < 0 else 1)
    small = abs(a) % 10 ** (2 * (m - n) - 1) * (-1 if a < 0 else 1)
    sign = "d" if (small < 0) != (b < 0) else "c"
    assert decimal("fc", (m, n), packed(small, m), packed(b, n)) == (packed(small * b, m, sign), 0, "")
    a = abs(a) % 10 ** (2 * m - 1) * (-1 if a < 0 else 1)
    field, _, trap = decimal("fd", (m, n), packed(a, m), packed(b, n))
    if b == 0 or abs(a) // abs(b) >= 10 ** (2 * (m - n) - 1):
        assert (field, trap) == (packed(a, m), "decimal_divide")
    else:
        quotient, remainder = divmod(abs(a), abs(b))
        signs = "d" if (a < 0) != (b < 0) else "c", "d" if a < 0 else "c"
        assert (field, trap) == (packed(quotient, m - n, signs[0]) + packed(remainder, n, signs[1]), "")


@pytest.mark.parametrize(("pattern", "source", "result", "cc", "marked"), [
    ("4020206b2020214b2020", "1234567c", "40f1f26bf3f4f54bf6f7", 2, 1),
    ("4020206b2020214b2020", "0000007c", "404040404040404bf0f7", 2, None),  # the starter has brought significance, not a digit
    ("4020206b2020214b202060", "0000307d", "404040404040f34bf0f760", 1, 6),
    ("5c2020", "00", "5c5c5c", 0, None),
    ("5c202022202021", "5c0c", "5cf55c5c5c5c5c", 0, 1),  # the condition code is that of the last field
    ("2020", "12", "f1f2", 1, 0),  # the fill character is a digit selector
    ("4020204e", "0a", "40404040", 0, None),
])  # fmt: skip
def test_edit(pattern: str, source: str, result: str, cc: int, marked: int | None) -> None:
    for op in ("de", "df"):
        field, state = edited(op, pattern, source)
        assert field == result
        assert state["psw.cc"] == cc
        assert state["gpr"][1] == 0xAA000000 + (FIRST + marked if op == "df" and marked is not None else 0)


def test_edit_ends_where_the_source_is_no_digit() -> None:
    field, _ = edited("de", "40202020", "1da0", "edited_data")
    assert field == "40f12020"


def edited(op: str, pattern: str, source: str, trap: str = "") -> tuple[str, State]:
    length = len(pattern) // 2
    state = ready(f"{op}{length - 1:02x}40005000")
    state.memory["storage"].load(FIRST, bytes.fromhex(pattern))
    state.memory["storage"].load(SECOND, bytes.fromhex(source))
    assert step(state) == trap
    return bytes(state.memory["storage"][FIRST + i] for i in range(length)).hex(), state


# ---- floating point -------------------------------------------------------------------------------------

ADD, SUBTRACT, COMPARE, UNNORMALIZED, MULTIPLY, DIVIDE = "3a", "3b", "39", "3f", "3c", "3d"


def short(op: str, a: int, b: int, mask: int = 0) -> tuple[int, int, str]:
    """One instruction on registers 0 and 2; the first of them after it, its left half unless it is a product."""
    state = ready(f"{op}02", mask, (a << 32, b << 32))
    trap = step(state)
    after = state["fpr"][0]
    return after if op == MULTIPLY else after >> 32, int(state["psw.cc"]), trap


@pytest.mark.parametrize(("op", "a", "b", "mask", "result", "cc", "trap"), [
    (ADD, 0x41100000, 0x41100000, 0, 0x41200000, 2, ""),
    (ADD, 0x41FFFFFF, 0x41100000, 0, 0x4210FFFF, 2, ""),  # a carry
    (SUBTRACT, 0x42100000, 0x41FFFFFF, 0, 0x3C100000, 2, ""),  # nothing is left but the guard digit
    (UNNORMALIZED, 0x42100000, 0x41FFFFFF, 0, 0x00000000, 0, ""),  # which does not count here
    (UNNORMALIZED, 0x42100000, 0x41FFFFFF, SIGNIFICANCE, 0x42000000, 0, "significance"),
    (SUBTRACT, 0xC1100000, 0xC1100000, 0, 0x00000000, 0, ""),
    (SUBTRACT, 0xC1100000, 0xC1100000, SIGNIFICANCE, 0x41000000, 0, "significance"),
    (SUBTRACT, 0x42100000, 0x42100001, 0, 0xBD100000, 1, ""),
    (ADD, 0x7FFFFFFF, 0x7FFFFFFF, 0, 0x001FFFFF, 2, "exponent_overflow"),
    (ADD, 0xFFFFFFFF, 0xFFFFFFFF, 15, 0x801FFFFF, 1, "exponent_overflow"),
    (SUBTRACT, 0x00100000, 0x000FFFFF, SIGNIFICANCE, 0x00000000, 0, ""),
    (SUBTRACT, 0x00100000, 0x000FFFFF, UNDERFLOW, 0x7B100000, 2, "exponent_underflow"),
    (ADD, 0x48100000, 0x41FFFFFF, 0, 0x48100000, 2, ""),
    (ADD, 0x40000000, 0x41000001, 0, 0x3C100000, 2, ""),  # an operand is normalized only in the sum
    (COMPARE, 0x41100000, 0x42010000, 0, 0x41100000, 0, ""),
    (COMPARE, 0x80000000, 0x7F000000, 0, 0x80000000, 0, ""),
    (COMPARE, 0xC1100000, 0x41100000, 0, 0xC1100000, 1, ""),
    (COMPARE, 0x42100000, 0x41FFFFFF, 0, 0x42100000, 2, ""),  # they differ in the guard digit
    (COMPARE, 0x41000000, 0x3A100000, 0, 0x41000000, 0, ""),  # they differ behind it
    (MULTIPLY, 0x41200000, 0xC1300000, 0, 0xC160000000000000, 0, ""),
    (MULTIPLY, 0x41010000, 0x41F00000, 0, 0x40F0000000000000, 0, ""),
    (MULTIPLY, 0x41FFFFFF, 0x41FFFFFF, 0, 0x42FFFFFE00000100, 0, ""),
    (MULTIPLY, 0x80000000, 0x7FFFFFFF, 15, 0, 0, ""),
    (MULTIPLY, 0x7F200000, 0x42800000, 0, 0x0110000000000000, 0, "exponent_overflow"),
    (MULTIPLY, 0x7F100000, 0x41100000, 0, 0x7F10000000000000, 0, ""),  # normalizing saves it
    (MULTIPLY, 0x00100000, 0x40100000, UNDERFLOW, 0x7F10000000000000, 0, "exponent_underflow"),
    (DIVIDE, 0x41100000, 0x41300000, 0, 0x40555555, 0, ""),
    (DIVIDE, 0x41300000, 0xC1100000, 0, 0xC1300000, 0, ""),
    (DIVIDE, 0x41300000, 0x7F000000, 15, 0x41300000, 0, "floating_point_divide"),
    (DIVIDE, 0xC1000000, 0x41100000, 15, 0x00000000, 0, ""),
    (DIVIDE, 0x7F200000, 0x40100000, 0, 0x00200000, 0, "exponent_overflow"),
    (DIVIDE, 0x00100000, 0x42200000, 0, 0x00000000, 0, ""),
])  # fmt: skip
def test_short(op: str, a: int, b: int, mask: int, result: int, cc: int, trap: str) -> None:
    assert short(op, a, b, mask) == (result, cc, trap)


@pytest.mark.parametrize(("op", "b", "mask", "result", "cc", "trap"), [
    ("30", 0xC1100000, 0, 0x41100000, 2, ""), ("31", 0x00000000, 0, 0x80000000, 0, ""), ("33", 0x80000000, 0, 0x00000000, 0, ""),
    ("32", 0xC1000001, 0, 0xC1000001, 1, ""), ("34", 0x41100000, 0, 0x40800000, 0, ""), ("34", 0xC1000000, 15, 0, 0, ""),
    ("34", 0x00100000, 0, 0, 0, ""), ("34", 0x80100000, UNDERFLOW, 0xFF800000, 0, "exponent_underflow"),
    ("34", 0x41000001, 0, 0x3B800000, 0, ""),  # the bit that leaves the fraction comes back
])  # fmt: skip
def test_short_with_one_operand(op: str, b: int, mask: int, result: int, cc: int, trap: str) -> None:
    assert short(op, 0x12345678, b, mask) == (result, cc, trap)


@pytest.mark.parametrize(("high", "low", "op", "result", "trap"), [
    (0x41FFFFFF80000000, 0, "3502", 0x42100000_00000000, ""), (0xC1FFFFFF7FFFFFFF, 0, "3502", 0xC1FFFFFF_00000000, ""),
    (0x7FFFFFFF80000000, 0, "3502", 0x00100000_00000000, "exponent_overflow"),
    (0x4100000000000000, 0xFF80000000000000, "2504", 0x4100000000000001, ""),
    (0x4100000000000000, 0xFF7FFFFFFFFFFFFF, "2504", 0x4100000000000000, ""),
])  # fmt: skip
def test_load_rounded(high: int, low: int, op: str, result: int, trap: str) -> None:
    state = ready(op, 0, (0, high, 0, 0) if op == "3502" else (0, 0, high, low))
    assert step(state) == trap
    assert state["fpr"][0] == result


@pytest.mark.parametrize(("code", "fpr", "mask", "result", "trap"), [
    ("3604", (0x41 << 56 | 1 << 52, 0, 0x41 << 56 | 1 << 52, 0), 0, (0x4120000000000000, 0x3300000000000000), ""),
    ("3700", (0x41 << 56 | 1 << 52, 5, 0, 0), 0, (0, 0), ""),
    ("3700", (0x41 << 56 | 1 << 52, 5, 0, 0), SIGNIFICANCE, (0x4100000000000000, 0x3300000000000000), "significance"),
    ("3700", (0x80 << 56, 5, 0, 0), SIGNIFICANCE, (0, 0x7200000000000000), "significance"),  # no true zero, though it looks like one
    ("3704", (0x41 << 56 | 1 << 52, 0, 0x41 << 56, 0x10 << 48), 0, (0x40F << 52 | (1 << 52) - 1, 0x3200000000000000), ""),
    ("3704", (0x08 << 56 | 1 << 52, 0, 0x08 << 56, 1), 0, (0x07F << 52 | (1 << 52) - 1, 0x79FFFFFFFFFFFFF0), ""),  # 7 - 14 wraps
    ("2702", (0x4110000000000001, 0x4110000000000001, 0, 0), 0, (0x4110000000000002, 0x3300000000000010), ""),
    ("2644", (0, 0, 0x4110000000000000, 0x3300000000000001), 0, (0, 0, 0x4110000000000000, 0x3300000000000002), ""),
])  # fmt: skip
def test_extended(code: str, fpr: tuple[int, ...], mask: int, result: tuple[int, ...], trap: str) -> None:
    state = ready(code, mask, fpr)
    assert step(state) == trap
    assert tuple(state["fpr"][: len(result)]) == result


@pytest.mark.parametrize("code", ["3a01", "3a10", "2a80", "7a104000", "3602", "3620", "2724", "2503", "2502", "67244000", "70104000"])
def test_registers_there_are_not(code: str) -> None:
    assert step(ready(code)) == "specification"


characteristics = st.integers(0x30, 0x50)
fractions = st.integers(1 << 52, (1 << 56) - 1) | st.integers(0, 51).map(lambda n: (1 << 56) - (1 << n))


def value(word: int) -> Fraction:
    exact = Fraction(word & (1 << 56) - 1, 1 << 56) * Fraction(16) ** ((word >> 56 & 0x7F) - 64)
    return -exact if word >> 63 else exact


def nearest_to_zero(exact: Fraction) -> int:
    """The long number with the 14 first digits of a value that has a characteristic."""
    characteristic, fraction = 64, abs(exact)
    while fraction >= 1:
        fraction, characteristic = fraction / 16, characteristic + 1
    while fraction < Fraction(1, 16):
        fraction, characteristic = fraction * 16, characteristic - 1
    return (exact < 0) << 63 | characteristic << 56 | int(fraction * (1 << 56))


@given(characteristics, fractions, characteristics, fractions, st.booleans())
def test_long_products_and_quotients_are_exact_but_for_digits_that_are_cut_off(c: int, f: int, d: int, g: int, minus: bool) -> None:
    a, b = c << 56 | f, minus << 63 | d << 56 | g
    for op, exact in (("2c", value(a) * value(b)), ("2d", value(a) / value(b))):
        state = ready(f"{op}02", 0, (a, b))
        assert step(state) == ""
        assert state["fpr"][0] == nearest_to_zero(exact)


@given(characteristics, fractions, fractions)
def test_long_sums_within_one_characteristic_are_exact(c: int, f: int, g: int) -> None:
    a, b = c << 56 | f, c << 56 | g
    for op, exact in (("2a", value(a) + value(b)), ("2b", value(a) - value(b))):
        state = ready(f"{op}02", 0, (a, b))
        assert step(state) == ""
        assert state["fpr"][0] == (nearest_to_zero(exact) if exact else 0)
