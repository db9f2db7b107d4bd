"""The command line: exit codes, streams, files, bad input, interruption. What a check finds is stood in for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import sample
from interrupts import heed_interrupts

from checker import cli
from checker.model import Report
from checker.options import Options
from isa_specs.core import Isa
from isa_specs.keeping import unkept
from isa_specs.load import bundled

TOY = 'isa toy "Toy" extends third_generation\n'
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


class Analysis:
    """Stands in for checker.analysis; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[Options] = []
        self.build: Callable[[], Report] = sample.report

    def analyse(self, isa: Isa, options: Options) -> Report:
        self.calls.append(options)
        return self.build()


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    stand_in = Analysis()
    module = types.ModuleType("checker.analysis")
    module.analyse = stand_in.analyse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "checker.analysis", module)
    return stand_in


@pytest.fixture
def toy(tmp_path: Path) -> str:
    (tmp_path / "toy.spec").write_text(TOY, encoding="utf-8")
    return "toy.spec"


# ---- what is printed, and the exit code --------------------------------------------------------------


@pytest.mark.parametrize("format_", ["text", "json", "markdown"])
@pytest.mark.parametrize(("build", "code"), [(sample.proved, 0), (sample.report, 1)])
def test_exit_code_is_the_same_for_every_format(
    analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str], format_: str, build: Callable[[], Report], code: int
) -> None:
    analysis.build = build
    assert cli.main([toy, "--format", format_]) == code
    out, err = capsys.readouterr()
    assert out
    assert err == ""
    assert "seconds" not in out
    assert "\033" not in out


def test_json_of_several_is_a_list(analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([toy, toy, "--format", "json"]) == 1
    assert [report["isa"] for report in json.loads(capsys.readouterr().out)] == ["toy", "toy"]


def test_one_bad_description_does_not_hide_the_others(analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["nowhere.spec", toy]) == 2
    out, err = capsys.readouterr()
    assert "toy: inconclusive" in out
    assert "SP010" in err


def test_output_file(analysis: Analysis, toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([toy, "-o", "report.txt"]) == 1
    assert capsys.readouterr().out == ""
    assert "toy: inconclusive" in (tmp_path / "report.txt").read_text()
    assert cli.main([toy, "-o", "no/such/folder/report.txt"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["report.txt", "toy.spec"]


def test_timings_on_request(analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    def timed() -> Report:
        report = sample.proved()
        report.statistics.seconds = {"build": 0.5, "solve": 1.25}
        return report

    analysis.build = timed
    for _ in range(2):
        assert cli.main([toy, "--timings"]) == 0
        assert "solve         1.250 s" in capsys.readouterr().out
    analysis.build = sample.proved
    cli.main([toy])
    assert "time by part" not in capsys.readouterr().out
    assert [options.timings for options in analysis.calls] == [True, True, False]


@pytest.mark.parametrize(("environment", "arguments", "coloured"), [
    ({}, ["--color", "always"], True), ({"NO_COLOR": "1"}, ["--color", "always"], True), ({}, [], False), ({}, ["--color", "never"], False),
])
def test_colour(analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                environment: dict[str, str], arguments: list[str], coloured: bool) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    cli.main([toy, *arguments])
    assert ("\033[" in capsys.readouterr().out) is coloured


def test_colour_on_a_terminal_unless_refused(analysis: Analysis, toy: str, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    cli.main([toy])
    assert "\033[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    cli.main([toy])
    assert "\033[" not in capsys.readouterr().out


def test_options_reach_the_analysis(analysis: Analysis, toy: str) -> None:
    cli.main([toy, "--monitor", "trap_and_emulate", "--instruction", "L", "--instruction", "A",
              "--timeout", "2.5", "--jobs", "3", "--no-cache"])
    (options,) = analysis.calls
    assert (options.monitors, options.instructions) == (("trap_and_emulate",), ("L", "A"))
    assert (options.timeout, options.processes, options.cache) == (2.5, 3, None)


def test_baseline_round_trip(analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([toy, "--baseline", "known.json"]) == 2
    assert "--format json --output known.json" in capsys.readouterr().err
    assert cli.main([toy, "--format", "json", "--output", "known.json"]) == 1
    assert cli.main([toy, "--baseline", "known.json"]) == 3
    assert "3 known, 0 new, 0 gone" in capsys.readouterr().err


# ---- remembered reports ------------------------------------------------------------------------------------


def test_report_is_remembered(analysis: Analysis, toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis.build = sample.proved
    shown = []
    for _ in range(3):
        assert cli.main([toy, "--format", "json"]) == 0
        shown.append(capsys.readouterr().out)
    assert len(analysis.calls) == 1
    assert shown[0] == shown[1] == shown[2]
    cli.main([toy, "--jobs", "2"])  # no part of the result
    assert len(analysis.calls) == 1
    cli.main([toy, "--instruction", "L"])
    cli.main([toy, "--no-cache"])
    assert len(analysis.calls) == 3
    (tmp_path / "toy.spec").write_text(TOY + "\n// changed\n")
    cli.main([toy])
    assert len(analysis.calls) == 4


def test_change_of_the_base_is_noticed(analysis: Analysis, tmp_path: Path) -> None:
    analysis.build = sample.proved
    (tmp_path / "base.spec").write_text(bundled()["teaching/third_generation"].read_text().replace("isa third_generation", "isa base"))
    (tmp_path / "mine.spec").write_text('isa mine "Mine" extends base\n')
    cli.main(["mine.spec"])
    cli.main(["mine.spec"])
    assert len(analysis.calls) == 1
    with (tmp_path / "base.spec").open("a") as file:
        file.write("// changed\n")
    cli.main(["mine.spec"])
    assert len(analysis.calls) == 2


def test_undecided_report_is_not_remembered(analysis: Analysis, toy: str) -> None:
    cli.main([toy])
    cli.main([toy])
    assert len(analysis.calls) == 2


def test_remembered_report_needs_no_parser(tmp_path: Path, toy: str) -> None:
    script = (
        "import sys; from checker import cli, check; import sample\n"
        "check._analyse = lambda path, options: (sample.proved(), {'toy.spec': path.read_text()})\n"
        "cli.main(['toy.spec']); cli.main(['toy.spec'])\n"
        "assert not {'z3', 'numba', 'numpy', 'checker.analysis'} & sys.modules.keys()\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    assert subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=60, check=False).returncode == 0


# ---- other commands -----------------------------------------------------------------------------------------


def test_help_is_quick_and_loads_nothing() -> None:
    script = "import sys; from checker.cli import main; main(['--help'])\nheavy = {'z3', 'numba', 'numpy', 'lark', 'msgspec', 'rich'}\n"
    script += "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - begin < 2  # 0.3 s is for the benchmarks: here others work beside us
    assert "exit codes:" in done.stdout
    assert "vcheck explain" in done.stdout


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert "third_generation" in out
    assert "(does not parse)" not in out
    assert len(out.splitlines()) == len(bundled())


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "pg103"]) == 0
    assert capsys.readouterr().out.startswith("# PG103 ")
    assert cli.main(["explain"]) == 0
    assert "SP101 Declared twice" in capsys.readouterr().out
    assert cli.main(["explain", "PG1O3"]) == 2
    assert "did you mean 'PG1" in capsys.readouterr().err
    assert cli.main(["explain", "../../README"]) == 2


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "vcheck report"


def test_cache_commands(analysis: Analysis, toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    analysis.build = sample.proved
    cli.main([toy])
    capsys.readouterr()
    assert cli.main(["cache", "dir"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_relative_to(tmp_path)
    assert cli.main(["cache", "clear"]) == 0
    cli.main([toy])
    assert len(analysis.calls) == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert "Z3 version" in capsys.readouterr().out


# ---- what goes wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    [], ["--format", "yaml", "x86"], ["x86", "--timeout", "-1"], ["x86", "--timeout", "nan"], ["x86", "--timeout", "soon"],
    ["x86", "--jobs", "0"], ["x86", "--jobs", "100000"], ["x86", "--instr", "A"], ["explain", "A", "B"], ["cache"], ["cache", "burn"],
    ["show", "x86"],
])
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "code"), [
    (b"", "SP012"), (b"\x00\x01\x02", "SP011"), (b"\xff\xfe\x00", "SP011"), (b"isa", "SP001"), (b"hello world\n", "SP001"),
    (b"a" * 5_000_000, "SP011"), (b'isa a "A" extends toy\n', "SP013"), (b'isa toy "T" extends nowhere\n', "SP010"),
    (b'isa toy "T"\nconst a = ' + b"(" * 100_000, "SP004"),
])
def test_unusable_descriptions(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: str) -> None:
    (tmp_path / "toy.spec").write_bytes(content)
    begin = time.perf_counter()
    assert cli.main(["toy.spec"]) == 2
    assert time.perf_counter() - begin < 2
    out, err = capsys.readouterr()
    assert out == ""
    assert code in err
    assert "Traceback" not in err
    assert max(map(len, err.splitlines())) < 400


def test_unreadable_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.spec").mkdir()
    for name in ("folder.spec", "none.spec", "x68", "a" * 5000 + ".spec"):
        assert cli.main([name]) == 2
        assert "SP01" in capsys.readouterr().err
    assert cli.main(["\udcff.spec"]) == 2
    assert "not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "code"), [(["mode_sensitive"], 1), (["run", "teaching/timing", "os"], 0)])
def test_a_folder_nothing_can_be_kept_in(arguments: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    unkept()  # what earlier tests have left
    assert cli.main(arguments) == code
    assert capsys.readouterr().err.endswith(
        f"vcheck: not all could be kept in {tmp_path}/file/vcheck: Not a directory; the next run works it out again\n")
    assert cli.main(["explain", "PG101"]) == 0
    assert capsys.readouterr().err == ""


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mode_sensitive", "-o", str(tmp_path / "none" / "report.txt")]) == 2
    assert capsys.readouterr().err == f"vcheck: {tmp_path}/none/report.txt: No such file or directory\n"


def test_standard_output_that_takes_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "checker", "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                              cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (2, "vcheck: No space left on device\n")


def test_unknown_instruction_and_monitor(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([toy, "--instruction", "LPWS"]) == 2
    assert "did you mean 'LPSW'?" in capsys.readouterr().err
    assert cli.main([toy, "--monitor", "kvm"]) == 2
    assert "it has: trap_and_emulate" in capsys.readouterr().err


def test_internal_error_has_no_traceback(
    analysis: Analysis, toy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> Report:
        raise RuntimeError("boom")

    analysis.build = explode
    assert cli.main([toy]) == 4
    err = capsys.readouterr().err
    assert "internal error: RuntimeError: boom" in err
    assert "Traceback" not in err
    monkeypatch.setenv("VCHECK_TRACEBACK", "1")
    assert cli.main([toy]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_in_process(analysis: Analysis, toy: str, tmp_path: Path) -> None:
    def interrupted() -> Report:
        raise KeyboardInterrupt

    analysis.build = interrupted
    assert cli.main([toy, "-o", "report.txt"]) == 130
    assert not (tmp_path / "report.txt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_no_process_and_no_file(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        "import sys; from checker import cli, check; from checker.solve import Solver; from test_solve import HARD\n"
        "def analyse(path, options):\n"
        "    with Solver(2, 600) as solver:\n"
        "        futures = [solver.submit(HARD + f';{n}') for n in range(4)]\n"
        "        while not all(p._process for p in solver._processes): pass\n"
        "        print(*[p._process.pid for p in solver._processes], flush=True)\n"
        "        futures[0].result()\n"
        "check._analyse = analyse\n"
        "sys.exit(cli.main(['x86', '-o', 'report.txt']))\n"
    )
    heed_interrupts()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        solvers = [int(pid) for pid in process.stdout.readline().split()]
        process.send_signal(number)
        try:
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == "vcheck: interrupted\n"
    for pid in solvers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_reader_that_goes_away() -> None:
    command = [sys.executable, "-m", "checker", "explain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode in (0, 141)
