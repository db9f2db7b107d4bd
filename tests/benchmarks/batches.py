"""``python -m tests.benchmarks.batches [NAME...]``: single-instruction states a second, batched, on one thread and on all.

The states are those of campaigns: random instructions of every form, form after form, in legal states for the most part, over storage
full of edges that is put back after each. Decoding is part of it; states are made before. The best of several runs counts. Each form has
as many states; the figures are all states by all time, and those of the median form. Figures by processor time are those of one
thread without its neighbours on the machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

import numpy as np

from isa_specs.load import load
from machine.batch import STATUS
from machine.cases import Rows, Sampler
from machine.generated import slots
from machine.jitted import JittedMachine

NAMES = ("third_generation", "s370", "x86")
STATES = 400_000
RUNS = 5


def measure(name: str) -> tuple[dict[str, float], float]:
    """Millions of states a second, by how they were measured; and the share of states that trap."""
    machine, processors = JittedMachine(load(name)), os.cpu_count() or 1
    found: dict[str, float] = {}
    for threads in (1, processors):
        sampler = Sampler(machine, threads=threads)
        background = sampler.background(0, 0)
        each = -(-STATES // len(sampler.isa.forms))
        few = [sampler.rows(form, 0, 0, 100, background) for form in sampler.isa.forms]
        rows = np.concatenate([np.resize(some, (each, some.shape[1])) for some in few if len(some)])
        sampler.lay(background)
        run = sampler.batch.rows(len(rows))
        for _ in range(RUNS):
            run[:] = rows
            began, busy = time.perf_counter(), time.process_time()
            sampler.batch.run(run)
            seen = {"clock": time.perf_counter() - began, "processor": time.process_time() - busy}
            for what, seconds in seen.items():
                key = f"{what} {threads}"
                found[key] = max(found.get(key, 0.0), len(rows) / seconds / 1e6)
        if threads == 1:
            found["median"] = statistics.median(one_form(sampler, rows[start : start + each]) for start in range(0, len(rows), each))
    statuses = sampler.batch.outcomes(run)[:, STATUS]
    assert not (statuses == slots.PLAIN).any()
    return found, float((statuses < 0).mean())


def one_form(sampler: Sampler, rows: Rows) -> float:
    """Millions of states a second of processor time; a page that is new to the processor is touched before."""
    run, best = sampler.batch.rows(len(rows)), 0.0
    for _ in range(RUNS):
        run[:] = rows
        busy = time.thread_time()
        sampler.batch.run(run)
        best = max(best, len(rows) / (time.thread_time() - busy) / 1e6)
    return best


def main(names: list[str]) -> None:
    processors = os.cpu_count() or 1
    print("| description | states that trap | one thread, by processor time | median form | by the clock "
          "| a thread of all, by processor time | all processors, by the clock |\n|---|--:|--:|--:|--:|--:|--:|")
    for name in names or NAMES:
        found, traps = measure(name)
        figures = [found["processor 1"], found["median"], found["clock 1"], found[f"processor {processors}"], found[f"clock {processors}"]]
        print(f"| {name} | {100 * traps:.0f} % | {' | '.join(f'{figure:.1f} M/s' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
