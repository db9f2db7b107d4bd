"""Models tried before the solver is asked change how much it is asked, and nothing that is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from toys import judge, toy

import checker.obligations
from checker.analysis import analyse
from checker.definitions import Definitions
from checker.model import Report, Statistics
from checker.models import Model
from checker.options import Options
from checker.precedents import Precedents, handed, paired, recoded
from checker.states import States
from checker.terms import Terms
from isa_specs.load import find, load, loads

SPIES = {
    "TELL": "g[r] <- base + zext(mask, 8)\nflag <- flag ^ m",
    "TRAP": "trap wrong when mask == n and m == 0\nbase <- base + 1",
    "HIDE": "g[r] <- zext(mask, 8) - zext(mask, 8)",
}


def untried(self: Precedents, *ignored: object) -> Iterator[Model]:
    return iter(())


@pytest.fixture
def try_nothing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on the solver is asked everything."""

    def forget() -> None:
        monkeypatch.setattr(Precedents, "candidates", untried)
        monkeypatch.setattr(checker.obligations, "near", lambda model, conditions: None)

    return forget


def found(report: Report) -> object:
    """All but what a witness looks like: there are many, and whoever is asked gives another; that it was replayed remains."""
    return plain(msgspec.to_builtins(msgspec.structs.replace(report, statistics=Statistics()), enc_hook=str))


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        shown = "replayed" in value
        return value["replayed"] if shown else {name: plain(item) for name, item in value.items() if name not in ("reason", "reasons")}
    return value


def test_a_witness_of_one_question_answers_others(try_nothing: Callable[[], None]) -> None:
    with_them = judge(toy(SPIES))
    try_nothing()
    without = judge(toy(SPIES))
    assert found(with_them) == found(without)
    assert with_them.statistics.obligations < without.statistics.obligations - 3


def test_a_broken_square_is_a_pair_of_states() -> None:
    """Of ``base`` and ``port``, which the monitor owns, the guest has others than the real machine; its storage is one and the same."""
    isa = loads(toy(SPIES))
    states = States(Terms(), isa, next(iter(isa.monitors.values())), {})
    assert "base" in states.owned
    cells = {("s.g", 0): 7, ("s.port", 1): 3, ("host.port", 2): 4}
    made = paired(states, Model({"s.base": 5, "host.base": 9, "s.n": 1, "field.r": 2}, cells))
    assert made.values["v.base"] == 5
    assert made.values["s.base"] == 9
    assert made.values["s.n"] == 1
    assert made.values["field.r"] == 2
    there = {at: value for at, value in made.cells.items() if value and not at[0].startswith("host.")}
    assert there == {("s.g", 0): 7, ("v.port", 1): 3, ("s.port", 2): 4}


def test_another_form_gets_the_same_operands() -> None:
    """The first form has in a field what the second reads from storage."""
    forms = {"NEAR": "go(n ++ 4'0)", "FAR": "trap wrong when q == 2\ngo(storage(g[r], 8))"}
    isa = loads(toy(forms, more="procedure go(to : bits(8))\n  base <- to\n"))
    states = States(Terms(), isa, next(iter(isa.monitors.values())), {})
    near, far = isa.forms
    one, two = (Definitions(states, form).control(False, user_only=True) for form in (near, far))
    model = Model({"field.n": 0xA, "s.g": 0, "s.m": 1})
    encoded = states.symbolic.sound_fields(far, states.free(), two.fields)
    found = recoded(model, handed(one, model), two, encoded)
    assert found is not None
    assert list(handed(one, model).values()) == list(handed(two, found).values()) == [0xA0]
    assert found.cells == {("s.storage", 0): 0xA0}


@pytest.mark.parametrize("name", ["duplicated", "hybrid_only", "paged", "x86_umip"])
def test_nothing_else_is_found_without(try_nothing: Callable[[], None], name: str) -> None:
    isa = load(find(name))
    some = tuple(isa.instructions())[::12] if len(isa.instructions()) > 60 else ()
    options = Options(jobs=1, instructions=some)
    with_them = analyse(isa, options)
    try_nothing()
    assert found(with_them) == found(analyse(isa, options))
