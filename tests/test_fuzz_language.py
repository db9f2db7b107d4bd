"""Mutated descriptions: each is either refused with places and reasons or means something; none crashes the language.

A sample; ``python -m tests.robustness`` tries 20,000 of them.
"""

from __future__ import annotations

import pytest
from fuzzing.check import FILE, piece
from fuzzing.core_form import flaws
from fuzzing.mutants import sources

from isa_specs.load import loads


@pytest.mark.parametrize("number", range(3))
def test_mutants(number: int) -> None:
    outcomes = list(piece(number, 100))
    assert 0 < sum(not outcome.codes for outcome in outcomes) < len(outcomes)


def test_every_bundled_description_is_sound() -> None:
    for listed in sources():
        for name, text in listed:
            if name != "family":
                assert flaws(loads(text, FILE)) == []
