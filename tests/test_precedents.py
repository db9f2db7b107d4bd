"""Models tried before the solver is asked change how much it is asked, and nothing that is found."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from toys import judge, toy

from checker.analysis import analyse
from checker.model import Report, Statistics
from checker.models import Model
from checker.options import Options
from checker.precedents import Precedents
from isa_specs.load import find, load

SPIES = {
    "TELL": "g[r] <- base + zext(mask, 8)\nflag <- flag ^ m",
    "TRAP": "trap wrong when mask == n and m == 0\nbase <- base + 1",
    "HIDE": "g[r] <- zext(mask, 8) - zext(mask, 8)",
}


def untried(self: Precedents, *ignored: object) -> Iterator[Model]:
    return iter(())


def found(report: Report) -> object:
    return msgspec.to_builtins(msgspec.structs.replace(report, statistics=Statistics()), enc_hook=str)


def test_a_witness_of_one_question_answers_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with_them = judge(toy(SPIES))
    monkeypatch.setattr(Precedents, "candidates", untried)
    without = judge(toy(SPIES))
    assert found(with_them) == found(without)
    assert with_them.statistics.obligations < without.statistics.obligations - 3


@pytest.mark.parametrize("name", ["duplicated", "hybrid_only", "paged", "x86_umip"])
def test_nothing_else_is_found_without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    isa = load(find(name))
    some = tuple(isa.instructions())[::12] if len(isa.instructions()) > 60 else ()
    options = Options(jobs=1, instructions=some)
    with_them = analyse(isa, options)
    monkeypatch.setattr(Precedents, "candidates", untried)
    assert found(with_them) == found(analyse(isa, options))
