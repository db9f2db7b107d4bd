"""Deleting a privilege check, a guard, a VM-exit condition or a swap is noticed: a sample of ``python -m tests.mutations``."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from mutations.campaign import Campaign
from mutations.page import KINDS, PAGE
from mutations.results import survivors
from mutations.sites import MEMORY, mutants
from mutations.swaps import Swaps

from checker.solve import Solver
from isa_specs.load import bundled, load

# Checks of the large descriptions; the others get all.
SAMPLE = {"s360_67": 12, "s370_vma": 12, "s370": 25, "s370_das": 12, "x86": 12, "x86_umip": 6, "x86_vtx": 3}


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(1, 60) as solver:
        yield solver


@pytest.mark.parametrize("name", bundled())
def test_deleted_checks_are_noticed(name: str, solver: Solver) -> None:
    isa, known = load(name), survivors()
    tried = [m for m in mutants(isa) if m.kind == "check" and (name, m.where, m.what) not in known]
    assert tried
    if name in SAMPLE:
        # A check in a procedure concerns many instructions at once; those are for the campaign.
        tried = random.Random(name).sample([mutant for mutant in tried if len(mutant.subjects) == 1], SAMPLE[name])
    campaign = Campaign(isa, solver)
    assert [(mutant.where, mutant.what) for mutant in tried if not campaign.killed(mutant)] == []


@pytest.mark.parametrize(("isa", "where", "what"), survivors())
def test_explained_survivors_exist(isa: str, where: str, what: str, solver: Solver) -> None:
    """An explanation for a mutant that is gone, or that is noticed by now, explains nothing. Large ones are left to the campaign."""
    loaded = load(isa)
    (mutant,) = [m for m in mutants(loaded) if (m.where, m.what) == (where, what)]
    if len(mutant.subjects) == 1:
        assert not Campaign(loaded, solver).killed(mutant)


def test_swaps_that_hardware_leaves_out_are_noticed(solver: Solver) -> None:
    name = "teaching/duplicated"
    isa = load(name)
    swaps = Swaps(isa, name, solver)
    found = {(m.where, m.what): swaps.lost(m) for m in mutants(isa) if m.kind == "swap"}
    assert {place: (lost and lost.culprits, lost and lost.broken) for place, lost in found.items()} == {
        ("START (START)", "psw.m"): (("START",), ("RIM", "RM", "SIM")),
        ("START (START)", "mask"): (("START",), ("RIM", "SIM")),
        ("leave_guest", "vm.m"): (("delivery of guest_exit",), ("RIM", "RM", "SIM")),
        ("leave_guest", "vm.mask"): (("delivery of guest_exit",), ("RIM", "SIM")),
    }


def test_a_guard_on_operands_need_not_be_noticed(solver: Solver) -> None:
    isa = load("s370")
    guards = [m for m in mutants(isa) if m.kind == "guard" and m.subjects != (MEMORY,) and len(m.subjects) == 1]
    campaign = Campaign(isa, solver)
    assert [m.where for m in random.Random(1).sample(guards, 5) if campaign.killed(m)] == []


def test_a_guard_on_what_keeps_an_invariant_is_noticed(solver: Solver) -> None:
    isa = load("x86")
    (mutant,) = [m for m in mutants(isa) if (m.where, m.what) == ("write_cr0", "trap mode_not_described")]
    assert "preserves" in Campaign(isa, solver).killed(mutant)


def test_the_page_counts_the_mutants_there_are() -> None:
    """Whoever adds a check has to run the campaign."""
    rows = re.findall(r"^\| ([\w/]+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: [int(cell) for cell in cells.split("|")] for name, cells in rows if name in bundled()}
    counted = {name: [sum(m.kind == kind for m in mutants(load(name))) for kind in KINDS] for name in bundled()}
    assert {name: [cells[0], cells[3], cells[5]] for name, cells in shown.items()} == counted
    assert "unexplained" not in PAGE.read_text(encoding="utf-8")
