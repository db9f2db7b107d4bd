"""The symbolic reading is the plain machine, for every form of every bundled description."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from readings import Case, Differ, Read, Readings, Skipped

from checker.obligations import Asker
from checker.solve import Solver
from isa_specs.core import Form
from isa_specs.load import bundled, load

BASES = {"s360_67": "s370", "s370_vma": "s370", "s370_das": "s370", "x86_umip": "x86", "x86_vtx": "x86"}
# States a form; the small machines get more.
STATES = {"s360_67": 3, "s370_vma": 3, "s370": 3, "s370_das": 3, "x86": 2, "x86_umip": 4, "x86_vtx": 2}
SAMPLES = {"x86": 80, "s370": 40}  # forms of a large description to ask the solver about
CHUNKS = 4


@cache
def readings(name: str) -> Readings:
    return Readings(load(name))


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(1, 20) as solver:
        yield solver


def forms(name: str) -> list[Form]:
    """The forms of a description; of an extension those that are new or touch something else than in its base."""
    isa, base = readings(name).isa, BASES.get(name)
    if base is None:
        return isa.forms
    known = {(form.instruction, form.template): readings(base).footprints.form(form) for form in readings(base).isa.forms}
    return [form for form in isa.forms if readings(name).footprints.form(form) != known.get((form.instruction, form.template))]


def rng_of(form: Form) -> random.Random:
    return random.Random(zlib.crc32(f"{form.instruction} {form.template}".encode()))


def try_(found: Readings, reads: list[Read], case: Case) -> str:
    """Compare, and say how to see it again when the readings differ."""
    try:
        return found.compare(reads, case)
    except Skipped:
        return "skipped"
    except Differ as error:
        form = case.decoded.form
        where = f"{found.isa.name}, {form.instruction} ({form.template})"
        raise AssertionError(f"{where}: {error}\nfields {case.decoded.fields}\n{case.state}") from None


def random_states(name: str, chosen: list[Form], count: int) -> Counter[str]:
    found, did = readings(name), Counter[str]()
    for form in chosen:
        rng, reads = rng_of(form), found.reads(form)
        for _ in range(count):
            case = found.case(form, rng)
            if case is not None:
                did[try_(found, reads, case)] += 1
    return did


def solved_states(name: str, chosen: list[Form], solver: Solver, *, traps: bool, near: int) -> Counter[str]:
    """States in which the form completes (and with ``traps`` raises each of its traps), and ``near`` states about each."""
    found, did = readings(name), Counter[str]()
    asker = Asker(found.terms, solver)
    for form in chosen:
        rng, reads = rng_of(form), found.reads(form)
        for target, term in found.targets(reads[0]).items():
            if not traps and target not in ("next", "executes"):
                continue
            case = found.solved(reads[0], term, asker)
            if case is None:
                did["none"] += 1
                continue
            ran = try_(found, reads, case)
            assert ran in (target, "skipped"), f"{form.instruction} ({form.template}): the solver's state for {target} comes to {ran}"
            did[ran] += 1
            for _ in range(near):
                other = found.near(case, rng)
                if other is not None:
                    did[try_(found, reads, other)] += 1
    return did


CASES = [(name, chunk) for name in bundled() for chunk in range(CHUNKS if name in ("s370", "x86") else 1)]


@pytest.mark.parametrize(("name", "chunk"), CASES)
def test_random_states(name: str, chunk: int) -> None:
    chosen = forms(name)
    step = CHUNKS if name in ("s370", "x86") else 1
    did = random_states(name, chosen[chunk::step], STATES.get(name, 12))
    assert did["skipped"] < did.total() / 2
    assert did["next"] > 0


@pytest.mark.parametrize("name", bundled())
def test_states_the_solver_finds(name: str, solver: Solver) -> None:
    """At random hardly any selector is good; the solver knows the way past all the checks."""
    chosen = forms(name)
    sample = chosen if len(chosen) < 40 else random.Random(name).sample(chosen, SAMPLES.get(name, 20))
    did = solved_states(name, sample, solver, traps=name.startswith("teaching/"), near=4)
    assert did["next"] >= min(8, len(sample) - 3)


@pytest.mark.campaign
@pytest.mark.parametrize("name", bundled())
def test_many_random_states(name: str) -> None:
    random_states(name, readings(name).isa.forms, 60)


@pytest.mark.campaign
@pytest.mark.parametrize("name", bundled())
def test_every_way_out_of_every_form(name: str, solver: Solver) -> None:
    did = solved_states(name, readings(name).isa.forms, solver, traps=True, near=12)
    assert did["none"] < did.total() / 20
