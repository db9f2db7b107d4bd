"""Hybrid monitors (Popek and Goldberg 1974, Theorem 3): those whose guests meet the real machine in user mode only."""

from __future__ import annotations

from checker.smtlib import Writer
from checker.solve import Solver
from checker.states import States
from checker.terms import Terms
from isa_specs.core import Isa, Monitor


def user_only(isa: Isa, monitor: Monitor, timeout: float) -> bool:
    """Whether the profile's assumptions leave no legal virtual state in supervisor mode; ``timeout`` is in seconds.

    Its squares then say nothing about a guest's supervisor mode, which such a monitor interprets.
    """
    if all(condition is None for _, condition in monitor.assumptions):
        return False
    terms = Terms()
    states = States(terms, isa, monitor, {})
    start = states.free()
    asked = terms.all([states.legal(start), states.assumed(start), states.mode("supervisor", start)])
    if asked.is_const:
        return not asked.data
    with Solver(1, timeout) as solver:
        return solver.solve(Writer().text([asked])[0]).verdict == "unsat"
