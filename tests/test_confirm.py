"""``--confirm``: counterexamples once more, on generated code."""

from __future__ import annotations

import json

import pytest

from checker import cli
from checker.check import check
from checker.confirm import Confirmer
from checker.options import Options
from checker.regenerate import witnesses
from isa_specs.load import load
from machine.agreement import Pair

Capture = pytest.CaptureFixture[str]
NAME = "mode_sensitive"


def test_the_first_step_that_differs(capsys: Capture) -> None:
    assert cli.main([NAME, "--confirm", "--no-cache"]) == 1
    out = capsys.readouterr().out
    assert "  on generated code, the first step that differs: 0x2000: RM 0\n    bare: completes\n    monitored: completes\n" in out
    assert "    gpr[0]: bare 0, monitored 1\n" in out


def test_only_on_request(capsys: Capture) -> None:
    cli.main([NAME, "--format", "json", "--no-cache"])
    assert "confirmed" not in capsys.readouterr().out
    cli.main([NAME, "--format", "json", "--no-cache", "--confirm"])
    (instruction,) = [one for one in json.loads(capsys.readouterr().out)["instructions"] if one["name"] == "RM"]
    assert instruction["witness"]["confirmed"][1:3] == ["bare: completes", "monitored: completes"]


@pytest.mark.parametrize("name", ["third_generation", "mode_sensitive", "paged", "s370"])
def test_generated_code_confirms_all(name: str) -> None:
    report = check(name, Options(confirm=True))
    for witness in witnesses(report):
        assert not witness.disputed
        assert bool(witness.confirmed) == witness.replayed


def test_generated_code_that_does_otherwise(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Pair.step

    def wrong(self, before, *, ones=False, bare=False):  # type: ignore[no-untyped-def]
        return right(self, before, ones=ones, bare=bare)[0], "gpr[0]: 0x7, not 0x0"

    monkeypatch.setattr(Pair, "step", wrong)
    assert cli.main([NAME, "--confirm", "--no-cache"]) == 4
    assert "disputed: generated code, " in capsys.readouterr().out


def test_without_generated_code(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCHECK_JIT", "0")
    assert cli.main([NAME, "--confirm", "--no-cache"]) == 2
    assert "no generated code to confirm with: VCHECK_JIT=0" in capsys.readouterr().err


def test_a_single_run_has_no_monitored_one() -> None:
    confirmer = Confirmer(load("third_generation"))
    state = confirmer.pair.state.copy()
    told = confirmer.steps([("state", state)], "HALT", [("stopped", "0", "1")])
    assert told == ["0x0: HALT", f"bare: {told[1].removeprefix('bare: ')}", "stopped: before 0, after 1"]
