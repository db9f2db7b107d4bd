"""Values of more than 64 bits in generated code, of few words and of many, against the plain machine."""

from __future__ import annotations

import random
import re

import pytest

from isa_specs.core import Isa
from isa_specs.load import loads
from machine.generated.wide import FEW
from machine.jitted import JittedMachine
from machine.plain import Machine
from machine.state import State

WIDTHS = (65, 112, 127, 128, 190, 64 * FEW, 64 * FEW + 1, 400)

RESULTS = {
    "sum": "x + y", "difference": "x - y", "product": "x * y", "negative": "-x", "not": "~x", "or": "x | y", "xor": "x ^ y", "and": "x & y",
    "quotient": "x / y", "rest": "x % y", "signed_quotient": "x /s y", "signed_rest": "x %s y",
    "left": "x << n", "right": "x >> n", "signed_right": "x >>s n", "left_3": "x << 3", "right_65": "x >> 65", "left_all": "x << 1000",
    "byte": "zext(low(x >> n, 8), w)",
    "left_far": "x << y", "right_far": "x >> y", "signed_far": "x >>s y", "middle": "zext((x >> n)[9:2], w)",
    "chosen": "if x < y then x + 1 else y", "signed": "sext(x[4:1], w)", "wider": "low(sext(x, w + 70) / zext(y, w + 70), w)",
    "joined": "x[w - 1:w - 9] ++ y[w - 10:70] ++ n[0] ++ y[68:0]", "swapped": "x[29:0] ++ x[w - 1:30]",
    "order": "zext((x == y) ++ (x < y) ++ (x <= y) ++ (x <s y) ++ (x <=s y) ++ (x != x + 0), w)",
}


def described(width: int) -> Isa:
    """One instruction that computes all RESULTS of ``width`` bits, and of locals that change in place."""
    results = {name: re.sub(r"\bw\b", str(width), text) for name, text in RESULTS.items() if name != "joined" or width > 80}
    cells = "\n".join(f"  r_{name} : bits({width}) data" for name in (*results, "turned", "filled"))
    body = "\n".join(f"  r_{name} <- {text}" for name, text in results.items())
    return loads(f"""isa wide "Wide values"
bits lsb0
bytes big
state
  x : bits({width}) data
  y : bits({width}) data
  n : bits(9) data
  pc : bits(8) counter
  m : bit mode
{cells}
space storage : bits(8) -> byte data
trap wrong program nullify
  pc <- 0
illegal wrong
format F = op:8
fetch (a : bits(8))
  return storage(a, 8)
instruction ALL "All" F 0x01 "ALL"
{body}
  var turned = x
  var filled = y
  for i in 0 .. 9
    turned <- turned << 7
    turned <- turned + zext(n, {width})
    filled <- filled | zext(x[7:0], {width}) << n
    filled <- filled << n[3:0]
  r_turned <- turned
  r_filled <- filled
mode supervisor when m == 0
mode user when m == 1
""")


def operands(width: int, rng: random.Random) -> tuple[int, int]:
    """Two, often near the edges of words, sometimes equal."""
    def one() -> int:
        value = rng.getrandbits(rng.choice((width, width, 64, 32, 1)))
        if rng.random() < 0.4:
            value = (1 << rng.randrange(width + 1)) - rng.randrange(3)
        return (value << rng.choice((0, 0, rng.randrange(width)))) & (1 << width) - 1

    x, y = one(), one()
    return x, rng.choice((y, y, y, x, x ^ 1))


@pytest.mark.parametrize("width", WIDTHS)
def test_operators(width: int) -> None:
    isa = described(width)
    plain, jitted, rng = Machine(isa), JittedMachine(isa), random.Random(width)
    state, expected = jitted.state(), State(isa)
    for each in (state, expected):
        each["storage"][0] = 1
    for _ in range(300):
        x, y = operands(width, rng)
        n = rng.choice((rng.randrange(width), rng.getrandbits(9), 0, 63, 64, 65))
        for each in (state, expected):
            each["x"], each["y"], each["n"], each["pc"] = x, y, n, 0
        jitted.run(state, 1)
        plain.run(expected, 1)
        differing = {name: (hex(state[name]), hex(expected[name])) for name in isa.cells if state[name] != expected[name]}
        assert not differing, (hex(x), hex(y), n, differing)
        if y:
            assert state["r_quotient"] == x // y
        assert state["r_product"] == x * y & (1 << width) - 1
