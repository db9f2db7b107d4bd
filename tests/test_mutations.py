"""Deleting a privilege check, a guard or a VM-exit condition is noticed; all of them, or a sample in the normal suite."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from mutations import Campaign, explained, mutants, survivors

from checker.solve import Solver
from isa_specs.load import bundled, load

SAMPLE = {"s370_das": 10, "x86": 16, "x86_umip": 6, "x86_vtx": 1}  # of the large descriptions; the others get all


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(1, 60) as solver:
        yield solver


def survive(name: str, count: int | None, solver: Solver) -> list[tuple[str, str]]:
    """The mutants that change no verdict, as (where, what)."""
    campaign = Campaign(load(name), solver)
    tried = mutants(campaign.isa)
    assert tried
    if count is not None:
        # A guard in a procedure concerns many instructions at once; those are for the campaign.
        tried = random.Random(name).sample([mutant for mutant in tried if len(mutant.affected) == 1], count)
    return [(mutant.where, mutant.what) for mutant in tried if not campaign.killed(mutant) and not explained(name, mutant)]


@pytest.mark.parametrize("name", bundled())
def test_deleted_checks_are_noticed(name: str, solver: Solver) -> None:
    assert survive(name, SAMPLE.get(name), solver) == []


@pytest.mark.campaign
@pytest.mark.parametrize("name", SAMPLE)
def test_all_deleted_checks_are_noticed(name: str, solver: Solver) -> None:
    assert survive(name, None, solver) == []


@pytest.mark.parametrize(("isa", "where", "what"), survivors())
def test_explained_survivors_exist(isa: str, where: str, what: str, solver: Solver) -> None:
    """An explanation for a mutant that is gone, or that is noticed by now, explains nothing. The large ones are left to the campaign."""
    found = [mutant for mutant in mutants(load(isa)) if (mutant.where, mutant.what) == (where, what)]
    assert found
    if not isa.startswith("x86"):  # there it would take all instructions that do input and output
        campaign = Campaign(load(isa), solver)
        assert any(not campaign.killed(mutant) for mutant in found)
