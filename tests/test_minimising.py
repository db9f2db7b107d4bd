"""Descents to simple models, on hand-made terms."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from checker.models import Descent, Evaluator, Key, Model, minimise
from checker.term import Term
from checker.terms import Terms


def alone(name: str) -> str | None:
    """There is no other state."""
    return None


def simplest(conditions: list[Term], model: Model) -> Model:
    search = Descent(Evaluator(conditions), model)
    assert search.holds
    minimise(search, alone)
    assert all(Evaluator(conditions)(search.model))
    return search.model


def test_what_is_read_moves_along_with_its_address() -> None:
    t = Terms()
    base, offset = t.var("base", 16), t.var("offset", 16)
    read = t.select(t.memory("m", 16, 8), t.add(base, offset))
    found = simplest([t.eq(read, t.const(8, 7))], Model({"base": 0x1234, "offset": 0x40}, {("m", 0x1274): 7}))
    assert found.values == {"base": 0, "offset": 0}
    assert {at: value for at, value in found.cells.items() if value} == {("m", 0): 7}


def test_a_table_moves_along_with_the_number_that_selects_in_it() -> None:
    t = Terms()
    where, table = t.memory("where", 16, 8), t.memory("table", 8, 8)
    entry = t.select(table, t.select(where, t.var("at", 16)))
    found = simplest([t.eq(entry, t.const(8, 0x9C))], Model({"at": 0x800}, {("where", 0x800): 0x50, ("table", 0x50): 0x9C}))
    assert found.values == {"at": 0}
    assert {at: value for at, value in found.cells.items() if value} == {("table", 0): 0x9C}


def test_two_reads_that_would_meet_stay_apart() -> None:
    t = Terms()
    memory = t.memory("m", 8, 8)
    a, b = t.select(memory, t.var("a", 8)), t.select(memory, t.var("b", 8))
    conditions = [t.eq(a, t.const(8, 1)), t.eq(b, t.const(8, 2))]
    found = simplest(conditions, Model({"a": 0x30, "b": 0x60}, {("m", 0x30): 1, ("m", 0x60): 2}))
    assert sorted(found.values.values()) == [0, 1]


@given(st.integers(0, 2**32))
def test_what_is_not_taken_leaves_nothing_behind(seed: int) -> None:
    rng, t = random.Random(seed), Terms()
    memory, names = t.memory("m", 4, 8), ["a", "b", "c"]
    terms: list[Term] = [t.var(name, 4) for name in names]
    for _ in range(8):
        one, two = rng.choice(terms), rng.choice(terms)
        made = rng.choice([t.add(one, two), t.extract(t.select(memory, one), 3, 0), t.ite(t.eq(one, two), two, terms[0])])
        terms.append(made)
    model = Model({name: rng.randrange(16) for name in names}, {("m", at): rng.randrange(256) for at in range(16)})
    goal = Evaluator([terms[-1]])(model)[0]
    search = Descent(Evaluator([t.eq(terms[-1], t.const(4, goal))]), model)
    for _ in range(12):
        before = search.model.copy()
        key: Key = rng.choice([*names, ("m", rng.randrange(16))])
        changes = {key: rng.randrange(16)}
        if rng.random() < 0.3:
            changes = search.carrying(changes) or changes
            assert search.model == before
        if search.survives(changes):
            assert search.model == before
            assert search.step(changes)
        else:
            assert not search.step(changes)
            assert search.model == before
        fresh = Descent(Evaluator([t.eq(terms[-1], t.const(4, goal))]), search.model)
        assert fresh.holds
        assert fresh.values == search.values
