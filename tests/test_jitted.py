"""The jitted machine does what the plain machine does: the same outcome, fault for fault, and the same state after it."""

from __future__ import annotations

import random
from functools import cache

import pytest
from jitting import Harness

from isa_specs.load import bundled

STATES = {"s370": 3, "s370_das": 2}
LARGE = ("x86", "x86_umip", "x86_vtx")


@cache
def harness(name: str) -> Harness:
    return Harness(name)


@pytest.mark.parametrize("name", [name for name in bundled() if name not in LARGE])
def test_every_form_from_random_states(name: str) -> None:
    did = harness(name).compare(random.Random(name), STATES.get(name, 12))
    assert did["next"] > did.total() / 10
    assert did["trap"] > 0
