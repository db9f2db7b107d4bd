"""``python -m tests.benchmarks.emulators``: loops on described machines and on other emulators, the same bytes, best of several runs.

Emulators are timed by the clock a program reads, or by two runs of different length, so that their start does not count. What they leave
in storage has to be the same. Exit codes: 0 it is, 1 it is not."""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from isa_specs.load import load
from isa_specs.program import Program, assemble_program
from machine.jitted import JittedMachine
from tests.references import hercules
from tests.references.emulators import missing
from tests.references.pc import BOCHS, QEMU, bochs, qemu
from tests.references.s370 import load_psw
from tests.references.x86_image import ENTRY, MEMORY, flat, pristine
from tests.x86_machine import GDT, system

HERE = Path(__file__).parent
S370_LOOPS = {"arithmetic": 20_000_000, "copy": 4_000_000, "sieve": 5_000, "decimal": 2_000_000, "short": 8_000_000, "long": 3_000_000}
X86_LOOPS = {"arithmetic": 40_000_000, "copy": 1_000_000, "sieve": 10_000}
S370_MODES = {"supervisor": 0x0000000000000000, "problem": 0x0009000000000000, "problem, DAT": 0x0409000000000000}
GOALS = {"hercules": 1.3, "bochs": 3.0}
REPORTED = {"hercules": ("decimal", "short", "long")}  # loops without a goal


RESULTS = range(ENTRY, ENTRY + 0x30000)  # of a loop on the x86: the program with its results, what is copied, the sieve


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds a loop took, and what it left in storage."""

    seconds: float
    left: bytes


@dataclass
class Row:
    """Seconds for one loop on the described machine and on others, each the best; ``unlike`` has those that left something else."""

    loop: str
    steps: int
    ours: float
    others: dict[str, float]
    unlike: list[str]


def s370_program(loop: str, mode: int) -> tuple[Program, bytes]:
    source = (HERE / "s370_loops.s").read_text(encoding="ascii")
    program = assemble_program(load("s370"), source, 0)
    image = bytearray(program.bytes)
    labels = program.labels
    struct.pack_into(">Q", image, labels["psw"], mode | labels["started"])
    struct.pack_into(">II", image, labels["count"], S370_LOOPS[loop], labels[loop])
    return program, bytes(image)


def s370_left(program: Program, core: bytes) -> bytes:
    """The storage above the old PSWs, without the clock."""
    kept = bytearray(core)
    for label in ("before", "after"):
        kept[program.labels[label] : program.labels[label] + 8] = bytes(8)
    return bytes(kept[0x200:0x4000])


def s370_described(loop: str, mode: int) -> tuple[Run, int]:
    """The run and its instructions."""
    program, image = s370_program(loop, mode)
    machine = JittedMachine(load("s370"))
    state = machine.state()
    state.memory["storage"].load(0, image)
    state["storage_size"] = (hercules.STORAGE >> 11) - 1
    load_psw(state, program.labels["begin"])
    machine.run(state, 3)  # up to where the clock is read
    began = time.perf_counter()
    ran = machine.run(state, 1 << 40, stop_at=["SVC"])
    seconds = time.perf_counter() - began
    assert ran.stopped == "break", ran
    return Run(seconds, s370_left(program, state.memory["storage"].bytes(0, 0x4000))), ran.steps


def s370_hercules(loop: str, mode: int) -> Run:
    """A run, by Hercules' clock."""
    program, image = s370_program(loop, mode)
    core = hercules.saved({"program.core": image}, "loadcore program.core 0\nrestart\n", 0, 0x3FFF)
    before, after = struct.unpack_from(">QQ", core, program.labels["before"])
    return Run((after - before) / 4096e6, s370_left(program, core))


def row(loop: str, runs: int, described: Callable[[], tuple[Run, int]], others: dict[str, Callable[[], Run]]) -> Row:
    """A loop everywhere, by turns, so that a busy moment hits all."""
    ours: list[tuple[Run, int]] = []
    theirs: dict[str, list[Run]] = {other: [] for other in others}
    for _ in range(runs):
        ours.append(described())
        for other, run in others.items():
            theirs[other].append(run())
    left, steps = ours[0][0].left, ours[0][1]
    return Row(loop, steps, min(run.seconds for run, _ in ours), {other: min(run.seconds for run in ran) for other, ran in theirs.items()},
               [other for other, ran in theirs.items() if any(run.left != left for run in ran)])


def s370_rows(runs: int) -> list[Row]:
    return [row(f"{loop}, {mode}", runs, partial(s370_described, loop, word), {"hercules": partial(s370_hercules, loop, word)})
            for loop in S370_LOOPS for mode, word in S370_MODES.items()]


def x86_image(loop: str, count: int) -> tuple[Program, bytes]:
    source = (HERE / "x86_loops.s").read_text(encoding="ascii")
    program = assemble_program(load("x86"), source, ENTRY, flat())
    image = bytearray(MEMORY)
    image[GDT : GDT + 0x20] = pristine()[GDT : GDT + 0x20]
    image[ENTRY : ENTRY + len(program.bytes)] = program.bytes
    struct.pack_into("<II", image, program.labels["count"], count, program.labels[loop])
    return program, bytes(image)


def x86_described(loop: str) -> tuple[Run, int]:
    """The run and its instructions."""
    _, image = x86_image(loop, X86_LOOPS[loop])
    machine = JittedMachine(load("x86"))
    state = machine.state(like=system(0))
    state.memory["storage"].load(ENTRY, image[ENTRY : ENTRY + 0x1000])
    state["cr0"], state["eip"] = 0x11, ENTRY
    machine.run(state, 3)  # what is compiled on demand
    began = time.perf_counter()
    ran = machine.run(state, 1 << 40, stop_at=["OUT"])
    seconds = time.perf_counter() - began
    assert ran.stopped == "break", ran
    return Run(seconds, state.memory["storage"].bytes(RESULTS.start, len(RESULTS))), ran.steps


def x86_emulated(emulator: Callable[[bytes, float], bytes], loop: str) -> Run:
    """A run; the seconds of one that does nothing do not count."""
    taken, after = [], b""
    for count in (1, X86_LOOPS[loop]):
        image = x86_image(loop, count)[1]
        began = time.perf_counter()
        after = emulator(image, 120)
        taken.append(time.perf_counter() - began)
    return Run(taken[1] - taken[0], after[RESULTS.start : RESULTS.stop])


def x86_unicorn(loop: str) -> Run:
    """A run under unicorn, where that is installed. It has no start to speak of."""
    import unicorn

    program, image = x86_image(loop, X86_LOOPS[loop])
    engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    engine.mem_map(0, MEMORY)
    engine.mem_write(0, image)
    began = time.perf_counter()
    engine.emu_start(ENTRY, program.labels["stopped"])
    return Run(time.perf_counter() - began, bytes(engine.mem_read(RESULTS.start, len(RESULTS))))


def x86_rows(runs: int) -> list[Row]:
    others: dict[str, Callable[[str], Run]] = {"bochs": partial(x86_emulated, bochs), "qemu": partial(x86_emulated, qemu)}
    if importlib.util.find_spec("unicorn"):
        others["unicorn"] = x86_unicorn
    else:
        print("NOT COMPARED WITH UNICORN, which is not installed: pip install unicorn", file=sys.stderr)
    return [row(loop, runs, partial(x86_described, loop), {other: partial(run, loop) for other, run in others.items()})
            for loop in X86_LOOPS]


SUITES: dict[str, tuple[tuple[str, ...], Callable[[int], list[Row]]]] = {
    "s370": (("hercules",), s370_rows), "x86": ((BOCHS, QEMU), x86_rows)}


def table(name: str, rows: list[Row]) -> str:
    others = list(dict.fromkeys(other for row in rows for other in row.others))
    out = [f"## {name}", "", f"| loop | instructions | ours, M/s | {' | '.join(f'{other}, M/s | times' for other in others)} |",
           f"|---|--:|--:|{'--:|' * 2 * len(others)}"]
    for row in rows:
        cells = [row.loop, f"{row.steps:,}", f"{row.steps / row.ours / 1e6:.0f}"]
        for other in others:
            seconds = row.others.get(other)
            cells += ["", ""] if seconds is None else [f"{row.steps / seconds / 1e6:.0f}", f"{seconds / row.ours:.2f}"]
        out.append(f"| {' | '.join(cells)} |")
    for other in others:
        ratios = [row.others[other] / row.ours for row in rows
                  if other in row.others and row.loop.split(",")[0] not in REPORTED.get(other, ())]
        goal = f"; the goal is {GOALS[other]:g} times its speed" if other in GOALS else ""
        goal += f", {', '.join(REPORTED[other])} apart" if other in REPORTED else ""
        out += ["", f"{other}: {min(ratios):.2f} to {max(ratios):.2f} times, geometric mean {statistics.geometric_mean(ratios):.2f}{goal}."]
    out += ["", *(f"{row.loop}: {', '.join(row.unlike)} left something else in storage." for row in rows if row.unlike)]
    if not any(row.unlike for row in rows):
        out.append("All left the same in storage.")
    return "\n".join(out) + "\n"


def main(arguments: list[str]) -> int:
    about = argparse.ArgumentParser(prog="python -m tests.benchmarks.emulators", description="Time loops against other emulators.")
    about.add_argument("names", nargs="*", default=list(SUITES), help=f"of {', '.join(SUITES)}")
    about.add_argument("--runs", type=int, default=5, help="the best counts (default: 5)")
    asked = about.parse_args(arguments)
    unlike = False
    for name in asked.names:
        programs, measure = SUITES[name]
        if lacking := [why for program in programs if (why := missing(program))]:
            print(*lacking, sep="\n", file=sys.stderr)
        else:
            rows = measure(asked.runs)
            print(table(name, rows))
            unlike = unlike or any(row.unlike for row in rows)
    return int(unlike)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
