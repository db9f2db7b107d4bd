"""What is wrong with a description is said clearly, completely and soon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isa_specs.diagnostics import MAX_MISTAKES, Diagnostic, SpecError, nearest, render
from isa_specs.load import load, loads
from machine.plain import Machine
from machine.state import State

FOLDER = Path(__file__).parent / "specs" / "syntax_errors"
# Two seconds are the promise on an idle machine; a busy one must not fail the suite, a hang must.
SECONDS = 8.0

# ---- every mistake of a file in one run -------------------------------------------------------------------


def mistakes(path: Path) -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        load(path)
    return list(caught.value.diagnostics)


def expected(path: Path) -> list[str]:
    """The codes and places of the comment the file begins with."""
    comment = re.match(r"// expect:((?:.*\n)(?:// .*\n)*)", path.read_text(encoding="utf-8"))
    assert comment is not None
    return re.findall(r"SP\d+ \d+:\d+", comment[1])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.spec")), ids=lambda path: path.stem)
def test_all_mistakes_of_a_file(path: Path) -> None:
    found = mistakes(path)
    assert [f"{d.code} {d.span.line}:{d.span.column}" for d in found] == expected(path)
    lines = path.read_text(encoding="utf-8").split("\n")
    for diagnostic in found:
        assert Path(diagnostic.span.file).name == path.name
        assert diagnostic.span.column <= len(lines[diagnostic.span.line - 1]) + 1
        assert not diagnostic.message.endswith(".")


def test_a_mistake_in_text() -> None:
    path = FOLDER / "names.spec"
    found = next(d for d in mistakes(path) if "pws" in d.message)
    text = render(found, path.read_text(encoding="utf-8"))
    assert text.endswith(
        "names.spec:42:3: error SP100: unknown component 'pws'\n"
        "   42 |   pws.m -> 1\n"
        "          ^^^^^\n"
        "      = help: did you mean 'psw'?"
    )


def test_hints_name_the_near_word() -> None:
    assert nearest("privilegd", ["privileged", "private"]) == "did you mean 'privileged'?"
    assert nearest("x", ["privileged"]) == ""
    assert nearest("a" * 100_000, ["a" * 99_999]) == ""


def test_one_mistake_does_not_cause_others() -> None:
    text = (
        'isa x "X" extends third_generation\n'
        "const size = sizze\n"
        "state\n  flag : bits(size) resouce io\n"
        "function f(a : bits(8)) -> bits(8)\n  return a + b\n"
        'instruction N "N" I 0xB0, unused=0 "N"\n  mask <- f(mask) + low(flag, size)\n  let k = f(mask)\n  mask <- k\n'
    )
    with pytest.raises(SpecError) as caught:
        loads(text)
    assert [d.code for d in caught.value.diagnostics] == ["SP100", "SP102", "SP100"]


def test_a_flood_of_mistakes_ends() -> None:
    for line in ("const )", "const a{} = b{}", "function f{}(a : bits(8)) -> bits(8)\n  return x{}"):
        text = 'isa x "X" extends third_generation\n' + "\n".join(line.replace("{}", str(n)) for n in range(5000)) + "\n"
        with pytest.raises(SpecError) as caught:
            loads(text)
        assert len(caught.value.diagnostics) == MAX_MISTAKES + 1
        assert caught.value.diagnostics[-1].code == "SP005"


# ---- files --------------------------------------------------------------------------------------------------


def test_what_is_extended_lies_beside_it_or_in_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "base.spec").write_text('isa base "Base" extends third_generation\nconst here = 1\n')
    (tmp_path / "inner" / "own.spec").write_text('isa own "Own" extends base\nconst there = here\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="SP010"):
        load("inner/own.spec")  # neither the folder above nor the current one
    (tmp_path / "inner" / "base.spec").write_bytes((tmp_path / "base.spec").read_bytes())
    assert load("inner/own.spec").title == "Own"
    for escape in ("../base", "..", "/etc/passwd", '"base"'):
        (tmp_path / "inner" / "own.spec").write_text(f'isa own "Own" extends {escape}\n')
        with pytest.raises(SpecError, match="SP001"):
            load("inner/own.spec")


def test_a_circle_of_two(tmp_path: Path) -> None:
    (tmp_path / "a.spec").write_text('isa a "A" extends b\n')
    (tmp_path / "b.spec").write_text('isa b "B" extends a\n')
    with pytest.raises(SpecError, match="SP013"):
        load(tmp_path / "a.spec")


@pytest.mark.parametrize("name", ["", ".", "/", "no/such.spec", "a\0.spec", "x" * 5000, "x" * 5000 + ".spec"])
def test_no_such_file(name: str) -> None:
    with pytest.raises(SpecError, match="SP010"):
        load(name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.spec").mkdir()
    with pytest.raises(SpecError, match="SP010"):
        load(tmp_path / "x.spec")


def test_byte_order_marks_and_line_ends_of_other_systems(tmp_path: Path) -> None:
    text = 'isa x "X" extends third_generation\r\nconst a = 1\r\n\r\n'
    (tmp_path / "x.spec").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(tmp_path / "x.spec").title == "X"


# ---- hostile files: refused within two seconds, without a traceback -------------------------------------------

EXTENDS = 'isa x "X" extends third_generation\n'


def function(body: str, result: str = "bits(32)") -> str:
    return f"{EXTENDS}function f(a : bits(32)) -> {result}\n{body}\n"


def doubling(count: int) -> str:
    functions = (f"function f{n}(a : bits(32)) -> bits(32)\n  return f{n - 1}(a) + f{n - 1}(a)\n" for n in range(1, count))
    return EXTENDS + "function f0(a : bits(32)) -> bits(32)\n  return a\n" + "".join(functions)


def nested(text: str, count: int, last: str, indent: int = 1) -> str:
    return "".join(" " * (n + indent) + text + "\n" for n in range(count)) + " " * (count + indent) + last + "\n"


def branches(count: int, early: bool) -> str:
    start = "  if a == 0\n    return 0\n" if not early else ""
    word = "if" if early else "else if"
    return function(start + "".join(f"  {word} a == {n}\n    return {n}\n" for n in range(count)) + "  return 1")


OWN = """isa x "X"
bits lsb0
bytes little
state
  pc : bits(16) counter
  a  : bits(32) data
  m  : bit mode
space mem : bits(16) -> byte data
fetch (p : bits(16))
  return mem(p, 8)
trap bad program nullify
  pc <- 0
illegal bad
mode supervisor when m == 0
mode user when m == 1
"""
SPREAD = "format G = " + " ".join(f"x{n}:8" for n in range(14)) + "\n"

HOSTILE: dict[str, tuple[str, str]] = {
    "width": ("SP207", EXTENDS + "state\n  q : bits(1000000000) data\n"),
    "width_digits": ("SP208", EXTENDS + f"state\n  q : bits({'9' * 5000}) data\n"),
    "sized": ("SP208", EXTENDS + f"const a = {'9' * 20_000}'1\n"),
    "digits": ("SP208", EXTENDS + f"const a = 0x{'9' * 30_000}\n"),
    "granule": ("SP208", OWN + "space v : bits(16) -> byte onto mem granule " + "9" * 5000 + "\n"),
    "product": ("SP208", EXTENDS + "const a = " + " * ".join(["9" * 1000] * 30) + "\n"),
    "shifts": ("SP208", EXTENDS + "const a = 1" + " << 4000" * 3000 + "\n"),
    "loop": ("SP303", function("  for i in 0 .. 1000000000\n    gpr[0] <- 0\n  return a")),
    "loops": ("SP311", EXTENDS + "procedure f\n" + nested("for i in 0 .. 4000", 5, "gpr[0] <- 0")),
    "brackets": ("SP004", EXTENDS + "const a = " + "(" * 100_000 + "1" + ")" * 100_000 + "\n"),
    "brackets_and_sums": ("SP004", function("  return " + "(1 + " * 99 + "a" + ")" * 99)),
    "signs": ("SP004", EXTENDS + "const a = " + "-" * 30_000 + "1\n"),
    "nots": ("SP004", EXTENDS + "const a = " + "not " * 7000 + "1\n"),
    "indexes": ("SP004", function("  return a" + "[0]" * 9000, "bit")),
    "choices": ("SP004", function("  return " + "if a == 1 then 2 else " * 1200 + "3")),
    "chain": ("SP104", EXTENDS + "const a = " + "+".join(["1"] * 100_000) + "\n"),
    "sum": ("SP311", function("  return " + "+".join(["a"] * 15_000))),
    "disjunction": ("SP311", function("  return " + " or ".join(["a == 1"] * 2500), "bit")),
    "members": ("SP311", function("  return a in {" + ", ".join(["1"] * 9000) + "}", "bit")),
    "blocks": ("SP004", EXTENDS + "procedure f\n" + nested("if mask == 1", 199, "mask <- 0")),
    "columns": ("SP004", EXTENDS + "procedure f\n" + nested("if mask == 1", 5, "mask <- 0", 300)),
    "else_ifs": ("SP104", branches(700, False)),
    "early_returns": ("SP004", branches(700, True)),
    "doubling": ("SP311", doubling(60)),
    "doubling_long": ("SP307", doubling(4100)),
    "doubling_inside": ("SP311", function("  return " + "min(a, " * 95 + "a" + ")" * 95)),
    "instances": (
        "SP307",
        EXTENDS + "function f0(a : bits(32), w) -> bits(32)\n  return a + w\n"
        + "".join(
            f"function f{n}(a : bits(32), w) -> bits(32)\n  return f{n - 1}(a, 2 * w) + f{n - 1}(a, 2 * w + 1)\n" for n in range(1, 30)
        )
        + "procedure g\n  gpr[0] <- f29(gpr[0], 0)\n",
    ),
    "parities": ("SP104", function("  return " + "parity(zext(" * 30 + "a[0]" + ", 4096))" * 30, "bit")),
    "families": ("SP104", EXTENDS + nested("for N in [(A), (B), (C), (D)]", 12, "const N = 1", 0)),
    "family_strings": (
        "SP104",
        EXTENDS + 'for S0 in [("aaaaaaaaaaaaaaaa")]\n'
        + "".join(" " * n + f'for S{n} in [("{{S{n - 1}}}{{S{n - 1}}}")]\n' for n in range(1, 60)) + " " * 60 + 'names q "{S59}" = a\n',
    ),
    "family_body": (
        "SP104",
        EXTENDS + f"for N in [{', '.join(f'(A{n})' for n in range(2000))}]\n  instruction N I 0xB0, n=1\n" + "    mask <- mask + 1\n" * 500,
    ),
    "variants": ("SP104", EXTENDS + "instruction X I 0xB0, n=1 for w in " + ", ".join(["1"] * 9000) + "\n  mask <- 0\n"),
    "conditions": (
        "SP104",
        EXTENDS + f"instruction X RX 0xB0 for w in {', '.join(map(str, range(4000)))} where d == w\n  mask <- 0\n",
    ),
    "hard_conditions": (
        "SP104",
        EXTENDS + "format Q = op:8 n:12 k:12\ninstruction X Q 0xB0 for w in "
        + ", ".join(map(str, range(190))) + " where n * k + n == w\n  mask <- 0\n",
    ),
    "spread_encodings": (
        "SP104",
        OWN + SPREAD + "".join(f"instruction I{n}_{v} G x{n}={v}\n  a <- 0\n" for n in range(14) for v in range(20)),
    ),
    "records": (
        "SP104",
        EXTENDS + "record r0\n  a : bits(8) data\n"
        + "".join(f"record r{n}\n  a : r{n - 1} data\n  b : r{n - 1} data\n" for n in range(1, 30)) + "state\n  q : r29\n",
    ),
    "record_in_itself": ("SP306", EXTENDS + "record r\n  a : s data\nrecord s\n  a : r data\nstate\n  q : r\n"),
    "holes": ("SP207", EXTENDS + "state\n  q : bits(8) data\nfile f = q " + "_ " * 4095 + "\n"),
    "file_in_file": (
        "SP311",
        OWN + "state\n" + "".join(f"  r{n} : bits(7) data\n" for n in range(128)) + f"file ff = {' '.join(f'r{n}' for n in range(128))}\n"
        + "procedure g\n  a <- zext(" + "ff[" * 30 + "r0" + "]" * 30 + ", 32)\n",
    ),
    "large_word": (
        "SP104",
        EXTENDS + "state\n  q : bits(4096) data\n" + "".join(f"    f{n} {n}\n" for n in range(1800))
        + "procedure f\n" + "  q <- q + 1\n" * 1000,
    ),
    "overrides": ("SP104", EXTENDS + "override instruction L I 1\n mask<-0\n" * 8100),
    "large": ("SP011", EXTENDS + "// x\n" * 1_000_000),
    "binary": ("SP011", EXTENDS + "\0\1\2"),
    "escape": ("SP003", EXTENDS + "const a = 1 // \x1b[2J\n"),
    "empty": ("SP012", ""),
    "blank": ("SP012", "\n \n"),
    "truncated": ("SP001", EXTENDS + "state\n  q : bits("),
    "no_header": ("SP012", "const a = 1\n"),
    "long_base": ("SP010", f"isa x extends {'a' * 5000}\n"),
    "role": ("SP102", EXTENDS + "state\n  q : bits(8) resouce io\n"),
    "modes": ("SP101", EXTENDS + "mode user when psw.m == 1\n"),
    "monitor": ("SP400", EXTENDS + "state\n  q : bits(8) resource io\n"),
    "never": ("SP114", EXTENDS + 'instruction N I 0xB0, unused=0 where n < 1 and n > 1 "N"\n  mask <- 0\n'),
    "overlap": ("SP113", EXTENDS + 'instruction N "N" RX 0x10, r1=1\n  mask <- 0\ninstruction M "M" RX 0x10, d=1\n  mask <- 0\n'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, tmp_path: Path) -> None:
    code, text = HOSTILE[name]
    path = tmp_path / f"{name}.spec"
    path.write_text(text, encoding="utf-8")
    status, output, seconds, megabytes = isa_specs(path)
    assert "Traceback" not in output
    assert status == 2
    assert f"error {code}" in output
    assert len(output) < 100_000
    assert seconds < SECONDS
    assert megabytes < 400


# Its own peak: what the system counts for a child begins with the memory of the process that started it.
MEASURED = """
import atexit, runpy, sys
atexit.register(lambda: print("peak", next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))))
runpy.run_module("isa_specs", run_name="__main__", alter_sys=True)
"""


def isa_specs(path: Path) -> tuple[int, str, float, float]:
    """Exit status, output, processor seconds and megabytes of loading a description in a process of its own."""
    read, write = os.pipe()
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", MEASURED, str(path)], stdout=write, stderr=write) as process:
        os.close(write)
        with os.fdopen(read, "r", encoding="utf-8", errors="replace") as stream:
            output, _, peak = stream.read().rpartition("peak ")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert time.monotonic() - started < 60
    return process.returncode, output, usage.ru_utime + usage.ru_stime, int(peak.split()[1]) / 1024


def test_a_caller_deep_down_gets_a_mistake_too() -> None:
    text = function("  return " + "gpr[low(" * 49 + "a" + ", 4)]" * 49)

    def down(levels: int) -> None:
        if levels:
            return down(levels - 1)
        loads(text)

    loads(text)
    with pytest.raises(SpecError, match="SP004"):
        down(sys.getrecursionlimit() - 250)


# ---- what is within the limits works ------------------------------------------------------------------------


def test_the_deepest_bodies_can_be_read_and_run() -> None:
    deep = "\n".join(f"  let x{n} = {'(' * 40}x{n - 1}{' + 1)' * 40}" for n in range(1, 4))
    calls = "".join(f"function g{n}(a : bits(32)) -> bits(32)\n  return g{n - 1}(a) + 1\n" for n in range(1, 20))
    text = (
        EXTENDS + "function g0(a : bits(32)) -> bits(32)\n  return a\n" + calls
        + f"procedure p(x0 : bits(32))\n{deep}\n" + nested("if x3 != 0", 20, "gpr[0] <- g19(x3)", 2)
        + 'instruction N "N" I 0xB0, n=0, unused=0 "N"\n  p(gpr[1])\n  gpr[2] <- ' + " + ".join(["gpr[0]"] * 190) + "\n"
    )
    isa = loads(text)
    state = State(isa)
    state["gpr"] = [0, 5] + [0] * 14
    form = next(form for form in isa.forms if form.instruction == "N")
    Machine(isa).execute(form, {}, 4, state)
    assert state["gpr"][:3] == [5 + 120 + 19, 5, 190 * (5 + 120 + 19)]


def test_long_but_flat_is_no_problem() -> None:
    text = (
        EXTENDS + "names many = " + "_ " * 9000 + "\n" + "procedure f\n" + "  let x = gpr[0]\n" * 1800
        + "const a = " + "+".join(["1"] * 15_000) + "\n" + "".join(f"const a{n} = {n}\n" for n in range(5000))
        + "function g(a : bits(4096)) -> bit\n  return parity(a)\n" + "before " + ", ".join(["L"] * 9000) + "\n  mask <- 0\n"
    )
    assert len(loads(text).forms) == 19
