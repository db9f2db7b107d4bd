"""Invariants proved by the procedures in which bodies end, against what is known of toys and against every body asked as it stands."""

from __future__ import annotations

import pytest

from checker.definitions import Definitions
from checker.deliveries import delivery_form
from checker.footprint import Footprints
from checker.invariants import Invariants
from checker.obligations import Asker
from checker.solve import Solver
from checker.states import States
from checker.terms import Terms
from isa_specs import core
from isa_specs.load import load, loads
from tests.toys import MODES, TRAPS, judge, toy

MASKED = MODES + 'invariant "masked in user mode" m == 0 or mask == 0\n'
ENTER = """
procedure enter(level : bit, bits : bits(4))
  trap wrong when level == 1 and bits != 0
  mask <- bits
  m <- level
"""


def verdict(bodies: dict[str, str], procedure: str) -> tuple[str, str]:
    """What becomes of the invariant, and who breaks it."""
    (found,) = judge(toy(bodies, modes=MASKED, traps=TRAPS + procedure)).invariants
    return found.verdict, found.instruction


def asked(isa: core.Isa, solver: Solver) -> Invariants:
    terms = Terms()
    states = States(terms, isa, next(iter(isa.monitors.values())), {})
    return Invariants(states, Asker(terms, solver), Footprints(isa), isa.forms)


def test_a_procedure_shared_is_decided_once() -> None:
    bodies = {name: f"g[r] <- {number}\nenter(n[0], g[q][3:0])\ng[q] <- g[r]" for number, name in enumerate("ABCD")}
    with Solver(1) as solver:
        found = asked(loads(toy(bodies, traps=TRAPS + ENTER, modes=MASKED)), solver)
        assert [verdict.verdict for verdict in found.verdicts()[0]] == ["proved"]
        assert len(found.kept) == 1
        assert found.asker.asked == 1  # bodies that do nothing else need none


def test_a_procedure_that_keeps_nothing_is_blamed_on_its_callers() -> None:
    careless = ENTER.replace("level == 1 and bits != 0", "bits == 5")
    assert verdict({"A": "enter(n[0], g[q][3:0])", "B": "enter(n[1], 0)"}, careless) == ("refuted", "A")


def test_what_callers_give_a_procedure_may_be_what_makes_it_right() -> None:
    careless = ENTER.replace("level == 1 and bits != 0", "bits == 5")
    guarded = "trap wrong when n[0] == 1 and g[q] != 0\nenter(n[0], g[q][3:0])"
    assert verdict({"A": guarded, "B": guarded}, careless) == ("proved", "")


def test_constants_count_as_what_they_are() -> None:
    level = ENTER.replace("level == 1 and bits != 0", "bits == 5")
    assert verdict({"A": "enter(0, g[q][3:0])", "B": "enter(0, g[r][3:0])"}, level) == ("proved", "")


def test_a_call_rests_on_a_state_that_is_legal_there() -> None:
    """The procedure changes nothing that matters when it does nothing; what was done before it then stays."""
    lazy = """
procedure enter(level : bit, bits : bits(4))
  trap wrong when bits == 7
  if bits == 1
    m <- 0
    mask <- 1
"""
    bodies = {"A": "m <- 1\nmask <- 3\nenter(1, g[q][3:0])", "B": "enter(1, g[q][3:0])"}
    assert verdict(bodies, lazy) == ("refuted", "A")
    repaired = {"A": "m <- 1\nmask <- 0\nenter(1, g[q][3:0])", "B": bodies["B"]}
    assert verdict(repaired, lazy) == ("proved", "")


def test_what_comes_after_a_call_counts() -> None:
    bodies = {"A": "enter(1, 0)\nmask <- g[q][3:0]", "B": "enter(1, 0)", "C": "enter(1, 0)"}
    assert verdict(bodies, ENTER) == ("refuted", "A")


def test_both_sides_of_a_branch_count() -> None:
    bodies = {"A": "if n[0] == 1\n  enter(n[1], g[q][3:0])\nelse\n  mask <- 1", "B": "enter(n[1], g[q][3:0])"}
    assert verdict(bodies, ENTER) == ("refuted", "A")


@pytest.mark.parametrize("name", ["s370_das", "s360_67", "x86"])
def test_the_same_as_every_body_as_it_stands(name: str) -> None:
    """What procedures make of a bundled description is what comes out without them, and more than one body rests on them."""
    isa = load(name)
    with Solver(2) as solver:
        found = asked(isa, solver)
        states, asker = found.states, found.asker
        whole = {}
        for form in [*isa.forms, *(delivery_form(trap) for trap in isa.traps.values() if trap.delivery is not None)]:
            touched = found.touched(found.footprints.form(form).writes)
            if touched:
                whole[form.instruction, form.template] = asker.ask(Definitions(states, form).breaks_invariant(touched))
        for form, keeping in found.asked:
            if (form.instruction, form.template) in whole:
                assert keeping.proved == (whole[form.instruction, form.template].verdict == "unsat"), form.template
        assert sum(bool(keeping.rests_on) for _, keeping in found.asked) > 1
