"""``python -m tests.benchmarks``: how long a check takes, how much memory, and how both grow with the description.

Each figure is the best of several runs of the command itself, Python's start included. With ``--write`` docs/benchmarks.md is written
anew. Times depend on the machine; the table gives them as ratios to the targets, and a yardstick to compare machines by.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.memory import Watch

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"

COLD = {"s370": 3.0, "x86": 5.0}  # seconds, without a cache, on two processors
CACHED = 0.5  # seconds
MEMORY = 600.0  # MiB, all processes together
COPIES = (1, 2, 4)


@dataclass
class Run:
    """One run of a command: wall-clock seconds, MiB at the peak of all its processes, what it printed."""

    seconds: float
    memory: float
    output: str


@dataclass
class Figures:
    """What was measured of one description."""

    name: str
    instructions: int = 0
    forms: int = 0
    cold: list[Run] = field(default_factory=list)
    cached: list[Run] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    copies: dict[int, Run] = field(default_factory=dict)


def run(arguments: list[str], **environment: str) -> Run:
    """Run a command of this checkout and watch it."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    with Watch(process.pid) as watch:
        output, errors = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode not in (0, 1) or "Traceback" in errors:  # 1: something was found
        raise SystemExit(f"{' '.join(arguments)} failed: {errors}")
    return Run(seconds, watch.peak, output)


def best(runs: list[Run], what: Callable[[Run], float]) -> float:
    return min(map(what, runs))


def measure(name: str, runs: int, tell: Callable[[str], None]) -> Figures:
    found = Figures(name)
    command = ["-m", "checker", name, "--format", "json"]
    for number in range(runs):
        tell(f"{name}: cold, {number + 1} of {runs}")
        found.cold.append(run([*command, "--no-cache"]))
    with tempfile.TemporaryDirectory() as folder:
        tell(f"{name}: cached")
        run(command, XDG_CACHE_HOME=folder)
        found.cached = [run(command, XDG_CACHE_HOME=folder) for _ in range(runs)]
    tell(f"{name}: by part")
    statistics = json.loads(run([*command, "--no-cache", "--timings"]).output)["statistics"]
    found.instructions, found.forms, found.parts = statistics["instructions"], statistics["forms"], statistics["seconds"]
    for copies in COPIES:
        tell(f"{name}: {copies} {'copies' if copies > 1 else 'copy'}")
        found.copies[copies] = run(["-m", "tests.benchmarks.copies", name, str(copies)])
    return found


def yardstick() -> float:
    """Seconds for a fixed piece of plain Python, to compare machines by."""
    def once() -> float:
        began, table = time.perf_counter(), dict[tuple[int, int], int]()
        for i in range(400_000):
            table[i & 1023, i % 7] = i
        return time.perf_counter() - began

    return min(once() for _ in range(5))


def page(figures: list[Figures], stick: float) -> str:
    out = [
        "# Benchmarks", "",
        f"Written by `python -m tests.benchmarks --write` on {os.cpu_count()} processors ({platform.machine()}, Python",
        f"{platform.python_version()}), each figure the best of several runs. The yardstick, a fixed loop of plain Python, took",
        f"{1000 * stick:.0f} ms there: compare it with yours.", "",
        "## Whole checks", "",
        "| description | instructions | forms | cold | of its target | cached | of its target | peak memory | of its target |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for f in figures:
        cold, cached, memory = best(f.cold, seconds), best(f.cached, seconds), best(f.cold, mebibytes)
        target = COLD.get(f.name)
        cells = [f.name, f.instructions, f.forms, f"{cold:.2f} s", f"{cold / target:.2f}" if target is not None else "",
                 f"{cached:.2f} s", f"{cached / CACHED:.2f}", f"{memory:.0f} MiB", f"{memory / MEMORY:.2f}"]
        out.append(f"| {' | '.join(map(str, cells))} |")
    out += [
        "", f"The targets: {', '.join(f'{value:g} s for {name}' for name, value in COLD.items())} without a cache, {CACHED:g} s with one,",
        f"{MEMORY:.0f} MiB for all processes together, the solver's among them.", "",
        "## Where the time goes", "", "Milliseconds an instruction in the mean.", "",
    ]
    parts = list(dict.fromkeys(part for f in figures for part in f.parts))
    out += [f"| description | {' | '.join(parts)} |", f"|---|{'--:|' * len(parts)}"]
    out += [f"| {f.name} | {' | '.join(f'{1000 * f.parts.get(part, 0) / f.instructions:.1f}' for part in parts)} |" for f in figures]
    out += [
        "", "## Growth", "",
        "The description with every instruction once, twice and four times over, under other names; answers of the solver are not shared",
        "between copies. Of linear: as a fraction of so many times the figure for one.", "",
        "| description | copies | time | of linear | peak memory | of linear |", "|---|--:|--:|--:|--:|--:|",
    ]
    for f in figures:
        one = f.copies[1]
        for copies, measured in f.copies.items():
            out.append(f"| {f.name} | {copies} | {measured.seconds:.2f} s | {measured.seconds / (copies * one.seconds):.2f} "
                       f"| {measured.memory:.0f} MiB | {measured.memory / (copies * one.memory):.2f} |")
    return "\n".join(out) + "\n"


def seconds(r: Run) -> float:
    return r.seconds


def mebibytes(r: Run) -> float:
    return r.memory


def main(arguments: list[str]) -> int:
    about = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure checks of bundled descriptions.")
    about.add_argument("names", metavar="NAME", nargs="*", default=list(COLD), help=f"descriptions (default: {' '.join(COLD)})")
    about.add_argument("--runs", type=int, default=3, help="of each kind, the best counts (default: 3)")
    about.add_argument("--write", action="store_true", help="write docs/benchmarks.md anew")
    asked = about.parse_args(arguments)
    figures = [measure(name, asked.runs, lambda text: print(text, file=sys.stderr, flush=True)) for name in asked.names]
    text = page(figures, yardstick())
    if asked.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
