"""``python -m tests.benchmarks.monitors``: the speed a guest keeps under a monitor, by how often it executes a privileged instruction.

Bare and monitored runs take turns, the best of several counts, of the same bytes for the same number of instructions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isa_specs.load import load
from machine import guests
from machine.board import Board
from machine.monitors.processor import Processor

GUESTS = Path(__file__).with_name("guests")
CASES = [("s370", "trap_and_emulate"), ("s370", "hybrid"), ("x86", "trap_and_emulate"), ("x86_vtx", "vmx")]
EVERY = (10, 100, 1_000, 10_000, 100_000)
OVERHEAD = {"s370": (3, 3), "x86": (4, 4)}  # instructions of a round beside its loop, and of one turn of that


@dataclass(frozen=True)
class Point:
    """One privileged instruction in ``every``: instructions a second bare and monitored."""

    every: int
    bare: float
    monitored: float

    @property
    def kept(self) -> float:
        return self.monitored / self.bare

    @property
    def trap(self) -> float:
        """Microseconds a trap takes."""
        return 1e6 * (self.every / self.monitored - self.every / self.bare)


def speed(board: Board, source: str, monitor: str, below: Processor, steps: int, depth: int = 1) -> float:
    """Guest instructions in a second of processor time. The guest has to come to its end."""
    program = guests.assembled(board, source, "benchmark")
    made = guests.monitored(board, program, monitor, depth, processor=below) if monitor else guests.bare(board, program, processor=below)
    made.session.run(8)  # what is found out only once
    began, done = time.process_time(), made.session.steps
    ending = made.session.run(2 * steps)
    seconds = time.process_time() - began
    if ending != "waiting":
        raise SystemExit(f"{board.isa.name} {monitor}: the guest has not come to its end")
    return (made.session.steps - done) / seconds


def curve(name: str, monitor: str, steps: int, runs: int, deepest: int = EVERY[-1], depth: int = 1) -> Iterator[Point]:
    isa = load(name)
    family = next(path for path in GUESTS.iterdir() if name.startswith(path.stem))
    text = family.read_text(encoding="utf-8")
    board = guests.board_for(isa, guests.bundled(isa)["os"])
    board.clocks = ()  # a board's clock interrupts every few hundred instructions: that is not what is measured
    below = guests.processor(isa, "jitted")
    rest, turn = OVERHEAD[family.stem]
    for every in (every for every in EVERY if every <= deepest):
        inner = max(1, (every - rest) // turn)
        outer = max(1, steps // (rest + turn * inner))
        source = f"outer = {outer}\ninner = {inner}\n{text}"
        rates: dict[str, list[float]] = {"": [], monitor: []}
        for _ in range(runs):
            for kind, found in rates.items():
                found.append(speed(board, source, kind, below, steps, depth))
        yield Point(rest + turn * inner, max(rates[""]), max(rates[monitor]))


def main(arguments: list[str]) -> int:
    about = argparse.ArgumentParser(prog="python -m tests.benchmarks.monitors", description="The speed guests keep under monitors.")
    about.add_argument("names", metavar="NAME", nargs="*", default=sorted({name for name, _ in CASES}), help="descriptions")
    about.add_argument("--steps", type=int, default=20_000_000, help="guest instructions of a run (default: 20 million)")
    about.add_argument("--runs", type=int, default=5, help="of each kind, the best counts (default: 5)")
    about.add_argument("--depth", type=int, default=1, help="monitors on each other, where they can be (default: 1)")
    asked = about.parse_args(arguments)
    print("| description | monitor | one in | bare, M/s | monitored, M/s | kept | µs a trap |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for name, monitor in (case for case in CASES if case[0] in asked.names and (asked.depth == 1 or case[0] != "x86_vtx")):
        for point in curve(name, monitor, asked.steps, asked.runs, depth=asked.depth):
            print(f"| {name} | {monitor} | {point.every:,} | {point.bare / 1e6:.0f} | {point.monitored / 1e6:.0f} "
                  f"| {100 * point.kept:.0f} % | {point.trap:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
