"""Counterexamples once more, on generated code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from s370_machine import put, start

from checker import cli, confirm
from checker.check import check
from checker.model import Witness
from checker.options import Options
from checker.replay import Replayed, Run
from isa_specs import core
from isa_specs.load import load
from machine.generated.layout import NotGenerated
from machine.jitted import JittedMachine
from machine.plain import Machine
from machine.state import Recorder

Capture = pytest.CaptureFixture[str]
NAME = "mode_sensitive"
STEP = "  first step that differs: 0x2000: RM 0\n    bare: completes\n    monitored: completes\n    gpr[0]: bare 0, monitored 1\n"


def test_the_first_step_that_differs(capsys: Capture) -> None:
    assert cli.main([NAME, "--no-cache"]) == 1
    assert STEP + "  replayed: yes, on generated code too\n" in capsys.readouterr().out


def test_not_where_it_is_not_wanted(capsys: Capture) -> None:
    assert cli.main([NAME, "--no-cache", "--no-confirm"]) == 1
    out = capsys.readouterr().out
    assert STEP + "  replayed: yes\n" in out
    assert "generated code" not in out


@pytest.mark.parametrize("name", ["third_generation", "mode_sensitive", "paged", "s370_das"])
def test_generated_code_confirms_all(name: str) -> None:
    report = check(name, Options(confirm=True))
    for witness in report.witnesses():
        assert not witness.disputed
        assert witness.confirmed == witness.replayed


def test_generated_code_that_does_otherwise(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    step = JittedMachine.step

    def wrong(self, state, **options):  # type: ignore[no-untyped-def]
        result = step(self, state, **options)
        state["gpr"][1] ^= 7
        return result

    monkeypatch.setattr(JittedMachine, "step", wrong)
    assert cli.main([NAME, "--no-cache"]) == 4
    assert "disputed: generated code, virtual: gpr[1]: 0x7, not 0x0" in capsys.readouterr().out


def test_generated_code_that_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    step = JittedMachine.step
    monkeypatch.setattr(JittedMachine, "step", lambda self, state: replace(step(self, state), address=4))
    (witness, *_) = check(NAME, Options()).witnesses()
    assert "(4, 'next', " in witness.disputed
    assert not witness.confirmed


def test_without_generated_code(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCHECK_JIT", "0")
    assert cli.main([NAME, "--confirm", "--no-cache"]) == 2
    assert "no generated code to confirm with: VCHECK_JIT=0" in capsys.readouterr().err
    assert cli.main([NAME, "--no-cache"]) == 1
    out = capsys.readouterr().out
    assert STEP + "  replayed: yes\n" in out
    assert "counterexamples were not run on generated code: VCHECK_JIT=0\n" in out
    assert cli.main([NAME, "--format", "json", "--no-cache"]) == 1
    assert json.loads(capsys.readouterr().out)["unconfirmed"] == "VCHECK_JIT=0"


def test_what_is_remembered_was_asked_for_alike(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shown = []
    for jit, option in (("1", []), ("0", []), ("1", ["--no-confirm"]), ("1", [])):
        monkeypatch.setenv("VCHECK_JIT", jit)
        cli.main([NAME, *option])
        shown.append("on generated code too" in capsys.readouterr().out)
    assert shown == [True, False, False, True]


def test_a_description_no_code_is_generated_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(isa: core.Isa, **options: object) -> JittedMachine:
        raise NotGenerated("addresses of 64 bits are too wide")

    monkeypatch.setattr(confirm, "JittedMachine", refuse)
    assert check(NAME, Options()).unconfirmed == "addresses of 64 bits are too wide"


def test_what_an_instruction_executes_is_generated_too() -> None:
    isa = load("s370")
    before = put(start(isa, "44000200", gpr=[0, 1, 2, *[0] * 13]), 0x200, "1a12")
    after = before.copy()
    result = Machine(isa).step(after)
    assert result.decoded is not None
    assert result.executed is not None
    assert result.executed.form.instruction == "AR"
    witness = Witness(form="EX", reason="")
    run = Run(before, after, result, Recorder())
    confirm.confirm(isa, [(witness, Replayed([("before", run)], result.decoded.form, b"", "", [], True))])
    assert witness.confirmed
    assert not witness.disputed
