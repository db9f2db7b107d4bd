"""``python -m tests.mutations [SPEC...]``: every mutant of every bundled description; writes docs/mutations.md when all are done.

It can be interrupted: what is decided is kept, in the user's cache folder, until description, program or campaign change.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

from checker.cache import Cache
from checker.solve import Solver
from isa_specs.keeping import default_directory
from isa_specs.load import bundled, load

from .campaign import Campaign
from .page import PAGE, page
from .results import Result, Results
from .sites import Mutant, mutants
from .swaps import Swaps

CHUNK = 6  # mutants decided in one go, for they often have their subjects in common
TIMEOUT = 10.0  # seconds for one obligation, as the checker has


def decide(name: str, numbers: list[int], folder: Path) -> list[Result]:
    """The results of some mutants of a description, by their numbers."""
    every, campaign, swaps = deciders(name, folder)
    return [swap(name, every[n], swaps) if every[n].kind == "swap" else check(name, every[n], campaign) for n in numbers]


@cache
def deciders(name: str, folder: Path) -> tuple[list[Mutant], Campaign, Swaps]:
    """Once a process, for what they have found out is asked again: a register is exchanged on the way in and on the way out."""
    isa = load(name)
    solver = Solver(1, TIMEOUT, Cache(folder))
    return mutants(isa), Campaign(isa, solver), Swaps(isa, name, solver)


def check(name: str, mutant: Mutant, campaign: Campaign) -> Result:
    change = campaign.killed(mutant)
    subjects = () if change else tuple(dict.fromkeys(subject.name for subject in mutant.subjects))
    return Result(name, mutant.kind, mutant.where, mutant.what, mutant.line, change, subjects=subjects)


def swap(name: str, mutant: Mutant, swaps: Swaps) -> Result:
    lost = swaps.lost(mutant)
    if lost is None:
        return Result(name, mutant.kind, mutant.where, mutant.what, mutant.line, "")
    change = f"{lost.component} is found not to be exchanged"
    return Result(name, mutant.kind, mutant.where, mutant.what, mutant.line, change, lost.component, lost.culprits, lost.broken)


def waiting(names: list[str], known: dict[str, Results]) -> Iterator[tuple[str, list[int]]]:
    """Mutants that are not decided yet, in chunks; guards take longest and come last."""
    for guards in (False, True):
        for name in names:
            every = mutants(load(name))
            left = [n for n, m in enumerate(every) if (m.kind == "guard") == guards and (m.kind, m.where, m.what) not in known[name].rows]
            for at in range(0, len(left), CHUNK):
                yield name, left[at : at + CHUNK]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description="Delete one check after the other and see who notices.")
    parser.add_argument("names", metavar="SPEC", nargs="*", default=list(bundled()), help="bundled descriptions (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    asked = parser.parse_args()
    folder = default_directory() / "mutations"
    folder.mkdir(parents=True, exist_ok=True)
    known = {name: Results(name, folder) for name in asked.names}
    began, done = time.perf_counter(), 0
    chunks = list(waiting(asked.names, known))
    total = sum(len(numbers) for _, numbers in chunks)
    print(f"{sum(len(results.rows) for results in known.values())} known, {total} to be decided", file=sys.stderr)
    with ProcessPoolExecutor(asked.jobs) as pool:
        for future in as_completed([pool.submit(decide, name, numbers, folder) for name, numbers in chunks]):
            for row in future.result():
                known[row.name].add(row)
                done += 1
                if not row.change and row.kind != "guard" and not row.explanation:
                    print(f"{row.name}: {row.where}: {row.what} (line {row.line}) SURVIVES", file=sys.stderr)
            print(f"{done} of {total}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    rows = [known[name].rows[m.kind, m.where, m.what] for name in asked.names for m in mutants(load(name))]
    if asked.names == list(bundled()):
        PAGE.write_text(page(rows), encoding="utf-8")
    return int(any(not row.change and row.kind != "guard" and not row.explanation for row in rows))


if __name__ == "__main__":
    sys.exit(main())
