"""Every ``flow`` certificate, proved once more by the solver: no definition has a witness, and the square commutes."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from functools import cache

import pytest
from toys import toy

from checker.classify import Classifier
from checker.controls import SquareChecker
from checker.definitions import Definitions, Question
from checker.footprint import Footprint, Footprints
from checker.obligations import Asker
from checker.solve import Solver
from checker.states import BEHAVIOUR, OBSERVED, States
from checker.terms import Terms
from isa_specs.core import Expr, Isa
from isa_specs.load import bundled, load, loads

# Of descriptions most of which is their base; the campaign takes all.
SAMPLE = {"s360_67": 12, "s370_vma": 12, "s370_das": 12, "x86_umip": 20, "x86_vtx": 20}


class Flow:
    """What the footprint settles of one description under one profile."""

    def __init__(self, isa: Isa, monitor: str, footprints: Footprints):
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        self.states = States(Terms(), isa, isa.monitors[monitor], {})
        with Solver(1) as solver:
            asker = Asker(self.states.terms, solver)
            classifier = Classifier(self.states, asker, footprints)
            squares = SquareChecker(self.states, solver, footprints)
        self.innocuous = [form for form in isa.forms if classifier.innocuous(footprints.form(form))]
        self.commuting = [form for form in isa.forms if squares.flows(footprints.form(form))]


@cache
def flow(name: str, monitor: str) -> Flow:
    isa = load(name)
    return Flow(isa, monitor, Footprints(isa))


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(1, 60) as solver:
        yield solver


def witnesses(define: Definitions) -> Iterator[Question]:
    """Questions none of which may have a witness if the form is innocuous and observes neither time nor identity.

    Over all legal states: a witness under the controls is one of these."""
    for user in (True, False):
        yield define.control(False, user_only=user)
        for kind in (*BEHAVIOUR, *OBSERVED):
            yield define.behaviour(kind, False, user=user)
    yield define.depends_on_time(True)


def prove(found: Flow, count: int, solver: Solver) -> None:
    asker = Asker(found.states.terms, solver)
    rng = random.Random(found.states.isa.name)
    for form in rng.sample(found.innocuous, min(count, len(found.innocuous))):
        define = Definitions(found.states, form)
        for question in witnesses(define):
            verdict = asker.ask(question).verdict
            assert verdict == "unsat", f"{form.instruction} ({form.template}) by its footprint is innocuous, but: {question.name} {verdict}"
    for form in rng.sample(found.commuting, min(count, len(found.commuting))):
        verdict = asker.ask(Definitions(found.states, form).square()).verdict
        assert verdict == "unsat", f"the square of {form.instruction} ({form.template}) commutes by its footprint, but: {verdict}"


def same_in_both_modes(found: Flow, count: int, solver: Solver) -> None:
    """What it does in one mode it does in the other, so it is not privileged."""
    asker = Asker(found.states.terms, solver)
    for form in random.Random(found.states.isa.name).sample(found.innocuous, min(count, len(found.innocuous))):
        define = Definitions(found.states, form)
        runs = [asker.ask(question).verdict for question in (define.runs_in_user_mode(True), define.runs_in_supervisor_mode())]
        assert runs in (["sat", "sat"], ["unsat", "unsat"]), f"{form.instruction} ({form.template}): {runs}"


PROFILES = [(name, monitor) for name in bundled() for monitor in load(name).monitors]


@pytest.mark.parametrize(("name", "monitor"), PROFILES)
def test_flow_verdicts_hold_by_smt(name: str, monitor: str, solver: Solver) -> None:
    prove(flow(name, monitor), SAMPLE.get(name, sys.maxsize), solver)


@pytest.mark.parametrize(("name", "monitor"), [
    *((name, next(iter(load(name).monitors))) for name in bundled()),
    ("teaching/duplicated", "assisted"),
])
def test_flow_forms_are_not_privileged(name: str, monitor: str, solver: Solver) -> None:
    same_in_both_modes(flow(name, monitor), 60, solver)


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "monitor"), [(name, monitor) for name, monitor in PROFILES if name in SAMPLE])
def test_all_flow_verdicts_hold_by_smt(name: str, monitor: str, solver: Solver) -> None:
    prove(flow(name, monitor), sys.maxsize, solver)


class Blind(Footprints):
    """Overlooks what expressions read."""

    def _expr(self, root: Expr, out: Footprint) -> None:
        pass


@pytest.mark.parametrize(("body", "what"), [
    ("g[r] <- zext(mask, 8)", "resource"),
    ("g[r] <- zext(m, 8)", "mode"),
    ("trap refused when m == 1", "mode"),
    ("g[r] <- clock", "time"),
    ("execute zext(mask, 16)", "resource"),
])
def test_a_footprint_that_overlooks_something_is_caught(body: str, what: str, solver: Solver) -> None:
    isa = loads(toy({"READ": body}))
    found = Flow(isa, "vmm", Blind(isa))
    if "execute" in body:  # known whatever is read
        assert not found.innocuous
        found.commuting.clear()
        found.innocuous.extend(isa.forms)
    with pytest.raises(AssertionError, match=what):
        prove(found, 1, solver)
