"""The whole program on teaching machines: determinism, the commands it prints, the JSON it promises."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from checker import cli
from checker.check import check
from checker.options import Options

SCHEMA = Path(__file__).parent.parent / "docs" / "report.schema.json"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "checker", *arguments], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, **environment})


@pytest.mark.parametrize("format_", ["json", "text", "markdown"])
def test_output_depends_on_nothing_but_the_input(format_: str) -> None:
    arguments = ["mode_sensitive", "--format", format_]
    first = run(*arguments, "--no-cache", "--jobs", "1", PYTHONHASHSEED="1")
    assert first.returncode == 1
    assert first.stderr == ""
    others = [
        run(*arguments, "--no-cache", "--jobs", "4", PYTHONHASHSEED="2"),
        run(*arguments, "--jobs", "2"),  # fills the cache
        run(*arguments, "--jobs", "3"),  # a remembered report
    ]
    assert [other.stdout == first.stdout for other in others] == [True] * 3


@pytest.mark.parametrize(("name", "code", "critical"), [
    ("third_generation", 0, set()), ("mode_sensitive", 1, {"RM"}), ("hybrid_only", 1, {"JRST"}), ("innocuous", 0, set()),
])
def test_exit_code_and_json(name: str, code: int, critical: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--format", "json"]) == code
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")), jsonschema.Draft202012Validator)
    assert all(expectation["met"] for expectation in report["expectations"])
    found = {instruction["name"] for instruction in report["instructions"] if instruction["critical"]}
    assert found == critical
    assert all(instruction["witness"]["replayed"] for instruction in report["instructions"] if instruction["critical"])


def test_printed_commands_work(capsys: pytest.CaptureFixture[str]) -> None:
    report = check("mode_sensitive", Options())
    (witness,) = [instruction.witness for instruction in report.instructions if instruction.witness is not None]
    program, *arguments = shlex.split(witness.command)
    assert program == "vcheck"
    assert cli.main(arguments) == 1
    assert witness.reason in " ".join(capsys.readouterr().out.split())


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "mode_sensitive", "rm"]) == 0
    out = capsys.readouterr().out
    for part in ("RM: Read mode", "gpr[r1] <- zext(psw.m, 32)", "op=0x87", "reads   psw.m", "verdict: critical", "replayed: yes"):
        assert part in out
    assert cli.main(["show", "mode_sensitive", "MR"]) == 2


def test_restricted_check_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mode_sensitive", "--instruction", "L"]) == 0
    assert capsys.readouterr().out.startswith("mode_sensitive (only L): ")


def test_time_limit_gives_unknown_never_a_verdict() -> None:
    done = run("third_generation", "--timeout", "0.0001", "--no-cache", "--format", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 3
    assert report["unknown"]
    assert "refuted" not in {theorem["under_controls"]["verdict"] for theorem in report["theorems"].values()}


def test_export(tmp_path: Path) -> None:
    assert run("mode_sensitive", "--instruction", "RM", "--export", str(tmp_path / "out")).returncode == 1
    assert len(list((tmp_path / "out").glob("*.smt2"))) > 1
