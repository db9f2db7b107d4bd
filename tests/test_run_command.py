"""``vcheck run``: what it prints, how it ends, and what it says to bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from checker import cli
from checker.run_command import CODES
from machine import guests

Capture = pytest.CaptureFixture[str]


def vcheck(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["run", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def refused(capsys: Capture, code: str, *arguments: str) -> str:
    """The message of a run that is refused with ``code``."""
    status, out, err = vcheck(capsys, *arguments)
    assert status == 2
    assert f"error {code}: " in err
    assert "Traceback" not in err
    assert code in CODES or code.startswith("AS")
    return out + err


def source(folder: Path, text: str | bytes, name: str = "guest.s") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# ---- what it prints ------------------------------------------------------------------------------------------------


def test_a_run_shows_console_state_and_counters(capsys: Capture) -> None:
    code, out, err = vcheck(capsys, "s370", "os", "--monitor", "trap_and_emulate", "--depth", "2")
    assert (code, err) == (0, "")
    assert "console:\n  ABCDabcEFdef! done\n" in out
    assert "  psw.wait = 0x1\n" in out
    assert re.search(r"storage: 0x8000 bytes, SHA-256 [0-9a-f]{32}\n", out)
    assert "monitor 1: entered" in out
    assert "monitor 2: trap svc 14\n" in out


def test_a_run_is_the_same_each_time(capsys: Capture) -> None:
    runs = {vcheck(capsys, "third_generation", "os", "--monitor", "hybrid") for _ in range(2)}
    assert len(runs) == 1


def test_equal(capsys: Capture) -> None:
    code, out, _ = vcheck(capsys, "third_generation", "os", "--compare", "--depth", "2")
    assert code == 0
    assert out.startswith("os on third_generation, bare and under trap_and_emulate, 2 deep: equal after 103 instructions\n")


def test_several_guests_share_the_machine(capsys: Capture) -> None:
    code, out, err = vcheck(capsys, "third_generation", "os", "sieve", "os", "--monitor", "trap_and_emulate")
    assert (code, err) == (0, "")
    first, second, third = re.split(r"^guest \d: ", out, flags=re.MULTILINE)[1:]
    consoles = {}
    for name in ("os", "sieve"):
        alone = vcheck(capsys, "third_generation", name)[1]
        consoles[name] = [line.strip() for line in alone.split("state:")[0].splitlines()]
    for shown, name in ((first, "os"), (second, "sieve"), (third, "os")):
        console = consoles[name]
        assert [line.strip() for line in shown.splitlines()[1 : 1 + len(console)]] == console
    assert len(set(re.findall(r"bytes from (0x[0-9a-f]+)", out))) == 3


def test_several_guests_and_their_ends(capsys: Capture, tmp_path: Path) -> None:
    endless = source(tmp_path, "start: BC 15,start(0,0)\n", "endless.s")
    (tmp_path / "board.toml").write_bytes((guests.FOLDER / "s370" / "board.toml").read_bytes())
    shown = refused(capsys, "RN006", "s370", "sieve", endless, "--monitor", "trap_and_emulate", "--max-steps", "3000")
    assert "guest 1: sieve, " in shown
    assert "guest 2: endless, " in shown
    assert "add --monitor" in refused(capsys, "RN004", "s370", "os", "sieve")
    assert cli.main(["run", "s370", "os", "sieve", "--monitor", "trap_and_emulate", "--compare"]) == 2
    assert "are for one guest" in capsys.readouterr().err


def test_different(capsys: Capture) -> None:
    code, out, _ = vcheck(capsys, "x86", "detect/popf", "--compare")
    assert code == 1
    assert "popfd  (POPF)\n" in out
    assert re.search(r"eflags\.iopl +bare 0x3 +monitored 0x0 +\(record stale\)\n", out)
    assert "its record of eflags.if, eflags.iopl is stale" in out or "its record of eflags.iopl is stale" in out
    assert "if they go on: bare comes to its end" in out
    assert "console 'M'" in out


def test_the_jitted_machine_comes_to_the_same(capsys: Capture) -> None:
    runs = {vcheck(capsys, "third_generation", "os", "--monitor", "trap_and_emulate", "--machine", kind) for kind in ("plain", "jitted")}
    assert len(runs) == 1
    assert vcheck(capsys, "third_generation", "loop", "--compare", "--machine", "jitted")[0] == 0


def test_typed_input(capsys: Capture) -> None:
    code, out, _ = vcheck(capsys, "s370", "echo", "--input", "typed\n", "--monitor", "hybrid")
    assert code == 0
    assert "console:\n  typed\n" in out


def test_a_guest_from_a_file(capsys: Capture, tmp_path: Path) -> None:
    path = source(tmp_path, "start: LA 5,9(0,0)\nLPSW stop(0)\n.align 8\nstop: .quad 0x0002000000000000\n")
    code, out, _ = vcheck(capsys, "s370", path)
    assert code == 0
    assert "  gpr[5] = 0x9\n" in out


def test_a_machine_that_stops_is_told(capsys: Capture, tmp_path: Path) -> None:
    code, _, err = vcheck(capsys, "x86", source(tmp_path, "start: int3\n"))
    assert code == 1
    assert "the machine has stopped: " in err


# ---- traces ----------------------------------------------------------------------------------------------------------


def test_text_trace(capsys: Capture) -> None:
    code, out, err = vcheck(capsys, "third_generation", "os", "--trace", "text")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 103
    assert re.fullmatch(r" +1 0010  L 5,\w+\(0\) +gpr\[5\]=0x84000000", lines[0])
    assert any("trap supervisor_call(0x7)" in line for line in lines)
    assert "console:\n  abcdefghij!\n" in err


def test_json_trace(capsys: Capture) -> None:
    _, out, _ = vcheck(capsys, "s370", "modify", "--trace", "jsonl", "--monitor", "trap_and_emulate")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["step"] for record in records] == list(range(1, len(records) + 1))
    stores = [record for record in records if record["text"].startswith("STC")]
    assert stores[0]["changes"]["storage(0x5)"] == [97, 98]
    assert stores[0]["trap"] is None


def test_value_change_dump(capsys: Capture) -> None:
    _, out, _ = vcheck(capsys, "s370", "copy", "--trace", "vcd")
    names = {name: (code, int(width)) for width, code, name in re.findall(r"\$var wire (\d+) (\S+) (\S+) \$end", out)}
    assert names["psw_ia"][1] == 24
    assert names["gpr_15"][1] == 32
    body = out.split("$end\n")[-1]
    times = [int(time) for time in re.findall(r"^#(\d+)$", body, re.MULTILINE)]
    assert times == sorted(set(times))
    assert times[-1] == 163
    values = re.findall(rf"^b([01]+) {re.escape(names['direct_output'][0])}$", body, re.MULTILINE)
    printed = bytes(int(value, 2) for value in values)
    assert printed.startswith(b"a string, moved t")  # a signal shows changes, so letters that follow themselves stand once


def test_traces_show_the_same_under_a_monitor(capsys: Capture) -> None:
    bare, monitored = (vcheck(capsys, "third_generation", "copy", "--trace", "text", *more)[1]
                       for more in ([], ["--monitor", "trap_and_emulate"]))
    assert bare == monitored


# ---- bad input -----------------------------------------------------------------------------------------------------------


def test_no_such_guest(capsys: Capture) -> None:
    assert "did you mean 'os'" in refused(capsys, "RN001", "s370", "oss")
    assert "guests of s370: " in refused(capsys, "RN001", "s370", "quite-another-thing")
    assert "path of an assembly file" in refused(capsys, "RN001", "paged", "os")


def test_not_assembly(capsys: Capture, tmp_path: Path) -> None:
    assert "binary file" in refused(capsys, "RN002", "s370", source(tmp_path, b"\x05\xc0\x00\x58\xff"))
    assert "empty" in refused(capsys, "RN002", "s370", source(tmp_path, " \n"))
    assert "more than 1 MB" in refused(capsys, "RN002", "s370", source(tmp_path, "; " + "x" * (1 << 20)))


def test_mistakes_in_assembly_are_all_shown(capsys: Capture, tmp_path: Path) -> None:
    path = source(tmp_path, "start: LA 1,0(0,0)\n LAA 1,2\n L 1,nowhere(0,0)\n")
    shown = refused(capsys, "AS001", "s370", path)
    assert f"{path}:2" in shown
    assert "unknown mnemonic 'laa'" in shown
    assert "error AS003: " in shown
    assert "does not assemble: 2 errors" in shown


def test_a_missing_part_is_told(capsys: Capture, tmp_path: Path) -> None:
    status, _, err = vcheck(capsys, "s370", source(tmp_path, "; with nothing.s\nstart: SVC 1\n"))
    assert status == 2
    assert "nothing.s: No such file" in err


def test_too_large(capsys: Capture, tmp_path: Path) -> None:
    path = source(tmp_path, "start: .space 0xF000\n")
    assert vcheck(capsys, "s370", path, "--max-steps", "1")[2].count("RN006") == 1
    assert "there are 0xc000" in refused(capsys, "RN003", "s370", path, "--monitor", "trap_and_emulate")
    assert "keep 0x10000 bytes" in refused(capsys, "RN003", "s370", "os", "--monitor", "trap_and_emulate", "--depth", "4")


def test_no_such_monitor(capsys: Capture) -> None:
    assert "did you mean 'vmx'" in refused(capsys, "RN004", "x86_vtx", "os", "--monitor", "vmxx")
    assert "add --monitor" in refused(capsys, "RN004", "s370", "os", "--depth", "2")
    assert "not monitors that use it too" in refused(capsys, "RN004", "x86_vtx", "os", "--monitor", "vmx", "--depth", "2")


def test_boards(capsys: Capture, tmp_path: Path) -> None:
    guest = source(tmp_path, "start: HALT\n")
    assert "put a board.toml beside the guest" in refused(capsys, "RN005", "paged", source(tmp_path, "start: ldi 1\n", "paged.s"))
    source(tmp_path, '[storage]\nspace = "storage"\nsize = 4096\nown = 1024\n[start]\nstoped = 1\n', "board.toml")
    assert "did you mean 'stopped'" in refused(capsys, "RN005", "third_generation", guest)
    clocked = '[storage]\nspace = "storage"\nsize = 4096\nown = 1024\n[[clock]]\nevery = 9\ninterrupt = '
    source(tmp_path, clocked + '"timer"\n', "board.toml")
    assert "third_generation has no interrupt 'timer'" in refused(capsys, "RN005", "third_generation", guest)
    wait = source(tmp_path, "start: LPSW 0\n", "wait.s")
    source(tmp_path, clocked + '"interval_time"\n', "board.toml")
    assert "did you mean 'interval_timer'" in refused(capsys, "RN005", "s370", wait)
    source(tmp_path, clocked + '"external_signal"\narguments = [64]\n', "board.toml")
    assert "takes 1 arguments of [6] bits" in refused(capsys, "RN005", "s370", wait)
    source(tmp_path, "[storage\n", "board.toml")
    assert "board.toml: " in refused(capsys, "RN005", "third_generation", guest)
    source(tmp_path, "[storage]\nsize = 1\n", "board.toml")
    assert "docs/monitors.md" in refused(capsys, "RN005", "third_generation", guest)


def test_endless(capsys: Capture, tmp_path: Path) -> None:
    shown = refused(capsys, "RN006", "s370", source(tmp_path, "start: BC 15,start(0,0)\n"), "--max-steps", "50")
    assert "still runs after 50 instructions" in shown
    assert "psw.ia" not in shown.split("error")[0] or "state:" in shown


def test_a_start_that_is_not_legal(capsys: Capture, tmp_path: Path) -> None:
    guest = source(tmp_path, "start: nop\n")
    source(tmp_path, '[storage]\nspace = "storage"\nsize = 4096\nown = 1024\n', "board.toml")
    assert "protected mode" in refused(capsys, "RN007", "x86", guest)


def test_usage(capsys: Capture) -> None:
    assert cli.main(["run", "s370", "os", "--depth", "0"]) == 2
    assert cli.main(["run", "s370", "os", "--trace", "xml"]) == 2
    assert cli.main(["run", "no_such_description", "os"]) == 2
    capsys.readouterr()
