"""Terms are given the values demanded of them by changing what they are made of, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_terms import WIDTHS, Grown

from checker.inversion import Inversion, brought, near
from checker.models import Evaluator, Model
from checker.term import Term
from checker.terms import Terms
from checker.trials import holds
from isa_specs.ops import OPERATORS

T = Terms()
X, Y, FLAG = T.var("x", 8), T.var("y", 8), T.var("flag", 1)
STORAGE = T.memory("storage", 8, 8)
START = Model({"x": 0x35, "y": 0x0F, "flag": 1}, {("storage", 0x0F): 7})


def apply(name: str, *args: Term) -> Term:
    return T.apply(OPERATORS[name], args)


def value(term: Term, model: Model) -> int:
    return int(Evaluator([term])(model)[0])


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        *[(apply(name, X, Y), 0x0A) for name in ("and", "or", "xor", "add", "sub")],
        *[(apply(name, X), 0x0A) for name in ("not", "neg")],
        *[(apply(name, X, T.ite(FLAG, T.const(8, 2), Y)), 0x1C) for name in ("shl", "lshr")],
        *[(apply(name, X, Y), wanted) for name in ("eq", "ult", "ule", "slt", "sle") for wanted in (0, 1)],
        (T.ite(FLAG, X, Y), 0xAA),
        (T.ite(FLAG, T.const(8, 1), Y), 0xAA),
        (T.extract(X, 5, 2), 9),
        (T.extend(X, 12, False), 0xAA),
        (T.extend(X, 12, True), 0xFAA),
        (T.concat([X, T.const(4, 3), Y]), 0x12345),
        (T.select(STORAGE, Y), 0xAA),
        (T.select(T.store(STORAGE, X, T.const(8, 1)), Y), 0xAA),
    ],
    ids=repr,
)
def test_what_is_inverted(term: Term, wanted: int) -> None:
    assert value(term, START) != wanted or term.width == 1
    assert value(term, brought(START, [(term, wanted, -1)])) == wanted


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        (T.extend(X, 12, False), 0xF00),
        (T.extend(X, 12, True), 0x0AA),
        (T.concat([X, T.const(4, 3)]), 0x124),
        (apply("mul", X, Y), 0xAA),
        (apply("urem", X, Y), 0xAA),
        (T.call("sine", (X,), 8), 1),
        (apply("ult", X, T.const(8, 0)), 1),
    ],
    ids=repr,
)
def test_what_cannot_be_had_changes_nothing(term: Term, wanted: int) -> None:
    assert brought(START, [(term, wanted, -1)]) == START


def test_only_the_bits_that_matter_are_changed() -> None:
    assert brought(START, [(X, 0xC0, 0xF0), (T.extract(Y, 0, 0), 0, 1)]).values == {"x": 0xC5, "y": 0x0E, "flag": 1}


def test_bits_once_demanded_stay() -> None:
    total = apply("add", X, Y)
    assert brought(START, [(X, 1, -1), (total, 9, -1)]).values == {"x": 1, "y": 8, "flag": 1}
    assert brought(START, [(X, 1, -1), (Y, 1, -1), (total, 9, -1)]).values == {"x": 1, "y": 1, "flag": 1}


def test_only_what_lies_within_is_changed() -> None:
    search = Inversion(START, within={"y"})
    assert search.reach([T.eq(apply("xor", X, Y), T.const(8, 0))])
    assert search.model.values == {"x": 0x35, "y": 0x35, "flag": 1}
    assert not Inversion(START, within={"flag"}).reach([T.eq(X, Y)])


def test_a_condition_that_undoes_another_is_met_in_another_way() -> None:
    """To be less than ``y`` the easiest for ``x`` is to be 0, and for ``y`` to be 0xFF."""
    conditions = [T.eq(Y, T.const(8, 9)), apply("ult", X, Y), apply("ult", T.const(8, 7), X)]
    found = near(START, conditions)
    assert found is not None
    assert found.values == {"x": 8, "y": 9, "flag": 1}
    assert near(START, [*conditions, T.negate(T.eq(X, T.const(8, 8)))]) is None


def test_cells_that_do_not_matter_are_left_out() -> None:
    model = Model({}, {("storage", 1): 5, ("storage", 2): 6})
    found = near(model, [T.eq(T.select(STORAGE, T.const(8, 1)), T.const(8, 5)), T.eq(X, T.const(8, 3))])
    assert found == Model({"x": 3}, {("storage", 1): 5})


@settings(max_examples=300)
@given(st.integers(0, 1 << 32))
def test_what_is_said_to_hold_does(seed: int) -> None:
    grown = Grown(seed)
    conditions = [grown.term(1, 4)[0] for _ in range(3)]
    memory, _ = grown.memory(4)
    cell = grown.terms.select(memory, grown.place(9)[0])
    conditions.append(grown.terms.eq(cell, grown.term(8, 2)[0]))
    found = near(grown.model, conditions)
    assert found is None or holds(conditions, found)


@settings(max_examples=300)
@given(st.integers(0, 1 << 32))
def test_a_demand_is_met_or_nothing_has_changed(seed: int) -> None:
    grown = Grown(seed)
    term, _ = grown.term(grown.random.choice(WIDTHS), 4)
    wanted, mask = grown.random.getrandbits(term.width), grown.random.getrandbits(term.width)
    search = Inversion(grown.model)
    before = value(term, grown.model)
    met = next((True for _ in search.meet(term, wanted, mask)), False)
    assert search.value(term) == value(term, search.model)
    if met:
        assert not (value(term, search.model) ^ wanted) & mask
    else:
        assert value(term, search.model) == before
        assert {k: v for k, v in search.model.values.items() if v} == {k: v for k, v in grown.model.values.items() if v}
