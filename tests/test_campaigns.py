"""The campaigns of attacks and of innocuous code, in small: they find nothing, and would find something."""

from __future__ import annotations

import pytest

from machine.generated import memory
from tests import attacks, innocuous


def quiet(text: str) -> None:
    """Nobody listens."""


def test_attackers_reach_nobody() -> None:
    found = attacks.campaign("third_generation", "trap_and_emulate", 100_000, 0, quiet)
    assert found.instructions >= 100_000
    assert found.direct > 0
    assert found.emulated > 0


def test_innocuous_code_notices_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(innocuous, "TURN", 50_000)
    monkeypatch.setattr(innocuous, "SLICE", 10_000)
    done, direct, count = innocuous.campaign("third_generation", "trap_and_emulate", 200_000, 0, quiet)
    assert done >= 200_000
    assert direct > done // 2
    assert count > 2


def test_a_window_that_begins_in_the_hosts_part_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = memory.Cells.install

    def wrong(self, room, start, size):  # type: ignore[no-untyped-def]
        right(self, room, max(0, start - 0x1000), size)

    monkeypatch.setattr(memory.Cells, "install", wrong)
    with pytest.raises(AssertionError):
        attacks.campaign("third_generation", "trap_and_emulate", 100_000, 0, quiet)
