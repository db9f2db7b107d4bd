"""Symbolic runs: what is known on one path is not on another, and what was run before is not run again."""

from __future__ import annotations

import random

import pytest
from toys import toy

from checker.execution import Run
from checker.readings import Readings
from checker.states import States
from checker.steps import Start, unknown
from checker.terms import Terms
from isa_specs.core import Isa
from isa_specs.load import find, load, loads

GUARDED = """
function guarded(a : bits(8)) -> bits(8)
  trap wrong when flag == 1
  return a

procedure checked(a : bits(8))
  trap wrong when flag == 1
  g[0] <- a
"""

BODIES = {
    "in the other choice": "g[r] <- if m == 1 then guarded(g[r]) else guarded(g[q])",
    "after a choice": "let x = if m == 1 then guarded(g[r]) else g[q]\nchecked(x)",
    "after a round": "for i in 0 .. 1 while m == 1\n  checked(g[q])\nchecked(g[r])",
    "after rounds that trap": "for i in 0 .. 1 while m == 1\n  trap wrong when base == 0\n  trap refused\ntrap wrong when base == 0",
    "after a branch": "if m == 1\n  checked(g[q])\nchecked(g[r])",
}


def told(isa: Isa, seed: int) -> set[str]:
    """What the only form did in a hundred states, in each of which the readings agreed."""
    readings, rng, did = Readings(isa), random.Random(seed), set()
    form, = isa.forms
    reads = readings.reads(form)
    for _ in range(100):
        case = readings.case(form, rng)
        assert case is not None
        case.state.cells |= {"m": rng.getrandbits(1), "flag": rng.getrandbits(1), "base": rng.getrandbits(1)}
        did.add(readings.compare(reads, case))
    return did


@pytest.mark.parametrize("place", BODIES)
def test_a_guard_passed_on_one_path_is_not_passed_on_another(place: str) -> None:
    isa = loads(toy({"GUARD": BODIES[place]}, more=GUARDED))
    assert {"next", "wrong"} <= told(isa, 1)


MEET = """
var sum = g[r]
if m == 1
  sum <- sum + 1
  trap wrong when flag == 1
else
  if base == 0
    sum <- 7
for i in 0 .. 2 while flag == 0
  sum <- sum + 3
g[q] <- sum
"""


def test_a_local_assigned_on_one_path_is_chosen_where_paths_meet() -> None:
    isa = loads(toy({"MEET": MEET}))
    assert told(isa, 2) <= {"next", "wrong"}


SIDES = """
if m == 1
  trap refused when mask == 3
else
  region "one" when r == 1
  region "two" when r == 2
  g[q] <- n ++ mask
g[r] <- 1
"""


def test_in_a_region_the_way_to_it_alone_is_followed() -> None:
    isa = loads(toy({"PART": SIDES}))
    readings, rng = Readings(isa), random.Random(3)
    form, = isa.forms
    reads = readings.reads(form)
    assert [len(read.step.traps) for read in reads] == [1, 0, 0, 1]  # the whole form, in region one, in two, outside
    did = []
    for _ in range(100):
        case = readings.case(form, rng)
        assert case is not None
        case.state.cells |= {"m": rng.getrandbits(1), "mask": rng.choice((3, 5))}
        did.append(readings.compare(reads, case))
    assert {"next", "refused"} == set(did)
    # The other state of a pair need not be in the region: there both sides are open, unless they are told apart alike.
    like = readings.read(form, "one").step

    def differing_in(component: str) -> Start:
        return Start(lambda name: unknown(readings.terms, isa, "v." if name == component else "s.", name))

    others = [readings.symbolic.form(form, differing_in(name), readings.symbolic.fields(form), "one", like) for name in ("m", "mask")]
    assert [len(other.traps) for other in others] == [1, 0]


def test_a_start_that_differs_in_nothing_looked_at_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    isa = load(find("x86"))
    states = States(Terms(), isa, next(iter(isa.monitors.values())), {})
    ran = []
    instruction = Run.instruction
    monkeypatch.setattr(Run, "instruction", lambda run, body: ran.append(run.start) or instruction(run, body))
    form = next(form for form in isa.forms if form.instruction == "POPF")
    fields = states.symbolic.fields(form)
    clock, mode = (states.pair(states.classes[kind], restricted=False)[0] for kind in ("time", "mode"))
    free = states.step(form, "", states.free(), fields)
    same = states.step(form, "", clock, fields, free)
    other = states.step(form, "", mode, fields, free)
    assert same.start is clock
    assert same.written == free.written
    assert ran == [free.start, other.start]
    assert other.written["eflags.if"] is not free.written["eflags.if"]
