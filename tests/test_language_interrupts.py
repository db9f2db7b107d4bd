"""Interrupts and idleness: what a description says of them, on the plain machine, to the checker, and where it is wrong."""

from __future__ import annotations

import pytest
from test_language_types import described

from checker.check import check
from checker.options import Options
from isa_specs.core import Isa
from isa_specs.diagnostics import SpecError
from isa_specs.load import load
from isa_specs.walk import components
from machine.board import conjuncts
from machine.plain import Machine
from machine.state import State

CLOCKED = """
interrupt clock when c == 0x80 and enabled(1) == 1 "Clock"
  a <- a + 1
interrupt line(n : bits(4)) when user == 0
  c <- zext(n, 8)
  pc <- 0x100

idle when b == 7

function enabled(n : bits(2)) -> bit
  return low(gpr[n], 1)
"""


def clocked(rest: str = CLOCKED) -> Isa:
    return described("a <- a", rest=rest)


def test_an_interrupt_is_delivered_with_what_the_device_tells() -> None:
    isa = clocked()
    state = State(isa)
    state["b"], state["c"] = 7, 1
    machine = Machine(isa)
    line = isa.interrupts["line"]
    assert machine.evaluate(line.condition, state)
    assert not machine.evaluate(isa.interrupts["clock"].condition, state)
    machine.deliver(line.trap, (9,), state, 0)
    assert (state["c"], state["pc"], state["b"]) == (9, 0x100, 7)


def test_a_condition_may_ask_what_the_device_tells() -> None:
    isa = clocked("interrupt line(n : bits(4)) when gpr[1][n] == 1 and user == 0\n  a <- 1\n")
    state, line = State(isa), isa.interrupts["line"]
    state.arrays["gpr"][1] = 1 << 5
    taken = [n for n in range(8) if Machine(isa).evaluate(line.condition, state, {"n": n})]
    assert taken == [5]
    assert components(line.condition) == {"gpr", "user"}
    assert conjuncts(line.condition) is None


def test_what_a_condition_looks_at() -> None:
    isa = clocked()
    assert components(isa.interrupts["clock"].condition) == {"c", "gpr"}
    assert isa.idle is not None
    assert components(isa.idle) == {"b"}
    assert conjuncts(isa.idle) == ((("b", 0), 7),)
    assert conjuncts(isa.interrupts["clock"].condition) is None
    assert conjuncts(load("s370").interrupts["interrupt_key"].condition) == ((("psw.external", 0), 1), (("cr0.interrupt_key", 0), 1))


@pytest.mark.parametrize(
    ("code", "rest"),
    [
        ("SP101", "interrupt i when user == 0\n  a <- 1\ninterrupt i when user == 1\n  a <- 2\n"),
        ("SP101", "idle when a == 0\nidle when b == 0\n"),
        ("SP309", "interrupt i when probe() == 1\n  a <- 1\nfunction probe() -> bit\n  trap refused when a == 1\n  return 1\n"),
        ("SP100", "override interrupt j when user == 0\n  a <- 1\n"),
        ("SP202", "interrupt i when a\n  a <- 1\n"),
    ],
)
def test_mistakes(code: str, rest: str) -> None:
    with pytest.raises(SpecError) as caught:
        clocked(rest)
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_an_extension_replaces_an_interrupt() -> None:
    base = load("s370")
    assert load("s370_das").interrupts.keys() == base.interrupts.keys()
    isa = clocked("interrupt i when user == 0\n  a <- 1\noverride interrupt i when user == 1\n  a <- 2\n")
    state = State(isa)
    Machine(isa).deliver(isa.interrupts["i"].trap, (), state, 0)
    assert state["a"] == 2


def test_what_is_replaced_need_not_fit_any_more() -> None:
    """As with functions and traps, only what is in force is read; its mistakes are told once."""
    fits = "interrupt h when b == 1\n  b <- 1\n"
    isa = clocked("interrupt i(n : bits(4)) when gone == 1\n  nowhere <- n\n" + fits + "override interrupt i when user == 1\n  a <- 2\n")
    assert list(isa.interrupts) == ["i", "h"]
    assert isa.interrupts["i"].trap.params == ()
    with pytest.raises(SpecError) as caught:
        clocked("interrupt i when gone == 1\n  a <- 1\noverride interrupt i when lost == 1\n  a <- 2\n")
    assert [d.code for d in caught.value.diagnostics] == ["SP100"]
    assert "lost" in caught.value.diagnostics[0].message


def test_interrupts_preserve_invariants(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("specs") / "clocked.spec"
    text = 'isa clocked extends third_generation\ninvariant "never stopped" stopped == 0\n'
    broken = text + "interrupt stop when psw.m == 1\n  stopped <- 1\n"
    kept = text + "interrupt stop when stopped == 1\n  stopped <- 1\n"
    found = {}
    for name, content in (("broken", broken), ("kept", kept)):
        path.write_text(content, encoding="utf-8")
        (invariant,) = check(str(path), Options(instructions=("LA",))).invariants
        found[name] = invariant.verdict, invariant.instruction
    assert found == {"broken": ("refuted", "interrupt stop"), "kept": ("proved", "")}
